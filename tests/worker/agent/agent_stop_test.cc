// Draining and handing back.
#include "tests/worker/agent/agent_fixture.h"

namespace svi::worker {
namespace {

bool Draining(const v1::Heartbeat& heartbeat) { return heartbeat.draining(); }

TEST_F(AgentTest, AnIdleWorkerStopsAtOnce) {
  Start();
  server_.Accept();
  server_.NextHeartbeat(Free);
  agent_->Drain();
  server_.NextHeartbeat(Draining);
  Join();
}

TEST_F(AgentTest, AWorkerWithoutAServerStops) {
  Start();
  agent_->Drain();
  Join();
}

TEST_F(AgentTest, DrainFinishesTheClip) {
  engine_.StopBefore(2);
  Start();
  server_.Accept();
  const v1::LeaseId lease = Assign("v", 0);
  engine_.WaitStopped();
  agent_->Drain();
  server_.NextHeartbeat(Draining);
  engine_.Proceed();
  EXPECT_EQ(ReceiveClip(server_).done.frame_count(), 9u);
  Accepted(server_, lease);
  Join();
  EXPECT_FALSE(agent_->engine_busy());
}

TEST_F(AgentTest, TheServerCanDrainIt) {
  Start();
  server_.Accept();
  v1::ServerMessage message;
  message.mutable_drain();
  server_.Send(std::move(message));
  server_.NextHeartbeat(Draining);
  Join();
}

TEST_F(AgentTest, WorkThatCrossesTheDrainIsHandedBack) {
  engine_.StopBefore(2);
  Start();
  server_.Accept();
  const v1::LeaseId lease = Assign("v", 0);
  engine_.WaitStopped();
  agent_->Drain();
  server_.NextHeartbeat(Draining);
  Assign("w", 0);
  const v1::ClipFailed failed = server_.Next().clip_failed();
  EXPECT_EQ(failed.lease().video(), "videos/w");
  EXPECT_TRUE(failed.handed_back());
  engine_.Proceed();
  ReceiveClip(server_);
  Accepted(server_, lease);
  Join();
}

TEST_F(AgentTest, TheDrainTimeoutHandsBack) {
  engine_.StopBefore(2);
  Start(/*drain_timeout=*/absl::ZeroDuration());
  server_.Accept();
  Assign("v", 0, 3);
  engine_.WaitStopped();
  agent_->Drain();
  const v1::ClipFailed failed = server_.Next().clip_failed();
  EXPECT_TRUE(failed.handed_back());
  EXPECT_FALSE(failed.permanent());
  EXPECT_EQ(failed.lease().epoch(), 3u);
  Join();
  EXPECT_TRUE(agent_->engine_busy());  // still before its step; the process would end here
}

TEST_F(AgentTest, TheSecondSignalHandsBack) {
  engine_.StopBefore(2);
  Start();
  server_.Accept();
  Assign("v", 0);
  engine_.WaitStopped();
  agent_->Drain();
  server_.NextHeartbeat(Draining);
  agent_->HandBack();
  EXPECT_TRUE(server_.Next().clip_failed().handed_back());
  Join();
}

}  // namespace
}  // namespace svi::worker
