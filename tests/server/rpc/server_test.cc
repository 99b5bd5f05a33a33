// The whole server in this process: what a deployment relies on.
#include "server/server.h"

#include <gmock/gmock.h>
#include <grpcpp/generic/generic_stub.h>
#include <grpcpp/grpcpp.h>

#include <cstdlib>
#include <filesystem>

#include "svi/v1/video_service.grpc.pb.h"

namespace svi::server {
namespace {

using ::testing::HasSubstr;

struct Answer {
  grpc::Status status;
  std::string bytes;
};

// One message there, one back; also for streams that answer each message with one.
Answer Call(const std::shared_ptr<grpc::Channel>& channel, const std::string& method,
            const std::string& bytes) {
  const grpc::Slice slice(bytes);
  const grpc::ByteBuffer request(&slice, 1);
  grpc::GenericStub stub(channel);
  grpc::ClientContext context;
  grpc::CompletionQueue queue;
  auto call = stub.PrepareUnaryCall(&context, method, request, &queue);
  call->StartCall();
  grpc::ByteBuffer response;
  Answer answer;
  call->Finish(&response, &answer.status, nullptr);
  void* tag = nullptr;
  bool ok = false;
  queue.Next(&tag, &ok);
  if (!answer.status.ok()) return answer;
  grpc::Slice flat;
  EXPECT_TRUE(response.DumpToSingleSlice(&flat).ok());
  answer.bytes.assign(reinterpret_cast<const char*>(flat.begin()), flat.size());
  return answer;
}

class ServerTest : public ::testing::Test {
 protected:
  void SetUp() override {
    std::string pattern = ::testing::TempDir() + "/svi-server-XXXXXX";
    dir_ = mkdtemp(pattern.data());
    options_.data_dir = dir_ + "/data";
    options_.listen = "127.0.0.1:0";
    options_.metrics_listen = "127.0.0.1:0";
  }
  void TearDown() override { std::filesystem::remove_all(dir_); }

  // grpc.health.v1.Health/Check by hand: the status, or -code.
  static int Health(const std::shared_ptr<grpc::Channel>& channel, const std::string& service) {
    std::string bytes;
    if (!service.empty()) bytes = std::string("\x0A") + static_cast<char>(service.size()) + service;
    const Answer answer = Call(channel, "/grpc.health.v1.Health/Check", bytes);
    if (!answer.status.ok()) return -static_cast<int>(answer.status.error_code());
    return answer.bytes.size() == 2 ? answer.bytes[1] : 0;
  }

  std::string dir_;
  ServerOptions options_;
};

TEST_F(ServerTest, ServesHealthPerService) {
  auto server = Server::Start(options_);
  ASSERT_TRUE(server.ok()) << server.status();
  const auto channel = grpc::CreateChannel((*server)->address(), grpc::InsecureChannelCredentials());
  EXPECT_EQ(Health(channel, ""), 1);
  EXPECT_EQ(Health(channel, "svi.v1.VideoService"), 1);
  EXPECT_EQ(Health(channel, "svi.v1.TrainingService"), 1);
  EXPECT_EQ(Health(channel, "svi.v1.WorkerService"), 1);
  EXPECT_EQ(Health(channel, "no.such.Service"), -static_cast<int>(grpc::StatusCode::NOT_FOUND));
  auto stub = v1::VideoService::NewStub(channel);
  grpc::ClientContext context;
  v1::ListVideosResponse response;
  EXPECT_TRUE(stub->ListVideos(&context, v1::ListVideosRequest(), &response).ok());
  (*server)->Shutdown(absl::ZeroDuration());
}

TEST_F(ServerTest, ReflectionCanBeSwitchedOff) {
  const std::string list_services("\x3A\x00", 2);
  for (const bool on : {true, false, true}) {
    options_.reflection = on;
    auto server = Server::Start(options_);
    ASSERT_TRUE(server.ok()) << server.status();
    const auto channel = grpc::CreateChannel((*server)->address(), grpc::InsecureChannelCredentials());
    const Answer answer =
        Call(channel, "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo", list_services);
    EXPECT_EQ(answer.status.error_code(), on ? grpc::StatusCode::OK : grpc::StatusCode::UNIMPLEMENTED);
    EXPECT_EQ(answer.bytes.find("svi.v1.VideoService") != std::string::npos, on);
    EXPECT_EQ(answer.bytes.find("svi.v1.TrainingService") != std::string::npos, on);
    (*server)->Shutdown(absl::ZeroDuration());
  }
}

TEST_F(ServerTest, ASecondServerOnTheSameFolderIsRefused) {
  auto first = Server::Start(options_);
  ASSERT_TRUE(first.ok()) << first.status();
  const auto second = Server::Start(options_);
  EXPECT_EQ(second.status().code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_THAT(std::string(second.status().message()), HasSubstr("in use by another svi-server"));
  (*first)->Shutdown(absl::ZeroDuration());
  first->reset();
  EXPECT_TRUE(Server::Start(options_).ok());
}

TEST_F(ServerTest, ASecondServerOnTheSamePortIsRefused) {
  auto first = Server::Start(options_);
  ASSERT_TRUE(first.ok()) << first.status();
  options_.data_dir = dir_ + "/other";
  options_.listen = (*first)->address();
  EXPECT_THAT(std::string(Server::Start(options_).status().message()), HasSubstr("--listen: cannot listen"));
  options_.listen = "127.0.0.1:0";
  options_.metrics_listen = (*first)->metrics_address();
  EXPECT_THAT(std::string(Server::Start(options_).status().message()), HasSubstr("--metrics-listen: "));
}

TEST_F(ServerTest, BadOptionsAreNamed) {
  auto expect = [&](const char* flag) {
    const auto status = Server::Start(options_).status();
    EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument) << flag;
    EXPECT_THAT(std::string(status.message()), HasSubstr(flag));
  };
  const auto good = options_;
  options_.data_dir.clear();
  expect("--data-dir");
  options_ = good;
  options_.listen = "nonsense";
  expect("--listen");
  options_ = good;
  options_.lease_timeout = absl::Seconds(1);
  expect("--lease-timeout");
  options_ = good;
  options_.max_attempts = 0;
  expect("--max-attempts");
}

// A few kilobytes could become gigabytes: gRPC's limit is one of the compressed size.
TEST_F(ServerTest, CompressedRequestsAreRefused) {
  auto server = Server::Start(options_);
  ASSERT_TRUE(server.ok()) << server.status();
  const auto channel = grpc::CreateChannel((*server)->address(), grpc::InsecureChannelCredentials());
  auto stub = v1::VideoService::NewStub(channel);
  for (const auto algorithm : {GRPC_COMPRESS_GZIP, GRPC_COMPRESS_DEFLATE}) {
    grpc::ClientContext context;
    context.set_compression_algorithm(algorithm);
    v1::CreateVideoRequest request;
    request.mutable_spec()->add_prompts(std::string(64 << 20, 'a'));
    v1::Video video;
    const grpc::Status status = stub->CreateVideo(&context, request, &video);
    EXPECT_EQ(status.error_code(), grpc::StatusCode::UNIMPLEMENTED) << status.error_message();
  }
  (*server)->Shutdown(absl::ZeroDuration());
}

TEST(ServerBinaryTest, HoldsNoLibTorch) {
  const std::string command = "ldd " + std::string(SVI_BIN_DIR) + "/svi-server > /dev/null && ! ldd " +
                              std::string(SVI_BIN_DIR) + "/svi-server | grep -qi 'libtorch\\|libc10'";
  EXPECT_EQ(std::system(command.c_str()), 0);
}

}  // namespace
}  // namespace svi::server
