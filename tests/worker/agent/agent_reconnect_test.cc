// Broken connections.
#include <string>

#include "gmock/gmock.h"
#include "tests/worker/agent/agent_fixture.h"

namespace svi::worker {
namespace {

v1::Registered Resume(uint64_t clip_bytes, uint64_t carry_bytes) {
  v1::Registered registered;
  registered.set_resume(true);
  registered.set_clip_bytes_received(clip_bytes);
  registered.set_carry_bytes_received(carry_bytes);
  return registered;
}

TEST_F(AgentTest, ComputesOnWhileDisconnectedAndResumes) {
  engine_.StopBefore(2);
  Start();
  server_.Accept();
  Assign("v", 0, 9);
  engine_.WaitStopped();
  server_.Break();
  const v1::Register hello = server_.Accept(Resume(0, 0));
  EXPECT_EQ(hello.worker_id(), "worker-1");
  EXPECT_EQ(hello.holding().video(), "videos/v");
  EXPECT_EQ(hello.holding().epoch(), 9u);
  engine_.Proceed();
  EXPECT_EQ(ReceiveClip(server_).done.lease().epoch(), 9u);
  EXPECT_EQ(engine_.requests().size(), 1u);
}

TEST_F(AgentTest, TheUploadGoesOnWhereTheServerSays) {
  engine_.set_carry_bytes(3'000'000);
  Start();
  server_.Accept();
  const v1::LeaseId lease = Assign("v", 0);
  const Upload whole = ReceiveClip(server_);
  server_.Break();
  server_.Accept(Resume(whole.clip.size(), 1 << 20));
  const Upload rest = ReceiveClip(server_, whole.clip, whole.carry.substr(0, 1 << 20));
  EXPECT_EQ(rest.carry, whole.carry);
  server_.Break();
  server_.Accept(Resume(whole.clip.size(), whole.carry.size()));
  // All is there: only ClipDone is sent again.
  EXPECT_TRUE(server_.Next().has_clip_done());
  Accepted(server_, lease);
  Sync();
  server_.Break();
  EXPECT_FALSE(server_.Accept().has_holding());
}

TEST_F(AgentTest, AServerThatLostTheUploadGetsItAll) {
  Start();
  server_.Accept();
  Assign("v", 0);
  const Upload whole = ReceiveClip(server_);
  server_.Break();
  server_.Accept(Resume(0, 0));
  EXPECT_EQ(ReceiveClip(server_).clip, whole.clip);
}

TEST_F(AgentTest, ALeaseThatIsNotResumedIsAbandoned) {
  engine_.StopBefore(2);
  Start();
  server_.Accept();
  Assign("v", 0);
  engine_.WaitStopped();
  server_.Break();
  EXPECT_TRUE(server_.Accept().has_holding());
  Sync();
  engine_.Proceed();
  server_.NextHeartbeat(Free);
  EXPECT_THAT(engine_.outcomes(), ::testing::ElementsAre(absl::StatusCode::kCancelled));
  Assign("w", 0);
  EXPECT_EQ(ReceiveClip(server_).done.lease().video(), "videos/w");
}

TEST_F(AgentTest, AFailureIsToldAfterTheReconnect) {
  engine_.StopBefore(1);
  Start();
  server_.Accept();
  Assign("v", 0, 6);
  engine_.WaitStopped();
  engine_.FailNext(absl::InternalError("broken"));
  server_.Break();
  EXPECT_TRUE(server_.AwaitRegister().has_holding());
  engine_.Proceed();
  engine_.WaitOutcomes(1);
  server_.Answer(Resume(0, 0));
  const v1::ClipFailed failed = server_.Next().clip_failed();
  EXPECT_EQ(failed.error().reason(), "WORKER_INTERNAL");
  EXPECT_EQ(failed.lease().epoch(), 6u);
}

TEST_F(AgentTest, HalfReceivedInputsAreDropped) {
  Start();
  server_.Accept();
  const std::string image = TestPng();
  const v1::LeaseId lease = MakeLease("v", 0);
  server_.SendAssign(MakeAssign(lease, image, ""), image.substr(0, 10), "");
  server_.NextHeartbeat([](const v1::Heartbeat& h) { return h.has_lease(); });
  server_.Break();
  EXPECT_FALSE(server_.Accept().has_holding());
  Assign("v", 0, 2);
  EXPECT_EQ(ReceiveClip(server_).done.lease().epoch(), 2u);
}

TEST_F(AgentTest, WarmVideosAreNamedOnReconnect) {
  Start();
  server_.Accept();
  const v1::LeaseId lease = Assign("v", 0);
  ReceiveClip(server_);
  Accepted(server_, lease);
  Sync();
  server_.Break();
  const v1::Register hello = server_.Accept();
  EXPECT_THAT(hello.warm_videos(), ::testing::ElementsAre("videos/v"));
}

}  // namespace
}  // namespace svi::worker
