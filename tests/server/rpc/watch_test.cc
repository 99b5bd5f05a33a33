// Watching: resuming, ends, slow watchers, and many of them.
#include <gmock/gmock.h>

#include <fstream>
#include <thread>

#include "tests/server/rpc/service_fixture.h"

namespace svi::server {
namespace {

using ::testing::HasSubstr;

int ThreadsNow() {
  std::ifstream in("/proc/self/status");
  std::string line;
  while (std::getline(in, line)) {
    if (line.rfind("Threads:", 0) == 0) return std::stoi(line.substr(8));
  }
  return -1;
}

class WatchTest : public ServiceTest {
 protected:
  std::unique_ptr<grpc::ClientReader<v1::VideoEvent>> Open(grpc::ClientContext* context,
                                                           const std::string& name, uint64_t after = 0) {
    v1::WatchVideoRequest request;
    request.set_name(name);
    request.set_after_sequence(after);
    return stub_->WatchVideo(context, request);
  }
  // Until the server has `count` watchers: a condition of the hub, reached through the server's own threads.
  void AwaitWatchers(size_t count) {
    while (hub_->watchers() != count) std::this_thread::yield();
  }
};

TEST_F(WatchTest, SendsEveryDurableEventInOrderAndEnds) {
  const auto video = Create(Request({"a", "b"}));
  grpc::ClientContext context;
  auto reader = Open(&context, video.name());
  v1::VideoEvent event;
  ASSERT_TRUE(reader->Read(&event));
  EXPECT_EQ(event.sequence(), 1U);
  EXPECT_EQ(event.state_changed().state(), v1::VIDEO_STATE_QUEUED);
  MakeClip(video.name());
  MakeClip(video.name());
  uint64_t sequence = 1;
  int clips = 0;
  while (reader->Read(&event)) {
    EXPECT_EQ(event.sequence(), ++sequence);
    clips += event.has_clip_done() ? 1 : 0;
  }
  EXPECT_TRUE(reader->Finish().ok());
  EXPECT_EQ(clips, 2);
  EXPECT_EQ(event.state_changed().state(), v1::VIDEO_STATE_SUCCEEDED);
  EXPECT_EQ(sequence, Get(video.name()).last_sequence());
}

TEST_F(WatchTest, ResumesAfterASequenceNumber) {
  const auto video = Create(Request());
  MakeClip(video.name());
  const auto all = Watch(video.name());
  ASSERT_GT(all.size(), 2U);
  const auto rest = Watch(video.name(), 2);
  ASSERT_EQ(rest.size(), all.size() - 2);
  EXPECT_EQ(rest.front().sequence(), 3U);
  EXPECT_TRUE(Watch(video.name(), all.back().sequence()).empty());
  grpc::ClientContext context;
  const auto status = Open(&context, video.name(), all.back().sequence() + 1)->Finish();
  EXPECT_EQ(status.error_code(), grpc::StatusCode::OUT_OF_RANGE);
  EXPECT_EQ(Reason(status), "SEQUENCE_OUT_OF_RANGE");
}

TEST_F(WatchTest, DeletedWhileWatched) {
  const auto video = Create(Request());
  grpc::ClientContext context;
  auto reader = Open(&context, video.name());
  v1::VideoEvent event;
  ASSERT_TRUE(reader->Read(&event));
  // Behind the service's back, so that the watcher cannot see the state CANCELLED first.
  ASSERT_TRUE(store_->CancelVideo(Id(video.name()), absl::Now()).ok());
  ASSERT_TRUE(store_->DeleteVideo(Id(video.name())).ok());
  hub_->Changed(Id(video.name()));
  while (reader->Read(&event)) {
  }
  const auto status = reader->Finish();
  EXPECT_EQ(status.error_code(), grpc::StatusCode::NOT_FOUND);
  EXPECT_EQ(Reason(status), "VIDEO_DELETED");
}

TEST_F(WatchTest, ServerStopTellsWhereToResume) {
  const auto video = Create(Request());
  grpc::ClientContext context;
  auto reader = Open(&context, video.name());
  v1::VideoEvent event;
  ASSERT_TRUE(reader->Read(&event));
  service_->StopWatches();
  EXPECT_FALSE(reader->Read(&event));
  const auto status = reader->Finish();
  EXPECT_EQ(status.error_code(), grpc::StatusCode::UNAVAILABLE);
  EXPECT_THAT(status.error_message(), HasSubstr("after_sequence = 1"));
  google::rpc::RetryInfo retry;
  EXPECT_TRUE(GetRetryInfo(FromGrpcStatus(status), &retry));
}

TEST_F(WatchTest, ProgressReachesAWatcherAndNotADurableOne) {
  const auto video = Create(Request());
  grpc::ClientContext context;
  auto reader = Open(&context, video.name());
  v1::VideoEvent event;
  ASSERT_TRUE(reader->Read(&event));
  grpc::ClientContext durable_context;
  v1::WatchVideoRequest request;
  request.set_name(video.name());
  request.set_durable_only(true);
  auto durable = stub_->WatchVideo(&durable_context, request);
  v1::VideoEvent durable_event;
  ASSERT_TRUE(durable->Read(&durable_event));
  v1::Progress progress;
  progress.set_step(3);
  hub_->PublishProgress(Id(video.name()), progress);
  ASSERT_TRUE(reader->Read(&event));
  EXPECT_EQ(event.sequence(), 0U);
  EXPECT_EQ(event.progress().step(), 3U);
  MakeClip(video.name());
  while (durable->Read(&durable_event)) EXPECT_FALSE(durable_event.has_progress());
  EXPECT_TRUE(durable->Finish().ok());
}

TEST_F(WatchTest, SlowWatcherLosesProgressButNoDurableEvent) {
  auto request = Request({"first"});
  request.mutable_spec()->set_open_ended(true);
  const auto video = Create(request);
  grpc::ClientContext context;
  auto reader = Open(&context, video.name());
  AwaitWatchers(1);
  // Nobody reads. The messages are large, so that HTTP/2's windows fill and the server has to hold back.
  v1::Progress progress;
  progress.set_worker(std::string(64 << 10, 'w'));
  constexpr int kPublished = 2000;
  for (int i = 0; i < kPublished; ++i) {
    hub_->PublishProgress(Id(video.name()), progress);
    if (i % 100 == 0) {
      ASSERT_TRUE(store_->AppendPrompts(Id(video.name()), {"more"}, {}, absl::Now()).ok());
      hub_->Changed(Id(video.name()));
    }
  }
  ASSERT_TRUE(store_->CancelVideo(Id(video.name()), absl::Now()).ok());
  hub_->Changed(Id(video.name()));
  uint64_t sequence = 0;
  int progress_seen = 0;
  v1::VideoEvent event;
  while (reader->Read(&event)) {
    if (event.has_progress()) {
      ++progress_seen;
    } else {
      EXPECT_EQ(event.sequence(), ++sequence);
    }
  }
  EXPECT_TRUE(reader->Finish().ok());
  EXPECT_EQ(sequence, Get(video.name()).last_sequence());
  EXPECT_LT(progress_seen, kPublished);
  EXPECT_THAT(metrics_->Text(), ::testing::Not(HasSubstr("svi_events_dropped_total 0\n")));
}

TEST_F(WatchTest, AWatchThatGoesAwayIsForgottenAndTheVideoLives) {
  const auto video = Create(Request());
  grpc::ClientContext context;
  auto reader = Open(&context, video.name());
  AwaitWatchers(1);
  context.TryCancel();
  EXPECT_EQ(reader->Finish().error_code(), grpc::StatusCode::CANCELLED);
  AwaitWatchers(0);
  EXPECT_EQ(Get(video.name()).state(), v1::VIDEO_STATE_QUEUED);
}

// The client side of one of many watches, without a thread.
class CountingWatch : public grpc::ClientReadReactor<v1::VideoEvent> {
 public:
  CountingWatch(v1::VideoService::Stub* stub, const std::string& name) {
    request_.set_name(name);
    stub->async()->WatchVideo(&context_, &request_, this);
    StartRead(&event_);
    StartCall();
  }
  void OnReadDone(bool ok) override {
    if (!ok) return;
    absl::MutexLock lock(&mu_);
    ++events_;
    StartRead(&event_);
  }
  void OnDone(const grpc::Status& status) override {
    absl::MutexLock lock(&mu_);
    ok_ = status.ok();
    done_ = true;
  }
  void AwaitDone() {
    absl::MutexLock lock(&mu_);
    mu_.Await(absl::Condition(&done_));
  }
  bool ok() const { return ok_; }
  int events() const { return events_; }

 private:
  grpc::ClientContext context_;
  v1::WatchVideoRequest request_;
  v1::VideoEvent event_;
  absl::Mutex mu_;
  bool done_ = false, ok_ = false;
  int events_ = 0;
};

TEST_F(WatchTest, AThousandWatchersNeedNoThreadsOfTheirOwn) {
  const auto video = Create(Request());
  {
    grpc::ClientContext context;
    auto warm_up = Open(&context, video.name());
    context.TryCancel();
    EXPECT_EQ(warm_up->Finish().error_code(), grpc::StatusCode::CANCELLED);
  }
  AwaitWatchers(0);
  const int before = ThreadsNow();
  ASSERT_GT(before, 0);
  constexpr int kWatchers = 1000;
  std::vector<std::unique_ptr<CountingWatch>> watches;
  for (int i = 0; i < kWatchers; ++i)
    watches.push_back(std::make_unique<CountingWatch>(stub_.get(), video.name()));
  AwaitWatchers(kWatchers);
  EXPECT_LT(ThreadsNow(), before + 60);  // both sides of all the calls are in this process
  EXPECT_THAT(metrics_->Text(), HasSubstr("svi_watchers 1000\n"));
  MakeClip(video.name());
  const int events = static_cast<int>(Get(video.name()).last_sequence());
  for (auto& watch : watches) {
    watch->AwaitDone();
    EXPECT_TRUE(watch->ok());
    EXPECT_EQ(watch->events(), events);
  }
}

}  // namespace
}  // namespace svi::server
