// The whole server with its artifacts in a real S3-compatible store.
#include <arpa/inet.h>
#include <gmock/gmock.h>
#include <signal.h>
#include <sys/socket.h>
#include <unistd.h>

#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <thread>

#include "server/server.h"
#include "svi/v1/video_service.grpc.pb.h"
#include "tests/conformance/s3_server.h"
#include "tests/server/lease/lease_fixture.h"

namespace svi::server {
namespace {

using testing::HasSubstr;

std::string SmallPicture() {
  std::ifstream in(std::string(SVI_SOURCE_DIR) + "/tests/golden/media/rgb.png", std::ios::binary);
  std::ostringstream out;
  out << in.rdbuf();
  return out.str();
}

class ServerStorageTest : public ::testing::Test {
 protected:
  void SetUp() override {
    options_.data_dir = dir_.File("data");
    options_.listen = "127.0.0.1:0";
    options_.metrics_listen = "127.0.0.1:0";
    options_.lease_timeout = absl::Minutes(10);
    options_.check_clips = false;  // they are random bytes
    options_.storage.artifacts = std::string("s3://") + S3Server::kBucket + "/svi";
    options_.storage.s3_endpoint = s3_.endpoint();
    options_.storage.s3_credentials = s3_.credentials_file();
  }
  void StartServer() {
    auto server = Server::Start(options_);
    ASSERT_TRUE(server.ok()) << server.status();
    server_ = *std::move(server);
    channel_ = grpc::CreateChannel(server_->address(), grpc::InsecureChannelCredentials());
    stub_ = v1::VideoService::NewStub(channel_);
  }
  // Queues a video of one clip, and returns its name.
  std::string CreateVideo() {
    v1::CreateVideoRequest request;
    request.mutable_spec()->set_image(SmallPicture());
    request.mutable_spec()->add_prompts("a cat");
    grpc::ClientContext context;
    v1::Video video;
    const auto status = stub_->CreateVideo(&context, request, &video);
    EXPECT_TRUE(status.ok()) << status.error_message();
    return video.name();
  }
  // The same, and makes its clip.
  std::string MakeVideo(const std::string& mp4) {
    const std::string name = CreateVideo();
    ScriptedWorker worker(channel_);
    worker.Register("w1");
    const Job job = worker.TakeJob();
    EXPECT_EQ(job.image, SmallPicture());
    worker.Upload(job.assign.lease(), mp4, "carry");
    worker.ExpectAccepted(job.assign.lease());
    return name;
  }
  grpc::Status Download(const std::string& name, std::string* bytes) {
    grpc::ClientContext context;
    v1::DownloadClipRequest request;
    request.set_name(name + "/clips/0");
    auto reader = stub_->DownloadClip(&context, request);
    v1::DownloadResponse response;
    while (reader->Read(&response)) *bytes += response.data();
    return reader->Finish();
  }
  grpc::StatusCode Get(const std::string& name) {
    grpc::ClientContext context;
    v1::GetVideoRequest request;
    request.set_name(name);
    context.set_deadline(std::chrono::system_clock::now() + std::chrono::seconds(20));
    v1::Video video;
    return stub_->GetVideo(&context, request, &video).error_code();
  }
  std::string Metrics() const {
    const std::string address = server_->metrics_address();
    const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_in to{};
    to.sin_family = AF_INET;
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    to.sin_port = htons(static_cast<uint16_t>(std::stoi(address.substr(address.rfind(':') + 1))));
    EXPECT_EQ(connect(fd, reinterpret_cast<sockaddr*>(&to), sizeof to), 0);
    const std::string request = "GET /metrics HTTP/1.0\r\n\r\n";
    EXPECT_EQ(write(fd, request.data(), request.size()), static_cast<ssize_t>(request.size()));
    std::string text;
    char buffer[4096];
    ssize_t got = 0;
    while ((got = read(fd, buffer, sizeof buffer)) > 0) text.append(buffer, static_cast<size_t>(got));
    close(fd);
    return text;
  }

  TempDir dir_;
  S3Server s3_;
  ServerOptions options_;
  std::unique_ptr<Server> server_;
  std::shared_ptr<grpc::Channel> channel_;
  std::unique_ptr<v1::VideoService::Stub> stub_;
};

TEST_F(ServerStorageTest, ClipsGoToS3AndComeBackAndDamageIsSeen) {
  StartServer();
  const std::string mp4 = Bytes(2'500'000, 'm');
  const std::string name = MakeVideo(mp4);
  const std::string id = name.substr(name.find('/') + 1);
  std::string bytes;
  grpc::Status status = Download(name, &bytes);
  EXPECT_TRUE(status.ok()) << status.error_message();
  EXPECT_EQ(bytes, mp4);
  EXPECT_FALSE(std::filesystem::exists(dir_.File("data/artifacts")));
  EXPECT_TRUE(std::filesystem::is_empty(dir_.File("data/spool")));
  EXPECT_THAT(Metrics(), HasSubstr("svi_artifacts_damaged_total 0"));

  const auto object = s3_.FileOf("svi/" + id + "/clip-00000.e1.mp4");
  ASSERT_TRUE(std::filesystem::exists(object));
  std::string damaged = mp4;
  damaged[1'000'000] ^= 1;
  std::ofstream(object, std::ios::binary) << damaged;
  bytes.clear();
  status = Download(name, &bytes);
  EXPECT_EQ(status.error_code(), grpc::StatusCode::DATA_LOSS) << status.error_message();
  EXPECT_LT(bytes.size(), mp4.size());
  const std::string metrics = Metrics();
  EXPECT_THAT(metrics, HasSubstr("svi_artifacts_damaged_total 1"));
  EXPECT_THAT(metrics, HasSubstr("svi_s3_requests_total{outcome=\"200\",request=\"put\"}"));
}

TEST_F(ServerStorageTest, AnS3ThatDiesWhileAClipIsUploadedCostsNothing) {
  StartServer();
  const std::string name = CreateVideo();
  ScriptedWorker worker(channel_);
  worker.Register("w1");
  const Job job = worker.TakeJob();
  s3_.Kill();
  const std::string mp4 = Bytes(2'500'000, 'm');
  worker.Upload(job.assign.lease(), mp4, "carry");
  // The server tries again and again.
  while (Metrics().find("svi_s3_requests_total{outcome=\"connection\",request=\"put\"}") ==
         std::string::npos) {
    absl::SleepFor(absl::Milliseconds(10));
  }
  s3_.Restart();
  worker.ExpectAccepted(job.assign.lease());
  std::string bytes;
  const grpc::Status status = Download(name, &bytes);
  EXPECT_TRUE(status.ok()) << status.error_message();
  EXPECT_EQ(bytes, mp4);
}

TEST_F(ServerStorageTest, WhileS3HangsTheRestAnswers) {
  StartServer();
  const std::string mp4 = Bytes(2'500'000, 'm');
  const std::string name = MakeVideo(mp4);
  s3_.Signal(SIGSTOP);
  // More than there are threads for what needs the job store alone.
  constexpr int kDownloads = 8;
  std::vector<std::thread> downloads;
  std::vector<std::string> bytes(kDownloads);
  for (std::string& each : bytes) {
    downloads.emplace_back([this, &name, &each] { EXPECT_TRUE(Download(name, &each).ok()); });
  }
  const auto started = [this] {
    const std::string metrics = Metrics();
    const size_t at = metrics.find("grpc_server_started_total{grpc_method=\"DownloadClip\"");
    const size_t value = at == std::string::npos ? at : metrics.find("} ", at);
    return value == std::string::npos ? 0 : std::stoi(metrics.substr(value + 2));
  };
  while (started() < kDownloads) absl::SleepFor(absl::Milliseconds(10));
  EXPECT_EQ(Get(name), grpc::StatusCode::OK);
  s3_.Signal(SIGCONT);
  for (std::thread& download : downloads) download.join();
  for (const std::string& each : bytes) EXPECT_EQ(each, mp4);
}

TEST_F(ServerStorageTest, RetentionDeletesVideosAndTheirObjects) {
  options_.storage.retention = {"1ms"};
  options_.storage.sweep_interval = absl::Seconds(1);
  StartServer();
  const std::string name = MakeVideo("clip");
  while (Get(name) != grpc::StatusCode::NOT_FOUND) absl::SleepFor(absl::Milliseconds(20));
  // The row goes first, its artifacts right after it.
  const auto folder = s3_.FileOf("svi/" + name.substr(name.find('/') + 1));
  const auto empty = [&folder] {
    return !std::filesystem::exists(folder) || std::filesystem::is_empty(folder);
  };
  while (!empty()) absl::SleepFor(absl::Milliseconds(20));
  while (Metrics().find("svi_expired_videos_total 1") == std::string::npos) {
    absl::SleepFor(absl::Milliseconds(20));
  }
}

TEST_F(ServerStorageTest, WrongOptionsAreNamed) {
  const auto error = [this](const std::function<void(StorageOptions&)>& change) {
    ServerOptions options = options_;
    change(options.storage);
    const absl::Status status = Server::Start(options).status();
    EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument) << status;
    return std::string(status.message());
  };
  EXPECT_THAT(error([](StorageOptions& s) { s.artifacts = "gs://bucket"; }), HasSubstr("--artifacts"));
  EXPECT_THAT(error([](StorageOptions& s) { s.s3_endpoint = "bucket.example"; }), HasSubstr("--s3-endpoint"));
  EXPECT_THAT(error([](StorageOptions& s) { s.retention = {"7d"}; }), HasSubstr("--retention"));
  EXPECT_THAT(error([](StorageOptions& s) { s.orphans = "shred"; }), HasSubstr("--orphans"));
  EXPECT_THAT(error([](StorageOptions& s) { s.orphan_grace = absl::Seconds(1); }),
              HasSubstr("--orphan-grace"));
  EXPECT_THAT(error([](StorageOptions& s) { s.sweep_interval = absl::ZeroDuration(); }),
              HasSubstr("--sweep-interval"));
}

}  // namespace
}  // namespace svi::server
