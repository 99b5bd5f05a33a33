// How clips get to workers and back when nothing goes wrong.
#include <gmock/gmock.h>

#include "absl/time/clock.h"
#include "tests/server/lease/lease_fixture.h"

namespace svi::server {
namespace {

using testing::HasSubstr;
using FlowTest = LeaseTest;

TEST_F(FlowTest, ThreeClipsByOneWorker) {
  MakeVideo("cat", 3, 0, 3'000'000);
  auto worker = Connect();
  const v1::Registered registered = worker->Register("w1");
  EXPECT_EQ(registered.heartbeat_interval().seconds(), 2);
  EXPECT_EQ(registered.lease_timeout().seconds(), 10);
  EXPECT_FALSE(registered.resume());

  for (uint32_t i = 0; i < 3; ++i) {
    SCOPED_TRACE(i);
    const Job job = worker->TakeJob();
    EXPECT_EQ(job.assign.lease().SerializeAsString(), LeaseIdOf("cat", i, 1).SerializeAsString());
    EXPECT_EQ(job.assign.prompt(), "prompt " + std::to_string(i));
    EXPECT_EQ(job.assign.seed(), 100 + 42 * i);
    EXPECT_EQ(job.assign.attempt(), 1u);
    EXPECT_EQ(job.assign.spec().prompts_size(), 3);
    // The picture comes once; then the worker has it, and its own carry, in memory.
    EXPECT_EQ(job.image, i == 0 ? Bytes(3'000'000, 'i') : "");
    EXPECT_EQ(job.carry, "");
    const auto clip = Bytes(2'500'000, static_cast<char>('a' + i));
    worker->Upload(job.assign.lease(), clip, Bytes(1'200'000, static_cast<char>('A' + i)));
    worker->ExpectAccepted(job.assign.lease());
    EXPECT_EQ(ReadClip("cat", i), clip);
  }
  EXPECT_TRUE(dispatcher_->Idle());  // and so it is done with cleaning up
  const v1::Video video = Video("cat");
  EXPECT_EQ(video.state(), v1::VIDEO_STATE_SUCCEEDED);
  ASSERT_EQ(video.clips_size(), 3);
  EXPECT_EQ(video.clips(1).worker(), "workers/w1");
  EXPECT_EQ(video.clips(1).size_bytes(), 2'500'000u);
  EXPECT_EQ(video.clips(1).frame_count(), 81u);
  EXPECT_EQ(video.clips(1).denoise_time().seconds(), 3);
  EXPECT_EQ(video.clips(1).attempt(), 1u);
  // Once the video has ended no carry is of use.
  EXPECT_TRUE(Vanishes("cat/clip-00000.e1.carry"));
  EXPECT_TRUE(Vanishes("cat/clip-00001.e1.carry"));
  EXPECT_TRUE(Vanishes("cat/clip-00002.e1.carry"));
  EXPECT_EQ(PartialFiles(), 0);
  EXPECT_THAT(metrics_.Text(), HasSubstr("svi_clips_total{outcome=\"committed\"} 3"));
}

TEST_F(FlowTest, AnIdleWorkerGetsAVideoThatIsMadeLater) {
  auto worker = Connect();
  worker->Register("w1");
  MakeVideo("late", 1);
  EXPECT_EQ(worker->TakeJob().assign.lease().video(), "videos/late");
}

TEST_F(FlowTest, AnotherWorkerIsGivenPictureAndCarry) {
  MakeVideo("cat", 2);
  auto first = Connect();
  first->Register("w1");
  const Job job = first->TakeJob();
  first->Heartbeat(job.assign.lease(), /*draining=*/true);
  first->Upload(job.assign.lease(), "clip", Bytes(2'100'000, 'c'));
  first->ExpectAccepted(job.assign.lease());

  auto second = Connect();
  second->Register("w2");
  const Job next = second->TakeJob();
  EXPECT_EQ(next.assign.lease().clip_index(), 1u);
  EXPECT_EQ(next.image, Bytes(1000, 'i'));
  EXPECT_EQ(next.carry, Bytes(2'100'000, 'c'));
  EXPECT_EQ(next.assign.carry_sha256().size(), 32u);
}

TEST_F(FlowTest, ADrainingWorkerFinishesItsClipAndGetsNoMore) {
  MakeVideo("cat", 2);
  auto worker = Connect();
  worker->Register("w1");
  const Job job = worker->TakeJob();
  worker->Heartbeat(job.assign.lease(), /*draining=*/true);
  worker->Barrier();
  ASSERT_EQ(dispatcher_->ListWorkers().size(), 1u);
  EXPECT_EQ(dispatcher_->ListWorkers()[0].state(), v1::WORKER_STATE_DRAINING);
  worker->Upload(job.assign.lease(), "clip", "carry");
  worker->ExpectAccepted(job.assign.lease());
  dispatcher_->RunOnce(clock_.Now());
  EXPECT_EQ(Video("cat").state(), v1::VIDEO_STATE_QUEUED);
  EXPECT_TRUE(dispatcher_->Idle());
}

TEST_F(FlowTest, TwoWorkersTakeTheTwoMostUrgentVideos) {
  MakeVideo("low", 1, -5);
  MakeVideo("high", 1, 5);
  MakeVideo("middle", 1, 0);
  auto first = Connect();
  first->Register("w1");
  EXPECT_EQ(first->TakeJob().assign.lease().video(), "videos/high");
  auto second = Connect();
  second->Register("w2");
  EXPECT_EQ(second->TakeJob().assign.lease().video(), "videos/middle");
  EXPECT_EQ(Video("low").state(), v1::VIDEO_STATE_QUEUED);
}

TEST_F(FlowTest, PriorityTakesEffectAtTheNextClip) {
  MakeVideo("long", 3);
  auto worker = Connect();
  worker->Register("w1");
  const Job job = worker->TakeJob();
  MakeVideo("urgent", 1, 10);
  worker->Upload(job.assign.lease(), "clip", "carry");
  worker->ExpectAccepted(job.assign.lease());
  const Job urgent = worker->TakeJob();
  EXPECT_EQ(urgent.assign.lease().video(), "videos/urgent");
  worker->Upload(urgent.assign.lease(), "clip", "carry");
  worker->ExpectAccepted(urgent.assign.lease());
  // It has made another clip since: it may have forgotten the first video.
  const Job back = worker->TakeJob();
  EXPECT_EQ(back.assign.lease().clip_index(), 1u);
  EXPECT_EQ(back.carry, "carry");
  EXPECT_EQ(back.image.size(), 1000u);
}

TEST_F(FlowTest, ProgressReachesWatchers) {
  MakeVideo("cat", 1);
  absl::Mutex mu;
  bool woken = false;
  auto watcher = hub_.Subscribe("cat", 10, [&] {
    absl::MutexLock lock(&mu);
    woken = true;
  });
  auto worker = Connect();
  worker->Register("w1");
  const Job job = worker->TakeJob();
  v1::WorkerMessage message;
  v1::WorkerProgress& report = *message.mutable_progress();
  *report.mutable_lease() = job.assign.lease();
  report.mutable_progress()->set_stage(v1::STAGE_DENOISE);
  report.mutable_progress()->set_step(7);
  report.mutable_progress()->set_total(50);
  worker->Send(message);
  report.mutable_progress()->set_step(51);  // cannot be: not passed on
  worker->Send(message);
  worker->Barrier();
  v1::Progress progress;
  ASSERT_TRUE(watcher->TakeProgress(&progress));
  EXPECT_EQ(progress.step(), 7u);
  EXPECT_EQ(progress.clip_index(), 0u);
  EXPECT_EQ(progress.worker(), "workers/w1");
  EXPECT_FALSE(watcher->TakeProgress(&progress));
  hub_.Unsubscribe("cat", watcher);
  absl::MutexLock lock(&mu);
  EXPECT_TRUE(woken);
}

TEST_F(FlowTest, ListWorkersTellsWhatEachDoes) {
  MakeVideo("cat", 1);
  auto busy = Connect();
  busy->Register("w2");
  const Job job = busy->TakeJob();
  auto idle = Connect();
  idle->Register("w1");
  const auto workers = dispatcher_->ListWorkers();
  ASSERT_EQ(workers.size(), 2u);
  EXPECT_EQ(workers[0].name(), "workers/w1");
  EXPECT_EQ(workers[0].state(), v1::WORKER_STATE_IDLE);
  EXPECT_EQ(workers[0].clip(), "");
  EXPECT_EQ(workers[0].device(), "cpu");
  EXPECT_EQ(workers[0].model(), "tiny");
  EXPECT_EQ(workers[0].version(), "1.2.3");
  EXPECT_EQ(workers[0].defaults().fps(), 24u);
  EXPECT_EQ(workers[0].connect_time().seconds(), absl::ToUnixSeconds(clock_.Now()));
  EXPECT_EQ(workers[1].name(), "workers/w2");
  EXPECT_EQ(workers[1].state(), v1::WORKER_STATE_BUSY);
  EXPECT_EQ(workers[1].clip(), "videos/cat/clips/0");

  clock_.Advance(absl::Seconds(3));
  busy->Upload(job.assign.lease(), "clip", "carry");
  busy->ExpectAccepted(job.assign.lease());
  const auto after = dispatcher_->ListWorkers();
  EXPECT_EQ(after[1].state(), v1::WORKER_STATE_IDLE);
  EXPECT_EQ(after[1].clips_done(), 1u);
  EXPECT_EQ(after[1].heartbeat_time().seconds(), absl::ToUnixSeconds(clock_.Now()));
}

TEST_F(FlowTest, CancellingReachesTheWorkerInTheMiddleOfAClip) {
  MakeVideo("cat", 2);
  auto worker = Connect();
  worker->Register("w1");
  const v1::LeaseId lease = worker->TakeJob().assign.lease();
  worker->SendChunk(lease, v1::ARTIFACT_KIND_CLIP, 0, "half");
  worker->Barrier();
  EXPECT_EQ(PartialFiles(), 1);
  ASSERT_TRUE(store_->CancelVideo("cat", clock_.Now()).ok());
  dispatcher_->VideoEnded("cat");
  worker->ExpectCancel(lease, "VIDEO_CANCELLED");
  EXPECT_EQ(PartialFiles(), 0);
  EXPECT_TRUE(dispatcher_->Idle());

  // Until it has stopped, it gets nothing else; what it still says of the old lease is passed over.
  MakeVideo("dog", 1);
  worker->Heartbeat(lease);
  worker->SendChunk(lease, v1::ARTIFACT_KIND_CLIP, 4, "more");
  dispatcher_->RunOnce(clock_.Now());
  EXPECT_EQ(Video("dog").state(), v1::VIDEO_STATE_QUEUED);
  worker->Heartbeat();
  EXPECT_EQ(worker->TakeJob().assign.lease().video(), "videos/dog");
  EXPECT_EQ(PartialFiles(), 0);
}

TEST_F(FlowTest, AfterStopAssigningTheHeldClipIsFinishedAndNoOtherBegun) {
  MakeVideo("cat", 2);
  auto worker = Connect();
  worker->Register("w1");
  const Job job = worker->TakeJob();
  dispatcher_->StopAssigning();
  EXPECT_FALSE(dispatcher_->Idle());
  EXPECT_FALSE(dispatcher_->WaitIdle(absl::Now()));
  worker->Upload(job.assign.lease(), "clip", "carry");
  worker->ExpectAccepted(job.assign.lease());
  EXPECT_TRUE(dispatcher_->WaitIdle(absl::Now() + absl::Seconds(30)));
  dispatcher_->RunOnce(clock_.Now());
  EXPECT_EQ(Video("cat").state(), v1::VIDEO_STATE_QUEUED);
  dispatcher_->Shutdown();
  EXPECT_TRUE(IsCutOff(worker->End(), grpc::StatusCode::UNAVAILABLE));
  EXPECT_TRUE(dispatcher_->ListWorkers().empty());
}

TEST_F(FlowTest, AStreamOpenedAfterShutdownIsTurnedAway) {
  dispatcher_->Shutdown();
  auto worker = Connect();
  EXPECT_EQ(worker->End().error_code(), grpc::StatusCode::UNAVAILABLE);
}

}  // namespace
}  // namespace svi::server
