// The library against a server that breaks connections at chosen points.
#include "client/svi_client.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <iterator>
#include <thread>

#include "client/errors.h"
#include "tests/client/scripted_service.h"

namespace svi::client {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Pair;
using ::testing::SizeIs;

namespace fs = std::filesystem;

std::string Contents(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}

class SviClientTest : public ::testing::Test {
 protected:
  SviClientTest() {
    const auto* test = ::testing::UnitTest::GetInstance()->current_test_info();
    dir_ =
        fs::temp_directory_path() / (std::string("svi_client_") + test->name() + std::to_string(::getpid()));
    fs::create_directories(dir_);
  }
  ~SviClientTest() override { fs::remove_all(dir_); }

  SviClient MakeClient() {
    ClientOptions options;
    options.endpoint.server = service_.address();
    options.initial_backoff = absl::Milliseconds(1);
    options.max_backoff = absl::Milliseconds(2);
    options.on_retry = [this](const absl::Status&, absl::Duration) { ++retries_; };
    return SviClient(options, &interrupt_);
  }
  std::string Path(const std::string& name) const { return (dir_ / name).string(); }
  std::unique_ptr<FileDownload> Target(const std::string& name, const std::string& sha256) {
    auto file = FileDownload::Open(Path(name), sha256);
    EXPECT_TRUE(file.ok()) << file.status();
    return *std::move(file);
  }
  size_t FilesInFolder() const {
    return static_cast<size_t>(std::distance(fs::directory_iterator(dir_), fs::directory_iterator()));
  }

  ScriptedService service_{3};
  Interrupt interrupt_;
  int retries_ = 0;
  fs::path dir_;
};

TEST_F(SviClientTest, AWatchThatBreaksAtEveryPointMissesAndRepeatsNothing) {
  // Every stream gives one message more, be it durable or not, and is then cut.
  {
    absl::MutexLock lock(&service_.mutex_);
    service_.watch_faults = {0, 1, 1, 2, 1, 3, 0, 2};
  }
  std::vector<uint64_t> seen;
  SviClient client = MakeClient();
  auto video = client.Watch("v", 0, [&](const v1::VideoEvent& event) {
    if (event.sequence() != 0) seen.push_back(event.sequence());
    return absl::OkStatus();
  });
  ASSERT_TRUE(video.ok()) << video.status();
  EXPECT_EQ(video->state(), v1::VIDEO_STATE_SUCCEEDED);
  EXPECT_THAT(seen, ElementsAre(1, 2, 3, 4, 5, 6, 7, 8));
  EXPECT_GE(retries_, 5);
}

TEST_F(SviClientTest, AWatchStartsAfterASequence) {
  std::vector<uint64_t> seen;
  SviClient client = MakeClient();
  auto video = client.Watch("videos/v", 6, [&](const v1::VideoEvent& event) {
    if (event.sequence() != 0) seen.push_back(event.sequence());
    return absl::OkStatus();
  });
  ASSERT_TRUE(video.ok()) << video.status();
  EXPECT_THAT(seen, ElementsAre(7, 8));
}

TEST_F(SviClientTest, AGapInTheEventsIsFetchedAgain) {
  {
    absl::MutexLock lock(&service_.mutex_);
    service_.watch_gaps = {3};
  }
  std::vector<uint64_t> seen;
  SviClient client = MakeClient();
  auto video = client.Watch("v", 0, [&](const v1::VideoEvent& event) {
    if (event.sequence() != 0) seen.push_back(event.sequence());
    return absl::OkStatus();
  });
  ASSERT_TRUE(video.ok()) << video.status();
  EXPECT_THAT(seen, ElementsAre(1, 2, 3, 4, 5, 6, 7, 8));
  EXPECT_EQ(retries_, 1);
}

TEST_F(SviClientTest, AnErrorOfTheCallerEndsTheWatch) {
  SviClient client = MakeClient();
  auto video =
      client.Watch("v", 0, [](const v1::VideoEvent&) { return absl::UnavailableError("disk full"); });
  EXPECT_EQ(video.status().message(), "disk full");
  EXPECT_EQ(retries_, 0) << "the caller's own error is not one of the connection";
}

TEST_F(SviClientTest, ADownloadGoesOnWhereItBroke) {
  {
    absl::MutexLock lock(&service_.mutex_);
    service_.download_faults = {0, 2, 1, 1};
  }
  SviClient client = MakeClient();
  const std::string bytes = ScriptedService::ClipBytes(1);
  const absl::Status status = client.DownloadClip("v/clips/1", *Target("clip.mp4", Sha256(bytes)));
  ASSERT_TRUE(status.ok()) << status;
  EXPECT_EQ(Contents(Path("clip.mp4")), bytes);
  EXPECT_EQ(FilesInFolder(), 1u) << "no part file is left";
  absl::MutexLock lock(&service_.mutex_);
  const std::string name = "videos/v/clips/1";
  EXPECT_THAT(service_.downloads, ElementsAre(Pair(name, 0), Pair(name, 0), Pair(name, 2000),
                                              Pair(name, 3000), Pair(name, 3501)));
}

TEST_F(SviClientTest, ALaterProcessGoesOnWithThePartFile) {
  const std::string bytes = ScriptedService::ClipBytes(0);
  ASSERT_TRUE(Target("clip.mp4", Sha256(bytes))->Append(bytes.substr(0, 1234)).ok());
  EXPECT_FALSE(fs::exists(Path("clip.mp4"))) << "half a clip has no name";
  SviClient client = MakeClient();
  ASSERT_TRUE(client.DownloadClip("v/clips/0", *Target("clip.mp4", Sha256(bytes))).ok());
  EXPECT_EQ(Contents(Path("clip.mp4")), bytes);
  absl::MutexLock lock(&service_.mutex_);
  EXPECT_THAT(service_.downloads, ElementsAre(Pair("videos/v/clips/0", 1234)));
}

TEST_F(SviClientTest, DamagedBytesAreFetchedOnceMore) {
  {
    absl::MutexLock lock(&service_.mutex_);
    service_.damaged_downloads = 1;
  }
  SviClient client = MakeClient();
  const std::string bytes = ScriptedService::ClipBytes(0);
  ASSERT_TRUE(client.DownloadClip("v/clips/0", *Target("clip.mp4", Sha256(bytes))).ok());
  EXPECT_EQ(Contents(Path("clip.mp4")), bytes);
}

TEST_F(SviClientTest, BytesThatStayDamagedNeverGetTheName) {
  {
    absl::MutexLock lock(&service_.mutex_);
    service_.damaged_downloads = 2;
  }
  SviClient client = MakeClient();
  const absl::Status status =
      client.DownloadClip("v/clips/0", *Target("clip.mp4", Sha256(ScriptedService::ClipBytes(0))));
  EXPECT_EQ(status.code(), absl::StatusCode::kDataLoss);
  EXPECT_THAT(std::string(status.message()), HasSubstr("SHA-256"));
  EXPECT_EQ(FilesInFolder(), 0u);
}

TEST_F(SviClientTest, AClipThatIsNotTheOneAnnouncedIsRefused) {
  // The server's own hash is right, but the event had promised another clip.
  SviClient client = MakeClient();
  const absl::Status status = client.DownloadClip("v/clips/0", *Target("clip.mp4", Sha256("another")));
  EXPECT_EQ(status.code(), absl::StatusCode::kDataLoss);
  EXPECT_FALSE(fs::exists(Path("clip.mp4")));
}

TEST_F(SviClientTest, AWholeVideoIsResumedWithTheClipsItBeganWith) {
  {
    absl::MutexLock lock(&service_.mutex_);
    service_.download_faults = {3, 2};
  }
  SviClient client = MakeClient();
  auto clips = client.DownloadVideo("v", std::nullopt, *Target("all.mp4", ""));
  ASSERT_TRUE(clips.ok()) << clips.status();
  EXPECT_EQ(*clips, 3u);
  EXPECT_EQ(Contents(Path("all.mp4")),
            ScriptedService::ClipBytes(0) + ScriptedService::ClipBytes(1) + ScriptedService::ClipBytes(2));
}

TEST_F(SviClientTest, ACreateWhoseAnswerIsLostIsRepeatedWithTheSameId) {
  {
    absl::MutexLock lock(&service_.mutex_);
    service_.lost_answers = {grpc::Status(grpc::StatusCode::UNAVAILABLE, "gone"),
                             grpc::Status(grpc::StatusCode::UNAVAILABLE, "gone")};
  }
  SviClient client = MakeClient();
  ASSERT_TRUE(client.CreateVideo(v1::CreateVideoRequest()).ok());
  absl::MutexLock lock(&service_.mutex_);
  ASSERT_THAT(service_.request_ids, SizeIs(3));
  EXPECT_THAT(service_.request_ids[0], SizeIs(36));
  EXPECT_EQ(service_.request_ids[0], service_.request_ids[1]);
  EXPECT_EQ(service_.request_ids[0], service_.request_ids[2]);
}

TEST_F(SviClientTest, PromptsWhoseAnswerIsLostAreNotAppendedTwice) {
  {
    absl::MutexLock lock(&service_.mutex_);
    service_.lost_answers = {grpc::Status(grpc::StatusCode::UNAVAILABLE, "gone")};
  }
  SviClient client = MakeClient();
  v1::AppendPromptsRequest request;
  request.set_name("v");
  request.add_prompts("more");
  auto video = client.AppendPrompts(request);
  ASSERT_TRUE(video.ok()) << video.status();
  EXPECT_THAT(video->spec().prompts(), ElementsAre("more"));
}

TEST_F(SviClientTest, ADeleteWhoseAnswerIsLostSucceeds) {
  {
    absl::MutexLock lock(&service_.mutex_);
    service_.lost_answers = {grpc::Status(grpc::StatusCode::UNAVAILABLE, "gone")};
  }
  SviClient client = MakeClient();
  EXPECT_TRUE(client.DeleteVideo("v", false).ok());
  EXPECT_EQ(client.DeleteVideo("v", false).code(), absl::StatusCode::kNotFound);
}

TEST_F(SviClientTest, FieldViolationsAreShown) {
  SviClient client = MakeClient();
  v1::CreateVideoRequest request;
  request.mutable_spec()->set_width(33);
  auto video = client.CreateVideo(request);
  EXPECT_EQ(Describe(video.status()),
            "INVALID_ARGUMENT: bad spec\n  spec.width: must be a multiple of 32\n  reason: INVALID_SPEC");
  EXPECT_EQ(
      DescribeAsJson(video.status()),
      R"({"error":{"code":"INVALID_ARGUMENT","fieldViolations":[{"description":"must be a multiple of 32",)"
      R"("field":"spec.width"}],"message":"bad spec","reason":"INVALID_SPEC"}})");
  EXPECT_EQ(retries_, 0);
}

TEST_F(SviClientTest, AnInterruptEndsAWatchThatWaits) {
  {
    absl::MutexLock lock(&service_.mutex_);
    service_.hold_watch = true;
  }
  std::thread ctrl_c([this] {
    {
      absl::MutexLock lock(&service_.mutex_);
      service_.mutex_.Await(absl::Condition(&service_.holding));
    }
    interrupt_.Trigger();
  });
  SviClient client = MakeClient();
  auto video = client.Watch("v", 0, [](const v1::VideoEvent&) { return absl::OkStatus(); });
  ctrl_c.join();
  EXPECT_EQ(video.status().code(), absl::StatusCode::kCancelled);
  EXPECT_EQ(retries_, 0);
}

TEST(Errors, ExitCodesSayWhatHappened) {
  EXPECT_EQ(ExitCodeFor(absl::OkStatus()), 0);
  EXPECT_EQ(ExitCodeFor(absl::InternalError("")), 1);
  EXPECT_EQ(ExitCodeFor(absl::InvalidArgumentError("")), 2);
  EXPECT_EQ(ExitCodeFor(absl::NotFoundError("")), 3);
  EXPECT_EQ(ExitCodeFor(absl::FailedPreconditionError("")), 3);
  EXPECT_EQ(ExitCodeFor(absl::UnavailableError("")), 4);
}

}  // namespace
}  // namespace svi::client
