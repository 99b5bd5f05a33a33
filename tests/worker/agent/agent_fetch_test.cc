// Published LoRAs on their way from the server to the engine.
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>

#include "gmock/gmock.h"
#include "tests/worker/agent/agent_fixture.h"

namespace svi::worker {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::SizeIs;

std::string Contents(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}

class AgentFetchTest : public AgentTest {
 protected:
  // Sends clip 0 of a video with the LoRA `name`, which the server says is published as this.
  v1::LeaseId AssignWith(const std::string& name, const v1::Lora& published, uint64_t epoch = 1) {
    const v1::LeaseId lease = MakeLease("v", 0, epoch);
    v1::Assign assign = MakeAssign(lease, TestPng(), "");
    assign.mutable_spec()->add_lora()->set_name(name);
    *assign.add_published_loras() = published;
    server_.SendAssign(assign, TestPng(), "");
    return lease;
  }
  std::string Cached(const std::string& name) {
    return Contents(lora_cache_->dir() + "/" + name + ".safetensors");
  }

  const std::string ink_ = FakeCarry(0, 3500);  // four messages
};

TEST_F(AgentFetchTest, FetchedBeforeTheClipAndOnlyOnce) {
  Start();
  server_.Accept();
  const v1::Lora ink = server_.loras().Publish("ink", ink_);
  for (const uint64_t epoch : {1, 2}) {
    AssignWith("ink", ink, epoch);
    Accepted(server_, ReceiveClip(server_).done.lease());
  }
  EXPECT_EQ(Cached("ink"), ink_);
  EXPECT_THAT(server_.loras().offsets(), ElementsAre(0));
  EXPECT_THAT(engine_.requests(), SizeIs(2));
}

TEST_F(AgentFetchTest, ABrokenDownloadGoesOnAtItsByte) {
  Start();
  server_.Accept();
  server_.loras().BreakNext({2, 1});
  AssignWith("ink", server_.loras().Publish("ink", ink_));
  ReceiveClip(server_);
  EXPECT_EQ(Cached("ink"), ink_);
  EXPECT_THAT(server_.loras().offsets(), ElementsAre(0, 2000, 3000));
}

TEST_F(AgentFetchTest, DamagedBytesAreFetchedOnceMore) {
  Start();
  server_.Accept();
  server_.loras().DamageNext(1);
  AssignWith("ink", server_.loras().Publish("ink", ink_));
  ReceiveClip(server_);
  EXPECT_EQ(Cached("ink"), ink_);
  EXPECT_THAT(server_.loras().offsets(), ElementsAre(0, 0));
}

TEST_F(AgentFetchTest, ADamagedLoraIsNotUsed) {
  Start();
  server_.Accept();
  server_.loras().DamageNext(2);
  AssignWith("ink", server_.loras().Publish("ink", ink_));
  const v1::ClipFailed failed = server_.Next().clip_failed();
  EXPECT_EQ(failed.error().reason(), "INPUT_CORRUPT");
  EXPECT_EQ(failed.error().message(), "LoRA 'ink' arrived damaged");
  EXPECT_FALSE(failed.permanent());
  EXPECT_TRUE(engine_.requests().empty());
  EXPECT_EQ(Cached("ink"), "");
}

TEST_F(AgentFetchTest, AnotherHashThanTheLeaseSaysIsNotUsed) {
  Start();
  server_.Accept();
  const v1::Lora old = server_.loras().Publish("ink", "what it was when the lease was made");
  server_.loras().Publish("ink", ink_);
  AssignWith("ink", old);
  EXPECT_EQ(server_.Next().clip_failed().error().reason(), "INPUT_CORRUPT");
  EXPECT_TRUE(engine_.requests().empty());
}

TEST_F(AgentFetchTest, WhatWasDeletedMeanwhileFailsTheClipForGood) {
  Start();
  server_.Accept();
  const v1::Lora ink = server_.loras().Publish("ink", ink_);
  server_.loras().Delete("ink");
  AssignWith("ink", ink);
  const v1::ClipFailed failed = server_.Next().clip_failed();
  EXPECT_EQ(failed.error().reason(), "LORA_NOT_FOUND");
  EXPECT_TRUE(failed.permanent());
}

TEST_F(AgentFetchTest, AServerThatDoesNotSendItFailsTheAttempt) {
  lora_patience_ = absl::ZeroDuration();
  Start();
  server_.Accept();
  server_.loras().BreakNext({1});
  AssignWith("ink", server_.loras().Publish("ink", ink_));
  const v1::ClipFailed failed = server_.Next().clip_failed();
  EXPECT_EQ(failed.error().reason(), "LORA_UNAVAILABLE");
  EXPECT_FALSE(failed.permanent());
  EXPECT_THAT(failed.error().message(), Not(HasSubstr("dropped by the test")));
  // The next attempt goes on with what is there.
  AssignWith("ink", server_.loras().Publish("ink", ink_), 2);
  ReceiveClip(server_);
  EXPECT_EQ(Cached("ink"), ink_);
  EXPECT_THAT(server_.loras().offsets(), ElementsAre(0, 1000));
}

TEST_F(AgentFetchTest, CancelEndsTheDownload) {
  Start();
  server_.Accept();
  server_.NextHeartbeat(Free);
  server_.loras().HoldNext();
  const v1::LeaseId lease = AssignWith("ink", server_.loras().Publish("ink", ink_));
  server_.loras().WaitHeld();
  Cancel(lease);
  server_.loras().WaitReleased();
  server_.NextHeartbeat(Free);
  EXPECT_TRUE(engine_.requests().empty());
}

TEST_F(AgentFetchTest, HeartbeatsGoOnMeanwhile) {
  Start();
  v1::Registered registered;
  server_.AwaitRegister();
  // Not Answer: heartbeats are wanted.
  registered.mutable_heartbeat_interval()->set_nanos(20'000'000);
  v1::ServerMessage reply;
  *reply.mutable_registered() = registered;
  server_.Send(reply);
  server_.loras().HoldNext();
  const v1::LeaseId lease = AssignWith("ink", server_.loras().Publish("ink", ink_));
  server_.loras().WaitHeld();
  for (int i = 0; i < 3; ++i) {
    server_.NextHeartbeat([&](const v1::Heartbeat& h) { return h.lease().video() == lease.video(); });
  }
  Cancel(lease);
}

TEST_F(AgentFetchTest, DrainTimeoutEndsTheDownload) {
  Start(/*drain_timeout=*/absl::ZeroDuration());
  server_.Accept();
  server_.loras().HoldNext();
  AssignWith("ink", server_.loras().Publish("ink", ink_));
  server_.loras().WaitHeld();
  agent_->Drain();
  EXPECT_TRUE(server_.Next().clip_failed().handed_back());
  server_.loras().WaitReleased();
  Join();
}

}  // namespace
}  // namespace svi::worker
