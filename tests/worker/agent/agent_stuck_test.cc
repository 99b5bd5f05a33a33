// An engine that hangs.
#include "tests/worker/agent/agent_fixture.h"

namespace svi::worker {
namespace {

TEST_F(AgentTest, AHungEngineGivesItsClipBackAndEndsTheAgent) {
  engine_.StopBefore(2);
  engine_patience_ = absl::Milliseconds(50);
  Start();
  server_.Accept();
  const v1::LeaseId lease = Assign("v", 0);
  const v1::ClipFailed failed = server_.Next().clip_failed();
  EXPECT_EQ(failed.lease().epoch(), lease.epoch());
  EXPECT_EQ(failed.error().reason(), "ENGINE_STUCK");
  EXPECT_FALSE(failed.permanent());
  EXPECT_FALSE(failed.handed_back())
      << "it may be the clip that the engine cannot do: attempts must be bounded";
  Join();
  EXPECT_TRUE(agent_->engine_stuck());
  EXPECT_TRUE(agent_->engine_busy());
}

TEST_F(AgentTest, AnIdleEngineDoesNotHang) {
  engine_patience_ = absl::Milliseconds(1);
  Start();
  server_.Accept();
  server_.NextHeartbeat(Free);
  Sync();
  agent_->Drain();
  Join();
  EXPECT_FALSE(agent_->engine_stuck());
}

}  // namespace
}  // namespace svi::worker
