// What the server and the metrics hear of the LoRA folder.
#include <prometheus/text_serializer.h>

#include <string>

#include "gmock/gmock.h"
#include "tests/worker/agent/agent_fixture.h"

namespace svi::worker {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

class AgentLoraTest : public AgentTest {
 protected:
  std::string Metrics() { return prometheus::TextSerializer().Serialize(metrics_.registry()->Collect()); }
  // Makes the agent send a heartbeat: it says that it does not work on a lease that it never had.
  void AskForHeartbeat() { Cancel(MakeLease("nothing", 0)); }
  static bool TellsOfLoras(const v1::Heartbeat& heartbeat) { return heartbeat.has_loras(); }
  v1::LeaseId AssignWithLora(const std::string& name) {
    const v1::LeaseId lease = MakeLease("v", 0);
    const std::string image = TestPng();
    v1::Assign assign = MakeAssign(lease, image, "");
    assign.mutable_spec()->add_lora()->set_name(name);
    server_.SendAssign(assign, image, "");
    return lease;
  }
};

TEST_F(AgentLoraTest, RegisterNamesTheUsableOnes) {
  engine_.SetLoras({.loras = {{"ink", 4, 10}, {"wash", 8, 10}}, .refused = {{"bad.safetensors", "cut off"}}});
  Start();
  EXPECT_THAT(server_.Accept().loras(), ElementsAre("ink", "wash"));
  // Nothing has changed since.
  EXPECT_FALSE(server_.NextHeartbeat(Free).has_loras());
  EXPECT_THAT(Metrics(), HasSubstr("svi_worker_loras 2"));
  EXPECT_THAT(Metrics(), HasSubstr("svi_worker_loras_refused 1"));
}

TEST_F(AgentLoraTest, AHeartbeatTellsOfChangesOnce) {
  Start();
  EXPECT_THAT(server_.Accept().loras(), ElementsAre());
  server_.NextHeartbeat(Free);
  engine_.SetLoras({.loras = {{"ink", 4, 10}}, .refused = {}});
  AskForHeartbeat();
  EXPECT_THAT(server_.NextHeartbeat(TellsOfLoras).loras().names(), ElementsAre("ink"));
  AskForHeartbeat();
  EXPECT_FALSE(server_.NextHeartbeat(Free).has_loras());
  engine_.SetLoras({.loras = {}, .refused = {{"ink.safetensors", "cut off"}}});
  AskForHeartbeat();
  // Set, but empty.
  EXPECT_THAT(server_.NextHeartbeat(TellsOfLoras).loras().names(), ElementsAre());
  EXPECT_THAT(Metrics(), HasSubstr("svi_worker_loras 0"));
  EXPECT_THAT(Metrics(), HasSubstr("svi_worker_loras_refused 1"));
}

TEST_F(AgentLoraTest, ANewConnectionIsToldAllOfThem) {
  engine_.SetLoras({.loras = {{"ink", 4, 10}}, .refused = {}});
  Start();
  server_.Accept();
  engine_.SetLoras({.loras = {{"ink", 4, 10}, {"wash", 4, 10}}, .refused = {}});
  server_.Break();
  EXPECT_THAT(server_.Accept().loras(), ElementsAre("ink", "wash"));
}

TEST_F(AgentLoraTest, SwitchingIsMeasured) {
  engine_.SetLoras({.loras = {{"ink", 4, 10}}, .refused = {}});
  Start();
  server_.Accept();
  Assign("plain", 0);
  Accepted(server_, ReceiveClip(server_).done.lease());
  EXPECT_THAT(Metrics(), HasSubstr("svi_worker_lora_switch_seconds_count 0"));
  AssignWithLora("ink");
  ReceiveClip(server_);
  EXPECT_THAT(Metrics(), HasSubstr("svi_worker_lora_switch_seconds_count 1"));
  EXPECT_THAT(Metrics(), HasSubstr("svi_worker_lora_switch_seconds_sum 0.5"));
  EXPECT_THAT(Metrics(), HasSubstr("svi_worker_lora_bytes 7"));
}

TEST_F(AgentLoraTest, AFileThatCannotBeUsedFailsTheClipForGood) {
  engine_.SetLoras({.loras = {}, .refused = {{"ink.safetensors", "cut off"}}});
  Start();
  server_.Accept();
  engine_.FailNext(absl::InvalidArgumentError("LoRA 'ink': cut off"));
  AssignWithLora("ink");
  const v1::ClipFailed failed = server_.Next().clip_failed();
  EXPECT_EQ(failed.error().reason(), "LORA_INVALID");
  EXPECT_TRUE(failed.permanent());
}

TEST_F(AgentLoraTest, AFileThatIsNotThereFailsTheClipForGood) {
  Start();
  server_.Accept();
  engine_.FailNext(absl::NotFoundError("there is no LoRA 'ink'"));
  AssignWithLora("ink");
  const v1::ClipFailed failed = server_.Next().clip_failed();
  EXPECT_EQ(failed.error().reason(), "LORA_NOT_FOUND");
  EXPECT_TRUE(failed.permanent());
}

}  // namespace
}  // namespace svi::worker
