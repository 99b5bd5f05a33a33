// Clients and workers that are slow, many, or ask for too much: what the server holds of them is bounded, and
// whoever else there is does not notice.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "server/rpc/status.h"
#include "svi/v1/video_service.grpc.pb.h"
#include "tests/bench/load/load_client.h"
#include "tests/bench/load/load_worker.h"
#include "tests/bench/load/server_process.h"

namespace svi::load {
namespace {

using testing::HasSubstr;

constexpr int64_t kMiB = 1 << 20;
// A watcher that does not read costs the server at most: durable events that were read for it
// (WatchOptions::batch_bytes), one more and one in flight, and gRPC's own state of the call: 25 to 54 KiB
// were seen, as the allocator has it. What was read without a bound came to 1 MiB.
constexpr int64_t kBytesOfWatcher = 128 * 1024;
// A worker that uploads: one chunk of 1 MiB that is dealt with, and one that is on its way.
constexpr int64_t kBytesOfUpload = 2 * kMiB;
constexpr absl::Duration kPatience = absl::Seconds(120);

bool Await(const std::function<bool()>& there) {
  const absl::Time deadline = absl::Now() + kPatience;
  while (!there()) {
    if (absl::Now() > deadline) return false;
    absl::SleepFor(absl::Milliseconds(5));
  }
  return true;
}

class BackPressure : public testing::Test {
 protected:
  grpc::Status Get(const std::string& name, v1::Video* video) {
    grpc::ClientContext context;
    context.set_deadline(absl::ToChronoTime(absl::Now() + kPatience));
    v1::GetVideoRequest request;
    request.set_name(name);
    return stub_->GetVideo(&context, request, video);
  }

  // What this is about are not the leases of workers that a busy machine holds up.
  const ServerProcess server_{ServerSettings{"", {"--lease-timeout=100s"}}};
  const std::unique_ptr<v1::VideoService::Stub> stub_ = v1::VideoService::NewStub(server_.Connect());
};

// Checks that the durable events of a watch come one after the other.
struct Gapless {
  std::atomic<uint64_t> last{0};
  std::atomic<bool> gap{false};
  void operator()(const v1::VideoEvent& event) {
    if (event.sequence() == 0) return;
    if (event.sequence() != last + 1) gap = true;
    last = event.sequence();
  }
};

TEST_F(BackPressure, SlowWatchersAndStalledUploadsAreBounded) {
  constexpr int kUploads = 200;
  constexpr int kWatched = 10;
  constexpr int kWatchers = 2000;
  constexpr int kClips = 40;
  // A clip's event carries its prompt: the events of all watchers together would be 300 MiB.
  const std::string prompt(4000, 'a');

  for (int i = 0; i < kUploads; ++i) CreateOne(*stub_, SpecOf(1));
  const int64_t before = server_.ResidentBytes();
  const CheapEngine large(2 * kMiB);
  WorkerPool uploads(&server_, &large);
  uploads.Add(kUploads, {absl::ZeroDuration(), absl::InfiniteDuration(), /*stall=*/true});
  ASSERT_TRUE(Await([&] { return uploads.figures().stalled == kUploads; }));
  const int64_t with_uploads = server_.ResidentBytes();
  EXPECT_LT(server_.PeakBytes(), before + kUploads * kBytesOfUpload);

  std::vector<std::string> names;
  for (int i = 0; i < kWatched; ++i) names.push_back(CreateOne(*stub_, SpecOf(kClips, prompt)));
  std::vector<std::unique_ptr<Gapless>> seen;
  // As little in flight as HTTP/2 lets a client ask for: what they do not read stays at the server.
  WatcherPool watchers(&server_, /*window=*/1024);
  for (int i = 0; i < kWatchers; ++i) {
    Gapless* const mine = seen.emplace_back(std::make_unique<Gapless>()).get();
    watchers.Add(names[static_cast<size_t>(i) % kWatched], std::ref(*mine), /*reading=*/false);
  }
  watchers.AwaitOpen();

  const CheapEngine small(1024);
  {
    WorkerPool workers(&server_, &small);
    workers.Add(kWatched, {absl::Milliseconds(50), absl::Milliseconds(10)});
    ASSERT_TRUE(Await([&] { return workers.figures().clips == kWatched * kClips; }));
  }
  v1::Video other;
  EXPECT_TRUE(Get(CreateOne(*stub_, SpecOf(1)), &other).ok());
  EXPECT_EQ(other.state(), v1::VIDEO_STATE_QUEUED);
  const int64_t with_watchers = server_.ResidentBytes();
  EXPECT_LT(with_watchers, with_uploads + kWatchers * kBytesOfWatcher);
  std::printf("resident MiB: %lld, with uploads %lld, with watchers %lld\n",
              static_cast<long long>(before / kMiB), static_cast<long long>(with_uploads / kMiB),
              static_cast<long long>(with_watchers / kMiB));

  // The slow ones catch up, each without a gap.
  watchers.Read();
  for (const grpc::Status& status : watchers.AwaitEnd()) ASSERT_TRUE(status.ok()) << status.error_message();
  std::map<std::string, uint64_t> last;
  for (const std::string& name : names) {
    v1::Video video;
    ASSERT_TRUE(Get(name, &video).ok());
    EXPECT_EQ(video.state(), v1::VIDEO_STATE_SUCCEEDED);
    last[name] = video.last_sequence();
  }
  for (int i = 0; i < kWatchers; ++i) {
    EXPECT_FALSE(seen[static_cast<size_t>(i)]->gap) << i;
    EXPECT_EQ(seen[static_cast<size_t>(i)]->last, last[names[static_cast<size_t>(i) % kWatched]]) << i;
  }
  uploads.GoOn();
  EXPECT_TRUE(Await([&] { return uploads.figures().clips >= kUploads; }));
}

TEST_F(BackPressure, ARequestThatIsTooLargeIsToldTheLimit) {
  v1::VideoSpec spec = SpecOf(1);
  spec.mutable_image()->resize((size_t{32} << 20) + 1);
  v1::CreateVideoRequest request;
  *request.mutable_spec() = spec;
  v1::Video video;
  grpc::ClientContext picture;
  const grpc::Status named = stub_->CreateVideo(&picture, request, &video);
  EXPECT_EQ(named.error_code(), grpc::StatusCode::INVALID_ARGUMENT);
  EXPECT_THAT(named.error_message(), HasSubstr("image"));
  EXPECT_THAT(named.error_message(), HasSubstr("32 MiB"));
  // Larger than any message may be: gRPC itself refuses it, and does not read it.
  request.mutable_spec()->mutable_image()->resize(size_t{64} << 20);
  grpc::ClientContext message;
  const grpc::Status refused = stub_->CreateVideo(&message, request, &video);
  EXPECT_EQ(refused.error_code(), grpc::StatusCode::RESOURCE_EXHAUSTED);
  EXPECT_THAT(refused.error_message(), HasSubstr("41943040"));
}

TEST_F(BackPressure, MoreCreatesThanCanWaitAreToldWhenToComeAgainAndAllAreMade) {
  constexpr int kVideos = 200;
  const CreateLoad load(server_, SpecOf(1), /*callers=*/100, kVideos);
  EXPECT_EQ(load.names.size(), static_cast<size_t>(kVideos));
  EXPECT_GT(load.refused, 0);
}

}  // namespace
}  // namespace svi::load
