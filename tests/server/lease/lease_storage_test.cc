// What happens to clips while the artifacts' storage fails, and when it has lost something.
#include <gmock/gmock.h>

#include <atomic>
#include <fstream>

#include "absl/synchronization/notification.h"
#include "tests/server/lease/lease_fixture.h"

namespace svi::server {
namespace {

using ::testing::HasSubstr;

// Artifacts that can be made to fail, or to wait, where they are committed.
class FlakyArtifacts final : public ArtifactStore {
 public:
  explicit FlakyArtifacts(std::unique_ptr<ArtifactStore> real) : real_(std::move(real)) {}

  std::atomic<bool> full{false};
  std::atomic<bool> unreadable{false};
  // If set: a commit waits for it, and is counted.
  std::atomic<bool> gated{false};
  absl::Notification gate;
  std::atomic<int> waiting{0};

  absl::StatusOr<std::unique_ptr<ArtifactWriter>> OpenWriter(absl::string_view key) override {
    auto writer = real_->OpenWriter(key);
    if (!writer.ok()) return writer;
    return std::make_unique<Writer>(this, *std::move(writer));
  }
  absl::StatusOr<std::string> ReadAt(const ArtifactRef& ref, uint64_t offset, uint64_t length) override {
    if (unreadable) return absl::UnavailableError("away");
    return real_->ReadAt(ref, offset, length);
  }
  absl::Status Delete(const ArtifactRef& ref) override { return real_->Delete(ref); }
  absl::Status Visit(absl::FunctionRef<bool(const ArtifactInfo&)> visit) override {
    return real_->Visit(visit);
  }

 private:
  class Writer final : public ArtifactWriter {
   public:
    Writer(FlakyArtifacts* store, std::unique_ptr<ArtifactWriter> real)
        : store_(store), real_(std::move(real)) {}
    absl::Status Append(uint64_t offset, absl::string_view bytes) override {
      return real_->Append(offset, bytes);
    }
    uint64_t size() const override { return real_->size(); }
    absl::StatusOr<std::string> ReadBack(uint64_t offset, uint64_t length) const override {
      return real_->ReadBack(offset, length);
    }
    absl::StatusOr<ArtifactRef> Commit() override {
      if (store_->gated) {
        ++store_->waiting;
        store_->gate.WaitForNotificationWithTimeout(absl::Seconds(60));
      }
      if (store_->full) return absl::UnavailableError("the artifact storage is full");
      return real_->Commit();
    }

   private:
    FlakyArtifacts* const store_;
    const std::unique_ptr<ArtifactWriter> real_;
  };

  const std::unique_ptr<ArtifactStore> real_;
};

class StorageFaultTest : public LeaseTest {
 protected:
  StorageFaultTest() {
    StopServer();
    auto flaky = std::make_unique<FlakyArtifacts>(std::move(artifacts_));
    flaky_ = flaky.get();
    artifacts_ = std::move(flaky);
    options_.max_attempts = 2;
    StartServer();
    MakeVideo("cat", 2);
  }
  // The pause for the storage is over, up to the fourth, and no worker is silent yet.
  void LetPausePass() {
    AwaitTask();
    clock_.Advance(absl::Seconds(9));
    dispatcher_->RunOnce(clock_.Now());
  }
  // The worker has dropped what it was told to drop, and the dispatcher knows.
  void Stop(ScriptedWorker& worker) {
    worker.Heartbeat();
    const auto idle = [this] {
      const auto workers = dispatcher_->ListWorkers();
      return workers.size() == 1 && workers.front().state() == v1::WORKER_STATE_IDLE;
    };
    while (!idle()) absl::SleepFor(absl::Milliseconds(1));
  }
  std::string FailureOf(const std::string& id) { return Video(id).error().reason(); }

  FlakyArtifacts* flaky_;
};

TEST_F(StorageFaultTest, AFullDiskCostsNoAttempt) {
  auto worker = Connect();
  worker->Register("w1");
  flaky_->full = true;
  for (uint64_t epoch = 1; epoch <= 4; ++epoch) {
    const Job job = worker->TakeJob();
    EXPECT_EQ(job.assign.attempt(), 1u);
    EXPECT_EQ(job.assign.lease().epoch(), epoch);
    worker->Upload(job.assign.lease(), "clip", "carry");
    worker->ExpectCancel(job.assign.lease(), "CLIP_REFUSED");
    if (epoch == 4) flaky_->full = false;
    Stop(*worker);
    LetPausePass();
  }
  const Job job = worker->TakeJob();
  EXPECT_EQ(job.assign.attempt(), 1u);
  worker->Upload(job.assign.lease(), "clip", "carry");
  worker->ExpectAccepted(job.assign.lease());
  EXPECT_EQ(CountEvents("cat", v1::VideoEvent::kClipAttemptFailed), 0);
  EXPECT_THAT(metrics_.Text(), HasSubstr("svi_clips_total{outcome=\"handed_back\"} 4"));
}

TEST_F(StorageFaultTest, WhileTheStorageFailsNoClipIsLeased) {
  auto worker = Connect();
  worker->Register("w1");
  flaky_->full = true;
  const v1::LeaseId lease = worker->TakeJob().assign.lease();
  worker->Upload(lease, "clip", "carry");
  worker->ExpectCancel(lease, "CLIP_REFUSED");
  Stop(*worker);
  dispatcher_->RunOnce(clock_.Now());
  EXPECT_EQ(Video("cat").state(), v1::VIDEO_STATE_QUEUED);
  clock_.Advance(absl::Milliseconds(999));
  dispatcher_->RunOnce(clock_.Now());
  EXPECT_EQ(Video("cat").state(), v1::VIDEO_STATE_QUEUED);
  clock_.Advance(absl::Milliseconds(2));
  dispatcher_->RunOnce(clock_.Now());
  EXPECT_EQ(Video("cat").state(), v1::VIDEO_STATE_RUNNING);
}

TEST_F(StorageFaultTest, InputsThatCannotBeReadNowCostNoAttempt) {
  flaky_->unreadable = true;
  auto worker = Connect();
  worker->Register("w1");
  const auto assign = worker->Next();
  ASSERT_TRUE(assign && assign->has_assign());
  worker->ExpectCancel(assign->assign().lease(), "LEASE_LOST");
  Stop(*worker);
  flaky_->unreadable = false;
  LetPausePass();
  EXPECT_EQ(worker->TakeJob().assign.attempt(), 1u);
  EXPECT_EQ(CountEvents("cat", v1::VideoEvent::kClipAttemptFailed), 0);
}

TEST_F(StorageFaultTest, ADamagedPictureFailsItsVideoAtOnceAndNoOther) {
  std::ofstream(dir_ / "artifacts" / "cat/image") << std::string(1000, '?');  // of the right size
  std::atomic<int> damaged = 0;
  artifacts_->SetDamageListener([&damaged](const ArtifactRef&, const absl::Status&) { ++damaged; });
  MakeVideo("dog", 1);
  auto worker = Connect();
  worker->Register("w1");
  const auto assign = worker->Next();
  ASSERT_TRUE(assign && assign->has_assign());
  ASSERT_EQ(assign->assign().lease().video(), "videos/cat");
  worker->ExpectCancel(assign->assign().lease(), "LEASE_LOST");
  worker->Heartbeat();
  const Job next = worker->TakeJob();
  EXPECT_EQ(next.assign.lease().video(), "videos/dog");
  EXPECT_EQ(Video("cat").state(), v1::VIDEO_STATE_FAILED);
  EXPECT_EQ(FailureOf("cat"), "INPUT_LOST");
  EXPECT_EQ(damaged, 1);
}

TEST_F(StorageFaultTest, ACarryThatWasDeletedFailsItsVideoForGood) {
  auto worker = Connect();
  worker->Register("w1");
  const v1::LeaseId lease = worker->TakeJob().assign.lease();
  dispatcher_->StopAssigning();
  worker->Upload(lease, "clip", "carry");
  worker->ExpectAccepted(lease);
  AwaitTask();
  std::filesystem::remove(dir_ / "artifacts" / "cat/clip-00000.e1.carry");
  worker.reset();
  StopServer();
  StartServer();
  worker = Connect();
  worker->Register("w2");
  const auto assign = worker->Next();
  ASSERT_TRUE(assign && assign->has_assign());
  // The picture is there; the carry is not.
  const auto picture = worker->Next();
  ASSERT_TRUE(picture && picture->has_artifact_chunk());
  worker->ExpectCancel(assign->assign().lease(), "LEASE_LOST");
  AwaitTask();
  EXPECT_EQ(Video("cat").state(), v1::VIDEO_STATE_FAILED);
  EXPECT_EQ(FailureOf("cat"), "INPUT_LOST");
  EXPECT_EQ(ReadClip("cat", 0), "clip");
}

TEST_F(StorageFaultTest, ASlowStorageHoldsUpNobodyElse) {
  auto slow = Connect();
  slow->Register("w1");
  const v1::LeaseId lease = slow->TakeJob().assign.lease();
  MakeVideo("dog", 1);
  flaky_->gated = true;
  slow->Upload(lease, "clip", "carry");
  while (flaky_->waiting == 0) absl::SleepFor(absl::Milliseconds(1));
  // Another worker comes, is given a clip and its picture, and is listened to.
  auto other = Connect();
  other->Register("w2");
  const Job job = other->TakeJob();
  EXPECT_EQ(job.assign.lease().video(), "videos/dog");
  other->Heartbeat(job.assign.lease());
  other->Barrier();
  // However long it takes, the lease does not expire.
  LetLeasesExpire();
  EXPECT_EQ(Video("cat").state(), v1::VIDEO_STATE_RUNNING);
  flaky_->gate.Notify();
  slow->ExpectAccepted(lease);
  EXPECT_EQ(ReadClip("cat", 0), "clip");
}

TEST_F(StorageFaultTest, AVideoCancelledWhileItsClipIsStoredKeepsNothingOfIt) {
  flaky_->gated = true;
  auto worker = Connect();
  worker->Register("w1");
  const v1::LeaseId lease = worker->TakeJob().assign.lease();
  worker->Upload(lease, "clip", "carry");
  while (flaky_->waiting == 0) absl::SleepFor(absl::Milliseconds(1));
  ASSERT_TRUE(store_->CancelVideo("cat", clock_.Now()).ok());
  dispatcher_->VideoEnded("cat");
  worker->ExpectCancel(lease, "VIDEO_CANCELLED");
  flaky_->gate.Notify();
  worker->Heartbeat();
  worker->Barrier();
  EXPECT_FALSE(Exists("cat/clip-00000.e1.mp4"));
  EXPECT_FALSE(Exists("cat/clip-00000.e1.carry"));
  EXPECT_EQ(Video("cat").state(), v1::VIDEO_STATE_CANCELLED);
}

TEST_F(StorageFaultTest, AWorkerThatIsBackWhileItsClipIsStoredIsToldWhenItIs) {
  flaky_->gated = true;
  auto worker = Connect();
  worker->Register("w1");
  const v1::LeaseId lease = worker->TakeJob().assign.lease();
  worker->Upload(lease, "clip", "carry");
  while (flaky_->waiting == 0) absl::SleepFor(absl::Milliseconds(1));
  auto again = Connect();
  const v1::Registered registered = again->Register("w1", lease);
  EXPECT_TRUE(registered.resume());
  EXPECT_EQ(registered.clip_bytes_received(), 4u);
  EXPECT_EQ(registered.carry_bytes_received(), 5u);
  again->SendDone(lease, "clip", "carry");
  again->Barrier();
  flaky_->gate.Notify();
  again->ExpectAccepted(lease);
  EXPECT_EQ(ReadClip("cat", 0), "clip");
}

}  // namespace
}  // namespace svi::server
