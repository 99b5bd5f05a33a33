#include "tests/server/rpc/service_fixture.h"

#include <grpcpp/generic/generic_stub.h>

#include <filesystem>
#include <fstream>
#include <sstream>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "server/metrics/rpc_metrics.h"
#include "worker/media/media.h"

namespace svi::server {
namespace {

std::string ReadFixture(const std::string& name) {
  std::ifstream in(std::string(SVI_SOURCE_DIR) + "/tests/golden/media/" + name, std::ios::binary);
  std::ostringstream out;
  out << in.rdbuf();
  return out.str();
}

std::string SmallMp4(int brightness) {
  auto encoder = media::ClipEncoder::Open({64, 64, 24});
  EXPECT_TRUE(encoder.ok()) << encoder.status();
  engine::Picture frame;
  frame.width = 64;
  frame.height = 64;
  frame.rgb.assign(size_t{64} * 64 * 3, static_cast<uint8_t>(brightness));
  for (int i = 0; i < 5; ++i) EXPECT_TRUE((*encoder)->Add(frame).ok());
  auto mp4 = (*encoder)->Finish();
  EXPECT_TRUE(mp4.ok()) << mp4.status();
  return mp4.value_or("");
}

}  // namespace

void ServiceTest::SetUp() {
  std::string pattern = ::testing::TempDir() + "/svi-rpc-XXXXXX";
  dir_ = mkdtemp(pattern.data());
  metrics_ = std::make_unique<ServerMetrics>();
  hub_ = std::make_unique<EventHub>([this](size_t n) { metrics_->EventsDropped(n); },
                                    [this](int delta) { metrics_->WatchersChanged(delta); });
  training_hub_ = std::make_unique<TrainingHub>([this](size_t n) { metrics_->EventsDropped(n); },
                                                [this](int delta) { metrics_->WatchersChanged(delta); });
  auto stores = OpenSqliteStores(dir_ + "/svi.db");
  ASSERT_TRUE(stores.ok()) << stores.status();
  store_ = std::move(stores->jobs);
  training_store_ = std::move(stores->training);
  auto artifacts = OpenLocalArtifacts(dir_ + "/artifacts");
  ASSERT_TRUE(artifacts.ok()) << artifacts.status();
  artifacts_ = *std::move(artifacts);
  auto joins = JoinCache::Open(dir_ + "/joined");
  ASSERT_TRUE(joins.ok()) << joins.status();
  joins_ = *std::move(joins);
  VideoParts parts;
  parts.store = store_.get();
  parts.artifacts = artifacts_.get();
  parts.hub = hub_.get();
  parts.metrics = metrics_.get();
  parts.joins = joins_.get();
  parts.video_changed = [this](const std::string&) { work_changed_(); };
  parts.video_ended = [this](const std::string& id) { ended_.push_back(id); };
  parts.list_workers = [] {
    v1::Worker worker;
    worker.set_name("workers/w1");
    return std::vector<v1::Worker>{worker};
  };
  service_ = std::make_unique<VideoService>(std::move(parts), options_);
  TrainingParts training;
  training.store = training_store_.get();
  training.artifacts = artifacts_.get();
  training.hub = training_hub_.get();
  training.metrics = metrics_.get();
  training.runs_changed = [this] { ++runs_changed_; };
  training.run_ended = [this](const std::string& id) { runs_ended_.push_back(id); };
  training_ = std::make_unique<TrainingService>(std::move(training), TrainingServiceOptions());
  grpc::ServerBuilder builder;
  std::vector<std::unique_ptr<grpc::experimental::ServerInterceptorFactoryInterface>> interceptors;
  interceptors.push_back(MakeRpcMetrics(metrics_.get()));
  builder.experimental().SetInterceptorCreators(std::move(interceptors));
  builder.SetMaxReceiveMessageSize(40 << 20);
  int port = 0;
  builder.AddListeningPort("127.0.0.1:0", grpc::InsecureServerCredentials(), &port);
  builder.RegisterService(service_->service());
  builder.RegisterService(training_->service());
  server_ = builder.BuildAndStart();
  ASSERT_NE(server_, nullptr);
  channel_ = grpc::CreateChannel(absl::StrCat("127.0.0.1:", port), grpc::InsecureChannelCredentials());
  stub_ = v1::VideoService::NewStub(channel_);
  training_stub_ = v1::TrainingService::NewStub(channel_);
}

void ServiceTest::TearDown() {
  if (service_) service_->StopWatches();
  if (training_) training_->StopWatches();
  if (server_) {
    server_->Shutdown(std::chrono::system_clock::now() + std::chrono::seconds(5));
    server_->Wait();
  }
  server_.reset();
  service_.reset();
  training_.reset();
  std::filesystem::remove_all(dir_);
}

v1::CreateVideoRequest ServiceTest::Request(const std::vector<std::string>& prompts) {
  static const std::string image = ReadFixture("rgb.png");
  v1::CreateVideoRequest request;
  request.mutable_spec()->set_image(image);
  for (const auto& prompt : prompts) request.mutable_spec()->add_prompts(prompt);
  return request;
}

v1::Video ServiceTest::Create(const v1::CreateVideoRequest& request) {
  grpc::ClientContext context;
  v1::Video video;
  const auto status = stub_->CreateVideo(&context, request, &video);
  EXPECT_TRUE(status.ok()) << status.error_message();
  return video;
}

v1::Video ServiceTest::Get(const std::string& name) {
  grpc::ClientContext context;
  v1::GetVideoRequest request;
  request.set_name(name);
  v1::Video video;
  const auto status = stub_->GetVideo(&context, request, &video);
  EXPECT_TRUE(status.ok()) << status.error_message();
  return video;
}

std::string ServiceTest::MakeClip(const std::string& name) {
  const std::string id = Id(name);
  const uint32_t index = Get(name).clips_done();
  const auto lease = store_->AcquireLease(id, index, "workers/w1", absl::Now());
  EXPECT_TRUE(lease.ok()) << lease.status();
  if (!lease.ok()) return "";
  const std::string mp4 = SmallMp4(static_cast<int>(40 + 30 * index));
  FinishedClip clip;
  clip.clip.set_frame_count(5);
  clip.clip.set_width(64);
  clip.clip.set_height(64);
  clip.clip.set_fps(24);
  clip.clip.set_worker("workers/w1");
  clip.mp4 = artifacts_->Put(absl::StrCat(id, "/clip-", index, ".mp4"), mp4).value();
  clip.clip.set_size_bytes(clip.mp4.size);
  clip.clip.set_sha256(clip.mp4.sha256);
  clip.carry = artifacts_->Put(absl::StrCat(id, "/carry-", index), "carry").value();
  std::vector<ArtifactRef> obsolete;
  const auto committed = store_->CommitClip(lease->lease, clip, absl::Now(), &obsolete);
  EXPECT_TRUE(committed.ok()) << committed.status();
  hub_->Changed(id);
  return mp4;
}

std::vector<v1::VideoEvent> ServiceTest::Watch(const std::string& name, uint64_t after) {
  grpc::ClientContext context;
  v1::WatchVideoRequest request;
  request.set_name(name);
  request.set_after_sequence(after);
  auto reader = stub_->WatchVideo(&context, request);
  std::vector<v1::VideoEvent> events;
  v1::VideoEvent event;
  while (reader->Read(&event)) events.push_back(event);
  const auto status = reader->Finish();
  EXPECT_TRUE(status.ok()) << status.error_message();
  return events;
}

std::string ServiceTest::Reason(const grpc::Status& status) {
  google::rpc::ErrorInfo info;
  if (!GetErrorInfo(FromGrpcStatus(status), &info)) return "";
  EXPECT_EQ(info.domain(), "svi-serving");
  return info.reason();
}

std::vector<std::string> ServiceTest::Violations(const grpc::Status& status) {
  EXPECT_EQ(status.error_code(), grpc::StatusCode::INVALID_ARGUMENT) << status.error_message();
  google::rpc::BadRequest bad;
  std::vector<std::string> result;
  if (!GetBadRequest(FromGrpcStatus(status), &bad)) return result;
  for (const auto& violation : bad.field_violations()) {
    result.push_back(violation.field() + ": " + violation.description());
  }
  return result;
}

grpc::Status ServiceTest::CallRaw(const std::string& method, const std::string& bytes) {
  grpc::GenericStub stub(channel_);
  grpc::ClientContext context;
  grpc::CompletionQueue queue;
  const grpc::Slice slice(bytes);
  const grpc::ByteBuffer request(&slice, 1);
  auto call = stub.PrepareUnaryCall(
      &context, (method.find('/') == std::string::npos ? "/svi.v1.VideoService/" : "/svi.v1.") + method,
      request, &queue);
  call->StartCall();
  grpc::ByteBuffer response;
  grpc::Status status;
  call->Finish(&response, &status, nullptr);
  void* tag = nullptr;
  bool ok = false;
  queue.Next(&tag, &ok);
  return status;
}

}  // namespace svi::server
