// Attempts that end without a clip.
#include <gmock/gmock.h>

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "tests/server/lease/lease_fixture.h"

namespace svi::server {
namespace {

using testing::HasSubstr;

class FailureTest : public LeaseTest {
 protected:
  // Expects that the worker's upload was refused, and that the clip is given out again as attempt 2.
  void ExpectRefusedThenRetried(ScriptedWorker& worker, const v1::LeaseId& lease) {
    worker.ExpectCancel(lease, "CLIP_REFUSED");
    AwaitTask();
    const auto events = store_->ListEvents("cat", 0, 100);
    ASSERT_TRUE(events.ok());
    const auto failed = std::find_if(events->begin(), events->end(), [](const v1::VideoEvent& event) {
      return event.has_clip_attempt_failed();
    });
    ASSERT_NE(failed, events->end());
    EXPECT_EQ(failed->clip_attempt_failed().error().reason(), "UPLOAD_CORRUPT");
    EXPECT_FALSE(Exists("cat/clip-00000.e1.mp4"));
    EXPECT_FALSE(Exists("cat/clip-00000.e1.carry"));
    EXPECT_EQ(PartialFiles(), 0);
    worker.Heartbeat();
    const Job again = worker.TakeJob();
    EXPECT_EQ(again.assign.attempt(), 2u);
    EXPECT_EQ(again.assign.lease().epoch(), 2u);
  }

  v1::LeaseId TakeCat(ScriptedWorker& worker) {
    MakeVideo("cat", 1);
    worker.Register("w1");
    return worker.TakeJob().assign.lease();
  }
};

TEST_F(FailureTest, ASilentWorkerLosesItsLeaseToAnother) {
  MakeVideo("cat", 1);
  auto first = Connect();
  first->Register("w1");
  const v1::LeaseId old = first->TakeJob().assign.lease();
  first->SendChunk(old, v1::ARTIFACT_KIND_CLIP, 0, "begun");
  first->Barrier();
  LetLeasesExpire();
  EXPECT_TRUE(IsCutOff(first->End(), grpc::StatusCode::DEADLINE_EXCEEDED));
  EXPECT_EQ(PartialFiles(), 0);
  EXPECT_THAT(metrics_.Text(), HasSubstr("svi_lease_expiries_total 1"));

  auto second = Connect();
  second->Register("w2");
  const Job job = second->TakeJob();
  EXPECT_EQ(job.assign.attempt(), 2u);
  EXPECT_EQ(job.assign.lease().epoch(), 2u);

  // The first one comes back with the clip that it has finished after all: too late.
  auto late = Connect();
  EXPECT_FALSE(late->Register("w1", old).resume());
  late->ExpectCancel(old, "LEASE_LOST");
  late->Upload(old, "late clip", "late carry");
  late->Barrier();
  EXPECT_FALSE(Exists("cat/clip-00000.e1.mp4"));
  EXPECT_EQ(PartialFiles(), 0);
  EXPECT_EQ(Video("cat").clips_done(), 0u);

  second->Upload(job.assign.lease(), "clip", "carry");
  second->ExpectAccepted(job.assign.lease());
  EXPECT_EQ(ReadClip("cat", 0), "clip");
  EXPECT_EQ(Video("cat").clips(0).attempt(), 2u);
  EXPECT_EQ(CountEvents("cat", v1::VideoEvent::kClipAttemptFailed), 1);
}

TEST_F(FailureTest, HeartbeatsKeepALeaseForAsLongAsItTakes) {
  auto worker = Connect();
  const v1::LeaseId lease = TakeCat(*worker);
  for (int i = 0; i < 20; ++i) {
    clock_.Advance(absl::Seconds(9));
    worker->Heartbeat(lease);
    worker->Barrier();
    dispatcher_->RunOnce(clock_.Now());
  }
  worker->Upload(lease, "clip", "carry");
  worker->ExpectAccepted(lease);
}

TEST_F(FailureTest, AWorkerThatNeverSpeaksOfItsLeaseLosesIt) {
  auto worker = Connect();
  const v1::LeaseId lease = TakeCat(*worker);
  clock_.Advance(absl::Seconds(6));
  worker->Heartbeat();
  worker->Barrier();  // alive, but not about the lease
  clock_.Advance(absl::Seconds(6));
  dispatcher_->RunOnce(clock_.Now());
  worker->ExpectCancel(lease, "LEASE_LOST");
  EXPECT_EQ(CountEvents("cat", v1::VideoEvent::kClipAttemptFailed), 1);
}

TEST_F(FailureTest, AfterTheLastAttemptTheVideoFailsWithTheReason) {
  MakeVideo("cat", 2);
  auto worker = Connect();
  worker->Register("w1");
  for (uint32_t attempt = 1; attempt <= 3; ++attempt) {
    const Job job = worker->TakeJob();
    EXPECT_EQ(job.assign.attempt(), attempt);
    worker->Fail(job.assign.lease(), "OUT_OF_MEMORY", false, false);
  }
  MakeVideo("dog", 1);
  EXPECT_EQ(worker->TakeJob().assign.lease().video(), "videos/dog");
  const v1::Video video = Video("cat");
  EXPECT_EQ(video.state(), v1::VIDEO_STATE_FAILED);
  EXPECT_EQ(video.error().reason(), "OUT_OF_MEMORY");
  EXPECT_EQ(video.error().code(), 8);
  EXPECT_EQ(video.error().message(), "It did not work.");
  EXPECT_EQ(CountEvents("cat", v1::VideoEvent::kClipAttemptFailed), 3);
}

TEST_F(FailureTest, ExpiriesCountAsAttempts) {
  MakeVideo("cat", 1);
  for (int i = 0; i < 3; ++i) {
    auto worker = Connect();
    worker->Register(absl::StrCat("w", i));
    worker->TakeJob();
    LetLeasesExpire();
    worker->End();
  }
  EXPECT_EQ(Video("cat").state(), v1::VIDEO_STATE_FAILED);
  EXPECT_EQ(Video("cat").error().reason(), "LEASE_EXPIRED");
}

TEST_F(FailureTest, APermanentFailureIsNotTriedAgain) {
  auto worker = Connect();
  const v1::LeaseId lease = TakeCat(*worker);
  worker->Fail(lease, "lora not-found", true, true);
  MakeVideo("dog", 1);
  worker->TakeJob();
  EXPECT_EQ(Video("cat").state(), v1::VIDEO_STATE_FAILED);
  EXPECT_EQ(Video("cat").error().reason(), "LORA_NOT_FOUND");
}

TEST_F(FailureTest, ALeaseHandedBackDoesNotCount) {
  MakeVideo("cat", 1);
  for (int i = 0; i < 5; ++i) {
    auto worker = Connect();
    worker->Register(absl::StrCat("w", i));
    const Job job = worker->TakeJob();
    EXPECT_EQ(job.assign.attempt(), 1u);
    EXPECT_EQ(job.assign.lease().epoch(), static_cast<uint64_t>(i + 1));
    worker->Heartbeat(job.assign.lease(), /*draining=*/true);
    worker->Fail(job.assign.lease(), "SHUTDOWN", false, true);
    worker->Heartbeat(LeaseIdOf("nothing", 0, 1));
    worker->ExpectCancel(LeaseIdOf("nothing", 0, 1), "LEASE_LOST");
  }
  EXPECT_EQ(Video("cat").state(), v1::VIDEO_STATE_QUEUED);
  EXPECT_EQ(CountEvents("cat", v1::VideoEvent::kClipAttemptFailed), 0);
}

TEST_F(FailureTest, WrongHashOfTheClip) {
  auto worker = Connect();
  const v1::LeaseId lease = TakeCat(*worker);
  worker->SendChunk(lease, v1::ARTIFACT_KIND_CLIP, 0, "cliq");
  worker->SendChunk(lease, v1::ARTIFACT_KIND_CARRY, 0, "carry");
  worker->SendDone(lease, "clip", "carry");
  ExpectRefusedThenRetried(*worker, lease);
}

TEST_F(FailureTest, WrongHashOfTheCarry) {
  auto worker = Connect();
  const v1::LeaseId lease = TakeCat(*worker);
  worker->SendChunk(lease, v1::ARTIFACT_KIND_CLIP, 0, "clip");
  worker->SendChunk(lease, v1::ARTIFACT_KIND_CARRY, 0, "karry");
  worker->SendDone(lease, "clip", "carry");
  ExpectRefusedThenRetried(*worker, lease);
}

TEST_F(FailureTest, TruncatedUpload) {
  auto worker = Connect();
  const v1::LeaseId lease = TakeCat(*worker);
  worker->SendChunk(lease, v1::ARTIFACT_KIND_CLIP, 0, "cli");
  worker->SendChunk(lease, v1::ARTIFACT_KIND_CARRY, 0, "carry");
  worker->SendDone(lease, "clip", "carry");
  ExpectRefusedThenRetried(*worker, lease);
}

TEST_F(FailureTest, UploadWithoutACarry) {
  auto worker = Connect();
  const v1::LeaseId lease = TakeCat(*worker);
  worker->SendChunk(lease, v1::ARTIFACT_KIND_CLIP, 0, "clip");
  worker->SendDone(lease, "clip", "carry");
  ExpectRefusedThenRetried(*worker, lease);
}

TEST_F(FailureTest, UploadWithAGap) {
  auto worker = Connect();
  const v1::LeaseId lease = TakeCat(*worker);
  worker->SendChunk(lease, v1::ARTIFACT_KIND_CLIP, 0, "clip");
  worker->SendChunk(lease, v1::ARTIFACT_KIND_CLIP, 5, "clip");
  ExpectRefusedThenRetried(*worker, lease);
}

TEST_F(FailureTest, UploadBeyondTheLimit) {
  StopServer();
  options_.max_clip_bytes = 10;
  StartServer();
  auto worker = Connect();
  const v1::LeaseId lease = TakeCat(*worker);
  worker->SendChunk(lease, v1::ARTIFACT_KIND_CLIP, 0, "0123456789");
  worker->SendChunk(lease, v1::ARTIFACT_KIND_CLIP, 10, "x");
  ExpectRefusedThenRetried(*worker, lease);
}

TEST_F(FailureTest, ClipThatCannotBe) {
  auto worker = Connect();
  const v1::LeaseId lease = TakeCat(*worker);
  v1::WorkerMessage message;
  *message.mutable_clip_done()->mutable_lease() = lease;
  message.mutable_clip_done()->set_clip_bytes(1);
  worker->Send(message);
  ExpectRefusedThenRetried(*worker, lease);
}

TEST_F(FailureTest, AnUploadMayStartOver) {
  auto worker = Connect();
  const v1::LeaseId lease = TakeCat(*worker);
  worker->SendChunk(lease, v1::ARTIFACT_KIND_CLIP, 0, "wrong start, much longer than the clip");
  worker->Upload(lease, "clip", "carry");
  worker->ExpectAccepted(lease);
  EXPECT_EQ(ReadClip("cat", 0), "clip");
}

TEST_F(FailureTest, AStaleEpochIsRefused) {
  auto worker = Connect();
  const v1::LeaseId lease = TakeCat(*worker);
  worker->Fail(lease, "OUT_OF_MEMORY", false, false);
  const v1::LeaseId current = worker->TakeJob().assign.lease();
  EXPECT_EQ(current.epoch(), lease.epoch() + 1);
  worker->SendChunk(lease, v1::ARTIFACT_KIND_CLIP, 0, "stale");
  worker->ExpectCancel(lease, "LEASE_LOST");
  worker->SendDone(lease, "stale", "carry");
  worker->Upload(current, "clip", "carry");
  worker->ExpectAccepted(current);
  EXPECT_EQ(ReadClip("cat", 0), "clip");
}

TEST_F(FailureTest, AnInputThatIsGoneFailsTheAttemptNotTheServer) {
  MakeVideo("cat", 1);
  std::filesystem::remove(dir_ / "artifacts" / "cat" / "image");
  auto worker = Connect();
  worker->Register("w1");
  const auto assign = worker->Next();
  ASSERT_TRUE(assign && assign->has_assign());
  worker->ExpectCancel(assign->assign().lease(), "LEASE_LOST");
  EXPECT_EQ(CountEvents("cat", v1::VideoEvent::kClipAttemptFailed), 1);
}

TEST_F(FailureTest, AVideoCancelledWhileItsClipIsCommittedKeepsNothingOfIt) {
  auto worker = Connect();
  const v1::LeaseId lease = TakeCat(*worker);
  // The dispatcher has not been told yet.
  ASSERT_TRUE(store_->CancelVideo("cat", clock_.Now()).ok());
  worker->Upload(lease, "clip", "carry");
  worker->ExpectCancel(lease, "LEASE_LOST");
  EXPECT_FALSE(Exists("cat/clip-00000.e1.mp4"));
  EXPECT_FALSE(Exists("cat/clip-00000.e1.carry"));
  EXPECT_EQ(Video("cat").state(), v1::VIDEO_STATE_CANCELLED);
  EXPECT_TRUE(dispatcher_->Idle());
}

}  // namespace
}  // namespace svi::server
