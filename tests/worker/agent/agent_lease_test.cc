// Leases that run on one connection.
#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "tests/worker/agent/agent_fixture.h"
#include "worker/media/media.h"

namespace svi::worker {
namespace {

TEST_F(AgentTest, RegistersWithWhatItIs) {
  Start();
  const v1::Register hello = server_.Accept();
  EXPECT_EQ(hello.worker_id(), "worker-1");
  EXPECT_EQ(hello.version(), "1.2.3");
  EXPECT_EQ(hello.device(), "cpu");
  EXPECT_EQ(hello.model(), "fake");
  EXPECT_EQ(hello.defaults().num_frames(), 9u);
  EXPECT_EQ(hello.defaults().negative_prompt(), "blurry");
  EXPECT_FALSE(hello.has_holding());
  EXPECT_FALSE(server_.NextHeartbeat(Free).draining());
}

TEST_F(AgentTest, MakesAClipAndHandsItOver) {
  engine_.set_carry_bytes(2'500'000);  // three chunks
  Start();
  server_.Accept();
  const v1::LeaseId lease = Assign("v", 0);
  const Upload upload = ReceiveClip(server_);
  EXPECT_EQ(upload.carry, FakeCarry(0, 2'500'000));
  EXPECT_EQ(upload.done.lease().video(), "videos/v");
  EXPECT_EQ(upload.done.frame_count(), 9u);
  EXPECT_EQ(upload.done.width(), 32u);  // of the picture, 48 by 32, floored
  EXPECT_EQ(upload.done.height(), 32u);
  EXPECT_EQ(upload.done.fps(), 24u);
  EXPECT_EQ(upload.done.encode_time().nanos(), 500'000'000);
  EXPECT_EQ(upload.done.denoise_time().seconds(), 2);
  const auto video = media::DecodeVideo(upload.clip);
  ASSERT_TRUE(video.ok()) << video.status();
  EXPECT_EQ(video->frames.size(), 9u);

  const std::vector<engine::ClipRequest> requests = engine_.requests();
  ASSERT_EQ(requests.size(), 1u);
  EXPECT_EQ(requests[0].prompt, "a boat");
  EXPECT_EQ(requests[0].seed, 7u);
  Accepted(server_, lease);
}

TEST_F(AgentTest, ReportsEveryStep) {
  Start();
  server_.Accept();
  Assign("v", 0);
  ReceiveClip(server_);
  std::vector<uint32_t> steps;
  bool uploaded = false;
  for (const v1::Progress& progress : server_.TakeProgress()) {
    uploaded = uploaded || progress.stage() == v1::STAGE_UPLOAD;
    if (progress.stage() != v1::STAGE_DENOISE) continue;
    EXPECT_EQ(progress.total(), 4u);
    EXPECT_EQ(progress.eta().seconds(), 4 - static_cast<int>(progress.step()));
    steps.push_back(progress.step());
  }
  EXPECT_THAT(steps, ::testing::ElementsAre(1, 2, 3, 4));
  EXPECT_TRUE(uploaded);
}

TEST_F(AgentTest, TheCarryReachesTheEngine) {
  Start();
  server_.Accept();
  Assign("v", 3);
  EXPECT_EQ(ReceiveClip(server_).done.frame_count(), 4u);
  ASSERT_EQ(engine_.carries().size(), 1u);
  EXPECT_EQ(engine_.carries()[0], FakeCarry(2, 3000));
}

TEST_F(AgentTest, AWarmVideoNeedsNoInputs) {
  Start();
  server_.Accept();
  const v1::LeaseId first = Assign("v", 0);
  ReceiveClip(server_);
  Accepted(server_, first);
  server_.SendAssign(MakeAssign(MakeLease("v", 1), "", ""), "", "");
  ReceiveClip(server_);
  ASSERT_EQ(engine_.carries().size(), 2u);
  EXPECT_EQ(engine_.carries()[1], FakeCarry(0, 100));
}

TEST_F(AgentTest, MissingInputsAreSaid) {
  Start();
  server_.Accept();
  server_.SendAssign(MakeAssign(MakeLease("unknown", 1), "", ""), "", "");
  const v1::WorkerMessage message = server_.Next();
  EXPECT_EQ(message.clip_failed().error().reason(), "INPUT_MISSING");
  EXPECT_FALSE(message.clip_failed().permanent());
}

TEST_F(AgentTest, ADamagedCarryIsNotUsed) {
  Start();
  server_.Accept();
  const std::string image = TestPng();
  v1::Assign assign = MakeAssign(MakeLease("v", 1), image, "carry");
  server_.SendAssign(assign, image, "cArry");
  EXPECT_EQ(server_.Next().clip_failed().error().reason(), "INPUT_CORRUPT");
  EXPECT_TRUE(engine_.requests().empty());
}

TEST_F(AgentTest, ABadPictureFailsForGood) {
  Start();
  server_.Accept();
  server_.SendAssign(MakeAssign(MakeLease("v", 0), "not a picture", ""), "not a picture", "");
  const v1::ClipFailed failed = server_.Next().clip_failed();
  EXPECT_EQ(failed.error().reason(), "BAD_PICTURE");
  EXPECT_TRUE(failed.permanent());
  EXPECT_FALSE(failed.handed_back());
}

TEST_F(AgentTest, AnEngineErrorIsToldAndTheNextClipIsMade) {
  Start();
  server_.Accept();
  engine_.FailNext(absl::ResourceExhaustedError("at /secret/path"));
  Assign("v", 0);
  const v1::ClipFailed failed = server_.Next().clip_failed();
  EXPECT_EQ(failed.error().reason(), "OUT_OF_MEMORY");
  EXPECT_FALSE(failed.permanent());
  EXPECT_EQ(failed.error().message().find("secret"), std::string::npos);
  Assign("v", 0, 2);
  EXPECT_EQ(ReceiveClip(server_).done.lease().epoch(), 2u);
}

TEST_F(AgentTest, CancelStopsAtTheNextStep) {
  engine_.StopBefore(2);
  Start();
  server_.Accept();
  const v1::LeaseId lease = Assign("v", 0);
  engine_.WaitStopped();
  Cancel(lease);
  // The next lease may come at once; it waits for the engine.
  const v1::LeaseId next = Assign("w", 0);
  server_.NextHeartbeat([&](const v1::Heartbeat& h) { return h.lease().video() == next.video(); });
  engine_.Proceed();
  EXPECT_EQ(ReceiveClip(server_).done.lease().video(), "videos/w");
  EXPECT_THAT(engine_.outcomes(),
              ::testing::ElementsAre(absl::StatusCode::kCancelled, absl::StatusCode::kOk));
}

TEST_F(AgentTest, ACancelledWorkerSaysWhenItIsFree) {
  engine_.StopBefore(1);
  Start();
  server_.Accept();
  server_.NextHeartbeat(Free);
  const v1::LeaseId lease = Assign("v", 0);
  engine_.WaitStopped();
  Cancel(lease);
  Sync();
  engine_.Proceed();
  server_.NextHeartbeat(Free);
  EXPECT_THAT(engine_.outcomes(), ::testing::ElementsAre(absl::StatusCode::kCancelled));
}

TEST_F(AgentTest, CancelOfAStaleEpochChangesNothing) {
  engine_.StopBefore(1);
  Start();
  server_.Accept();
  Assign("v", 0, 5);
  engine_.WaitStopped();
  Cancel(MakeLease("v", 0, 4));
  Sync();
  engine_.Proceed();
  EXPECT_EQ(ReceiveClip(server_).done.lease().epoch(), 5u);
}

TEST_F(AgentTest, ASecondLeaseIsHandedBack) {
  engine_.StopBefore(1);
  Start();
  server_.Accept();
  Assign("v", 0);
  engine_.WaitStopped();
  Assign("w", 0);
  const v1::ClipFailed failed = server_.Next().clip_failed();
  EXPECT_EQ(failed.lease().video(), "videos/w");
  EXPECT_TRUE(failed.handed_back());
  engine_.Proceed();
  EXPECT_EQ(ReceiveClip(server_).done.lease().video(), "videos/v");
}

}  // namespace
}  // namespace svi::worker
