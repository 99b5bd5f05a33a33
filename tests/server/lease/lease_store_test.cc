// What happens to finished and failed clips while the database does not answer.
#include <atomic>
#include <utility>

#include "tests/server/lease/lease_fixture.h"

namespace svi::server {
namespace {

// A store whose writes on behalf of workers can be made to fail.
class FlakyStore final : public JobStore {
 public:
  explicit FlakyStore(std::unique_ptr<JobStore> real) : real_(std::move(real)) {}

  enum class Fault { kNone, kUnavailable, kAnswerLost, kUnreadable, kInternal };
  std::atomic<Fault> fault{Fault::kNone};

  absl::StatusOr<v1::Video> CreateVideo(const NewVideo& video, absl::Time now, bool* replayed) override {
    return real_->CreateVideo(video, now, replayed);
  }
  absl::StatusOr<v1::Video> GetVideo(const std::string& id) override { return real_->GetVideo(id); }
  absl::StatusOr<std::string> TenantOf(const std::string& id) override { return real_->TenantOf(id); }
  absl::StatusOr<VideoPage> ListVideos(const std::string& tenant, const std::vector<v1::VideoState>& states,
                                       int limit,
                                       const std::optional<std::pair<int64_t, std::string>>& after) override {
    return real_->ListVideos(tenant, states, limit, after);
  }
  absl::StatusOr<v1::Video> CancelVideo(const std::string& id, absl::Time now) override {
    return real_->CancelVideo(id, now);
  }
  absl::StatusOr<std::vector<ArtifactRef>> DeleteVideo(const std::string& id) override {
    return real_->DeleteVideo(id);
  }
  absl::StatusOr<v1::Video> AppendPrompts(const std::string& id, const std::vector<std::string>& prompts,
                                          std::optional<uint64_t> revision, absl::Time now) override {
    return real_->AppendPrompts(id, prompts, revision, now);
  }
  absl::StatusOr<v1::Video> FinishVideo(const std::string& id, std::optional<uint64_t> revision,
                                        absl::Time now) override {
    return real_->FinishVideo(id, revision, now);
  }
  absl::StatusOr<std::vector<v1::VideoEvent>> ListEvents(const std::string& id, uint64_t after,
                                                         int limit) override {
    return real_->ListEvents(id, after, limit);
  }
  absl::StatusOr<FinishedClip> GetClip(const std::string& id, uint32_t index) override {
    if (fault == Fault::kUnreadable) return absl::UnavailableError("away");
    return real_->GetClip(id, index);
  }
  absl::StatusOr<std::vector<CurrentClip>> ListCurrentClips(const std::string& after, int limit) override {
    return real_->ListCurrentClips(after, limit);
  }
  absl::StatusOr<std::optional<CurrentClip>> FindCurrentClip(const std::string& id) override {
    return real_->FindCurrentClip(id);
  }
  absl::StatusOr<std::vector<ServedClip>> ListServedClips(absl::Time since, int limit) override {
    return real_->ListServedClips(since, limit);
  }
  absl::StatusOr<LeasedClip> AcquireLease(const std::string& id, uint32_t clip_index,
                                          const std::string& worker, absl::Time now) override {
    return real_->AcquireLease(id, clip_index, worker, now);
  }
  absl::Status CheckLease(const Lease& lease) override { return real_->CheckLease(lease); }
  absl::Status ClaimLease(const Lease& lease, const std::string& worker) override {
    return real_->ClaimLease(lease, worker);
  }
  absl::StatusOr<v1::Video> CommitClip(const Lease& lease, const FinishedClip& clip, absl::Time now,
                                       std::vector<ArtifactRef>* obsolete) override {
    if (fault == Fault::kUnavailable) return absl::UnavailableError("away");
    if (fault == Fault::kInternal) return absl::InternalError("broken");
    auto video = real_->CommitClip(lease, clip, now, obsolete);
    if (fault == Fault::kAnswerLost) return absl::UnavailableError("away");
    return video;
  }
  absl::StatusOr<v1::Video> FailLease(const Lease& lease, const FailedAttempt& failure,
                                      absl::Time now) override {
    if (fault == Fault::kUnavailable) return absl::UnavailableError("away");
    return real_->FailLease(lease, failure, now);
  }
  absl::StatusOr<std::vector<HeldLease>> ListHeldLeases() override { return real_->ListHeldLeases(); }
  absl::StatusOr<std::vector<EndedVideo>> ListEnded(absl::Time before, const std::optional<EndedVideo>& after,
                                                    int limit) override {
    return real_->ListEnded(before, after, limit);
  }
  absl::StatusOr<Counts> Count() override { return real_->Count(); }

 private:
  const std::unique_ptr<JobStore> real_;
};

class StoreFaultTest : public LeaseTest {
 protected:
  StoreFaultTest() {
    StopServer();
    auto flaky = std::make_unique<FlakyStore>(std::move(store_));
    flaky_ = flaky.get();
    store_ = std::move(flaky);
    StartServer();
    MakeVideo("cat", 1);
    worker_ = Connect();
    worker_->Register("w1");
    lease_ = worker_->TakeJob().assign.lease();
  }
  ~StoreFaultTest() override { worker_.reset(); }

  FlakyStore* flaky_;
  std::unique_ptr<ScriptedWorker> worker_;
  v1::LeaseId lease_;
};

TEST_F(StoreFaultTest, AFinishedClipWaitsForTheStore) {
  flaky_->fault = FlakyStore::Fault::kUnavailable;
  worker_->Upload(lease_, "clip", "carry");
  worker_->Barrier();
  EXPECT_EQ(Video("cat").clips_done(), 0u);
  EXPECT_FALSE(dispatcher_->Idle());
  flaky_->fault = FlakyStore::Fault::kNone;
  dispatcher_->RunOnce(clock_.Now());
  worker_->ExpectAccepted(lease_);
  EXPECT_EQ(ReadClip("cat", 0), "clip");
}

TEST_F(StoreFaultTest, ACommitWhoseAnswerGotLostIsNotUndone) {
  flaky_->fault = FlakyStore::Fault::kAnswerLost;
  worker_->Upload(lease_, "clip", "carry");
  worker_->Barrier();
  flaky_->fault = FlakyStore::Fault::kNone;
  dispatcher_->RunOnce(clock_.Now());
  worker_->ExpectAccepted(lease_);
  EXPECT_EQ(ReadClip("cat", 0), "clip");
  EXPECT_EQ(Video("cat").state(), v1::VIDEO_STATE_SUCCEEDED);
}

TEST_F(StoreFaultTest, ACommitWhoseAnswerGotLostIsNotUndoneWhileTheStoreDoesNotTell) {
  flaky_->fault = FlakyStore::Fault::kAnswerLost;
  worker_->Upload(lease_, "clip", "carry");
  worker_->Barrier();
  flaky_->fault = FlakyStore::Fault::kUnreadable;
  dispatcher_->RunOnce(clock_.Now());
  flaky_->fault = FlakyStore::Fault::kNone;
  dispatcher_->RunOnce(clock_.Now());
  worker_->ExpectAccepted(lease_);
  EXPECT_EQ(ReadClip("cat", 0), "clip");
}

TEST_F(StoreFaultTest, ACommitWhoseAnswerGotLostIsNotUndoneByACancelThatCameTooLate) {
  flaky_->fault = FlakyStore::Fault::kAnswerLost;
  worker_->Upload(lease_, "clip", "carry");
  worker_->Barrier();
  dispatcher_->VideoEnded("cat");
  worker_->ExpectCancel(lease_, "VIDEO_CANCELLED");
  EXPECT_EQ(ReadClip("cat", 0), "clip");
  EXPECT_EQ(Video("cat").state(), v1::VIDEO_STATE_SUCCEEDED);
}

TEST_F(StoreFaultTest, AClipThatTheStoreWillNotHaveIsAFailedAttempt) {
  flaky_->fault = FlakyStore::Fault::kInternal;
  worker_->Upload(lease_, "clip", "carry");
  worker_->ExpectCancel(lease_, "CLIP_REFUSED");
  EXPECT_FALSE(Exists("cat/clip-00000.e1.mp4"));
  EXPECT_EQ(CountEvents("cat", v1::VideoEvent::kClipAttemptFailed), 1);
}

TEST_F(StoreFaultTest, AFailureWaitsForTheStoreToo) {
  flaky_->fault = FlakyStore::Fault::kUnavailable;
  worker_->Fail(lease_, "OUT_OF_MEMORY", true, false);
  worker_->Barrier();
  EXPECT_EQ(Video("cat").state(), v1::VIDEO_STATE_RUNNING);
  EXPECT_FALSE(dispatcher_->Idle());
  flaky_->fault = FlakyStore::Fault::kNone;
  dispatcher_->RunOnce(clock_.Now());
  EXPECT_EQ(Video("cat").state(), v1::VIDEO_STATE_FAILED);
  EXPECT_TRUE(dispatcher_->Idle());
}

}  // namespace
}  // namespace svi::server
