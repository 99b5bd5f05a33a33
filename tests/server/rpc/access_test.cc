// Who may call what: every method that the API has × every kind of caller, through a whole server.
#include <gmock/gmock.h>
#include <google/protobuf/descriptor.h>
#include <google/protobuf/dynamic_message.h>
#include <grpcpp/generic/generic_stub.h>
#include <grpcpp/grpcpp.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>

#include "absl/strings/str_cat.h"
#include "client/endpoint.h"
#include "server/auth/token_table.h"
#include "server/server.h"
#include "svi/v1/training_service.grpc.pb.h"
#include "svi/v1/video_service.grpc.pb.h"
#include "svi/v1/worker_service.grpc.pb.h"
#include "tests/server/auth/certificates.h"

namespace svi::server {
namespace {

using grpc::StatusCode;
using ::testing::HasSubstr;

std::string SmallPicture() {
  std::ifstream in(std::string(SVI_SOURCE_DIR) + "/tests/golden/media/rgb.png", std::ios::binary);
  std::ostringstream out;
  out << in.rdbuf();
  return out.str();
}

// All that the server offers, as the protos say: a method that is added is tested at once.
std::vector<const google::protobuf::MethodDescriptor*> AllMethods() {
  std::vector<const google::protobuf::MethodDescriptor*> methods;
  for (const char* name : {"svi.v1.VideoService", "svi.v1.TrainingService", "svi.v1.WorkerService"}) {
    const auto* service = google::protobuf::DescriptorPool::generated_pool()->FindServiceByName(name);
    for (int i = 0; i < service->method_count(); ++i) methods.push_back(service->method(i));
  }
  return methods;
}

std::string PathOf(const google::protobuf::MethodDescriptor& method) {
  return absl::StrCat("/", method.service()->full_name(), "/", method.name());
}

// One message there, then all that comes back: how the call ends, whatever its kind.
grpc::Status Call(const std::shared_ptr<grpc::Channel>& channel, const std::string& path,
                  const std::string& token, const std::string& bytes = "") {
  grpc::ClientContext context;
  context.set_deadline(std::chrono::system_clock::now() + std::chrono::seconds(30));
  if (!token.empty()) context.AddMetadata("authorization", "Bearer " + token);
  grpc::CompletionQueue queue;
  const auto wait = [&queue] {
    void* tag = nullptr;
    bool ok = false;
    return queue.Next(&tag, &ok) && ok;
  };
  grpc::GenericStub stub(channel);
  const auto call = stub.PrepareCall(&context, path, &queue);
  call->StartCall(nullptr);
  bool going = wait();
  if (going) {
    const grpc::Slice slice(bytes);
    call->WriteLast(grpc::ByteBuffer(&slice, 1), grpc::WriteOptions(), nullptr);
    wait();  // a server that refuses does not read
  }
  while (going) {
    grpc::ByteBuffer answer;
    call->Read(&answer, nullptr);
    going = wait();
  }
  grpc::Status status;
  call->Finish(&status, nullptr);
  wait();
  return status;
}

class AccessTest : public ::testing::Test {
 protected:
  void SetUp() override {
    std::string pattern = ::testing::TempDir() + "/svi-access-XXXXXX";
    dir_ = mkdtemp(pattern.data());
    options_.data_dir = dir_ + "/data";
    options_.listen = "127.0.0.1:0";
    options_.metrics_listen = "127.0.0.1:0";
    options_.token_file = dir_ + "/tokens.json";
    std::ofstream(options_.token_file) << absl::StrCat(
        R"({"tokens": [)", Entry("acme-token", "client", "acme"), ",",
        Entry("rival-token", "client", "rival"), ",", Entry("operator-token", "operator", "acme"), ",",
        Entry("worker-token", "worker", ""), "]}");
  }
  void TearDown() override {
    server_.reset();
    std::filesystem::remove_all(dir_);
  }

  static std::string Entry(const std::string& token, const std::string& role, const std::string& tenant) {
    return absl::StrCat(R"({"name": ")", token, R"(", "role": ")", role, R"(", "sha256": ")",
                        TokenHash(token), "\"",
                        tenant.empty() ? "" : absl::StrCat(R"(, "tenant": ")", tenant, "\""), "}");
  }

  void Start() {
    auto server = Server::Start(options_);
    ASSERT_TRUE(server.ok()) << server.status();
    server_ = *std::move(server);
    channel_ = grpc::CreateChannel(server_->address(), grpc::InsecureChannelCredentials());
  }

  // A message of the API by its name, with the field `name` set.
  template <typename Request>
  static std::string Named(const std::string& name) {
    Request request;
    request.set_name(name);
    return request.SerializeAsString();
  }

  std::string dir_;
  ServerOptions options_;
  std::unique_ptr<Server> server_;
  std::shared_ptr<grpc::Channel> channel_;
};

TEST_F(AccessTest, EveryMethodAsksWhoCallsAndForWhat) {
  Start();
  ASSERT_GE(AllMethods().size(), 23u);
  for (const auto* method : AllMethods()) {
    const std::string path = PathOf(*method);
    for (const char* token : {"", "wrong-token", "Acme-token"}) {
      EXPECT_EQ(Call(channel_, path, token).error_code(), StatusCode::UNAUTHENTICATED)
          << path << " " << token;
    }
    const bool for_workers = method->service()->name() == "WorkerService";
    const bool for_operators = method->name() == "ListWorkers" || method->name() == "DeleteLora";
    const struct {
      const char* token;
      bool may;
    } callers[] = {{"acme-token", !for_workers && !for_operators},
                   {"operator-token", !for_workers},
                   {"worker-token", for_workers || method->name() == "DownloadLora"}};
    for (const auto& [token, may] : callers) {
      const grpc::Status status = Call(channel_, path, token);
      EXPECT_NE(status.error_code(), StatusCode::UNAUTHENTICATED) << path << " " << token;
      EXPECT_NE(status.error_code(), StatusCode::DEADLINE_EXCEEDED) << path << " " << token;
      EXPECT_EQ(status.error_code() != StatusCode::PERMISSION_DENIED, may)
          << path << " " << token << ": " << status.error_message();
    }
  }
}

// What exists elsewhere looks exactly like what exists nowhere.
TEST_F(AccessTest, OneTenantCanNeitherSeeNorGuessAnothersVideosAndRuns) {
  Start();
  v1::CreateVideoRequest create;
  create.mutable_spec()->add_prompts("a ball");
  create.mutable_spec()->set_image(SmallPicture());
  create.set_request_id("the-same");
  v1::Video video;
  v1::TrainingRun run;
  {
    grpc::ClientContext context;
    context.AddMetadata("authorization", "Bearer acme-token");
    const auto status = v1::VideoService::NewStub(channel_)->CreateVideo(&context, create, &video);
    ASSERT_TRUE(status.ok()) << status.error_message();
    v1::CreateTrainingRunRequest train;
    train.mutable_spec()->set_dataset("scenes");
    train.mutable_spec()->set_max_steps(1);
    grpc::ClientContext second;
    second.AddMetadata("authorization", "Bearer acme-token");
    ASSERT_TRUE(v1::TrainingService::NewStub(channel_)->CreateTrainingRun(&second, train, &run).ok());
  }
  v1::AppendPromptsRequest append;
  append.set_name(video.name());
  append.add_prompts("a box");
  const std::string videos = "/svi.v1.VideoService/", runs = "/svi.v1.TrainingService/";
  const std::pair<std::string, std::string> calls[] = {
      {videos + "GetVideo", Named<v1::GetVideoRequest>(video.name())},
      {videos + "CancelVideo", Named<v1::CancelVideoRequest>(video.name())},
      {videos + "DeleteVideo", Named<v1::DeleteVideoRequest>(video.name())},
      {videos + "FinishVideo", Named<v1::FinishVideoRequest>(video.name())},
      {videos + "AppendPrompts", append.SerializeAsString()},
      {videos + "WatchVideo", Named<v1::WatchVideoRequest>(video.name())},
      {videos + "DownloadVideo", Named<v1::DownloadVideoRequest>(video.name())},
      {videos + "DownloadClip", Named<v1::DownloadClipRequest>(video.name() + "/clips/0")},
      {runs + "GetTrainingRun", Named<v1::GetTrainingRunRequest>(run.name())},
      {runs + "CancelTrainingRun", Named<v1::CancelTrainingRunRequest>(run.name())},
      {runs + "WatchTrainingRun", Named<v1::WatchTrainingRunRequest>(run.name())},
  };
  for (const auto& [path, request] : calls) {
    const grpc::Status status = Call(channel_, path, "rival-token", request);
    EXPECT_EQ(status.error_code(), StatusCode::NOT_FOUND) << path << ": " << status.error_message();
  }
  EXPECT_TRUE(
      Call(channel_, videos + "GetVideo", "acme-token", Named<v1::GetVideoRequest>(video.name())).ok());
  EXPECT_TRUE(
      Call(channel_, runs + "GetTrainingRun", "acme-token", Named<v1::GetTrainingRunRequest>(run.name()))
          .ok());

  // Another tenant's request_id is its own, and its lists are empty.
  grpc::ClientContext context;
  context.AddMetadata("authorization", "Bearer rival-token");
  const auto stub = v1::VideoService::NewStub(channel_);
  v1::ListVideosResponse list;
  ASSERT_TRUE(stub->ListVideos(&context, v1::ListVideosRequest(), &list).ok());
  EXPECT_EQ(list.videos_size(), 0);
  grpc::ClientContext again;
  again.AddMetadata("authorization", "Bearer rival-token");
  v1::Video other;
  ASSERT_TRUE(stub->CreateVideo(&again, create, &other).ok());
  EXPECT_NE(other.name(), video.name());
}

TEST_F(AccessTest, HealthNeedsNoToken) {
  Start();
  EXPECT_TRUE(Call(channel_, "/grpc.health.v1.Health/Check", "").ok());
}

TEST_F(AccessTest, ATenantThatCallsTooOftenIsToldWhenToTryAgain) {
  options_.rate_limit = 0.001;
  options_.rate_burst = 2;
  Start();
  const std::string path = "/svi.v1.VideoService/ListVideos";
  EXPECT_TRUE(Call(channel_, path, "acme-token").ok());
  EXPECT_TRUE(Call(channel_, path, "operator-token").ok());  // of the same tenant
  EXPECT_EQ(Call(channel_, path, "acme-token").error_code(), StatusCode::RESOURCE_EXHAUSTED);
  EXPECT_TRUE(Call(channel_, path, "rival-token").ok());
  EXPECT_EQ(Call(channel_, path, "wrong-token").error_code(), StatusCode::UNAUTHENTICATED);
}

TEST_F(AccessTest, PlainTextForOtherMachinesMustBeAskedFor) {
  options_.listen = "0.0.0.0:0";
  EXPECT_THAT(std::string(Server::Start(options_).status().message()), HasSubstr("--listen: other machines"));
  options_.allow_plaintext = true;
  Start();
}

TEST_F(AccessTest, ATokenFileThatIsWrongIsRefusedAtTheStart) {
  std::ofstream(options_.token_file) << "{}";
  EXPECT_THAT(std::string(Server::Start(options_).status().message()), HasSubstr("--token-file: "));
  options_.token_file = dir_ + "/none";
  EXPECT_THAT(std::string(Server::Start(options_).status().message()), HasSubstr("--token-file: "));
}

TEST_F(AccessTest, TlsAndClientCertificates) {
  const TestCertificates certificates;
  options_.tls_cert = certificates.server_cert();
  options_.tls_key = certificates.server_key();
  options_.tls_client_ca = certificates.ca_cert();
  Start();
  const std::string token = dir_ + "/token";
  std::ofstream(token) << "acme-token\n";
  Endpoint good;
  good.server = server_->address();
  good.tls_ca = certificates.ca_cert();
  good.tls_cert = certificates.client_cert();
  good.tls_key = certificates.client_key();
  good.token_file = token;
  const auto code = [](const Endpoint& endpoint) {
    EXPECT_TRUE(CheckEndpoint(endpoint).ok()) << CheckEndpoint(endpoint);
    grpc::ChannelArguments arguments;
    arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
    return Call(OpenChannel(endpoint, arguments), "/svi.v1.VideoService/ListVideos", "").error_code();
  };
  EXPECT_EQ(code(good), StatusCode::OK);
  Endpoint stranger = good;
  stranger.tls_cert = certificates.stranger_cert();
  stranger.tls_key = certificates.stranger_key();
  EXPECT_EQ(code(stranger), StatusCode::UNAVAILABLE);
  Endpoint nameless = good;
  nameless.tls_cert = nameless.tls_key = "";
  EXPECT_EQ(code(nameless), StatusCode::UNAVAILABLE);
  Endpoint plain = good;
  plain.tls_ca = plain.tls_cert = plain.tls_key = "";
  EXPECT_EQ(code(plain), StatusCode::UNAVAILABLE);
  Endpoint other_authority = good;
  other_authority.tls_ca = certificates.stranger_cert();
  EXPECT_EQ(code(other_authority), StatusCode::UNAVAILABLE);
}

}  // namespace
}  // namespace svi::server
