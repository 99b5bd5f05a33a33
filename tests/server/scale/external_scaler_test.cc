// KEDA's side of the protocol, over a socket: against the scaler with made-up demand, and against the whole
// server.
#include "server/scale/external_scaler.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <map>
#include <memory>
#include <sstream>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "server/server.h"
#include "svi/v1/training_service.grpc.pb.h"
#include "svi/v1/video_service.grpc.pb.h"

namespace svi::server {
namespace {

using testing::HasSubstr;
using Keda = externalscaler::ExternalScaler;

externalscaler::ScaledObjectRef Object(const std::map<std::string, std::string>& metadata) {
  externalscaler::ScaledObjectRef object;
  object.set_name("workers");
  for (const auto& [key, value] : metadata) (*object.mutable_scalermetadata())[key] = value;
  return object;
}

void SetDeadline(grpc::ClientContext& context) {
  context.set_deadline(absl::ToChronoTime(absl::Now() + absl::Seconds(60)));
}

// What the autoscaler is told: the metric's value divided by its target.
int64_t Wanted(Keda::Stub& keda, const externalscaler::ScaledObjectRef& object) {
  grpc::ClientContext specs;
  SetDeadline(specs);
  externalscaler::GetMetricSpecResponse spec;
  EXPECT_TRUE(keda.GetMetricSpec(&specs, object, &spec).ok());
  EXPECT_EQ(spec.metricspecs_size(), 1);
  externalscaler::GetMetricsRequest request;
  *request.mutable_scaledobjectref() = object;
  request.set_metricname(spec.metricspecs(0).metricname());
  grpc::ClientContext metrics;
  SetDeadline(metrics);
  externalscaler::GetMetricsResponse response;
  const grpc::Status status = keda.GetMetrics(&metrics, request, &response);
  EXPECT_TRUE(status.ok()) << status.error_message();
  EXPECT_EQ(response.metricvalues_size(), 1);
  EXPECT_EQ(response.metricvalues(0).metricname(), request.metricname());
  return response.metricvalues(0).metricvalue() / spec.metricspecs(0).targetsize();
}

bool Active(Keda::Stub& keda, const externalscaler::ScaledObjectRef& object) {
  grpc::ClientContext context;
  SetDeadline(context);
  externalscaler::IsActiveResponse response;
  EXPECT_TRUE(keda.IsActive(&context, object, &response).ok());
  return response.result();
}

std::unique_ptr<Keda::Stub> Connect(const std::string& address) {
  return Keda::NewStub(grpc::CreateChannel(address, grpc::InsecureChannelCredentials()));
}

class ExternalScalerTest : public testing::Test {
 protected:
  ExternalScalerTest()
      : scaler_({[this](absl::Duration target) {
                   return target < absl::Minutes(1) ? 10 * wanted_ : wanted_.load();
                 },
                 [this]() -> absl::StatusOr<int64_t> { return trainers_.load(); }}) {
    EXPECT_TRUE(scaler_.Listen("127.0.0.1:0", grpc::InsecureServerCredentials()).ok());
    keda_ = Connect(absl::StrCat("127.0.0.1:", scaler_.port()));
  }

  std::atomic<int64_t> wanted_ = 0;
  std::atomic<int64_t> trainers_ = 0;
  ExternalScaler scaler_;
  std::unique_ptr<Keda::Stub> keda_;
};

TEST_F(ExternalScalerTest, TellsHowManyAreWanted) {
  EXPECT_FALSE(Active(*keda_, Object({})));
  EXPECT_EQ(Wanted(*keda_, Object({})), 0);
  wanted_ = 3;
  EXPECT_TRUE(Active(*keda_, Object({})));
  EXPECT_EQ(Wanted(*keda_, Object({})), 3);
  EXPECT_EQ(Wanted(*keda_, Object({{"targetSeconds", "30"}, {"scalerAddress", "svi:9091"}})), 30);
  EXPECT_EQ(Wanted(*keda_, Object({{"workload", "training"}})), 0);
  trainers_ = 2;
  EXPECT_EQ(Wanted(*keda_, Object({{"workload", "training"}})), 2);
}

TEST_F(ExternalScalerTest, PushesTheFirstWorkAndItsEnd) {
  grpc::ClientContext context;
  SetDeadline(context);
  const auto stream = keda_->StreamIsActive(&context, Object({}));
  externalscaler::IsActiveResponse response;
  ASSERT_TRUE(stream->Read(&response));
  EXPECT_FALSE(response.result());
  wanted_ = 1;
  scaler_.Changed();
  ASSERT_TRUE(stream->Read(&response));
  EXPECT_TRUE(response.result());
  wanted_ = 5;  // no news
  scaler_.Changed();
  wanted_ = 0;  // nobody tells
  ASSERT_TRUE(stream->Read(&response));
  EXPECT_FALSE(response.result());
}

TEST_F(ExternalScalerTest, NamesWhatIsWrongInTheMetadata) {
  for (const auto& [key, value] : std::map<std::string, std::string>{
           {"targetSeconds", "0"}, {"targetSeconds ", "x"}, {"workload", "cooking"}}) {
    const std::string name = key == "targetSeconds " ? "targetSeconds" : key;
    grpc::ClientContext context;
    SetDeadline(context);
    externalscaler::GetMetricSpecResponse response;
    const grpc::Status status = keda_->GetMetricSpec(&context, Object({{name, value}}), &response);
    EXPECT_EQ(status.error_code(), grpc::StatusCode::INVALID_ARGUMENT);
    EXPECT_THAT(status.error_message(), HasSubstr(name));
  }
}

TEST(ScalerOfTheServer, FollowsTheQueueFromTheFirstVideoToTheLast) {
  std::string dir = testing::TempDir() + "/svi-scaler-XXXXXX";
  ASSERT_NE(mkdtemp(dir.data()), nullptr);
  ServerOptions options;
  options.data_dir = dir;
  options.listen = options.metrics_listen = options.scaler_listen = "127.0.0.1:0";
  auto server = Server::Start(options);
  ASSERT_TRUE(server.ok()) << server.status();
  const auto keda = Connect((*server)->scaler_address());
  const auto videos = v1::VideoService::NewStub(
      grpc::CreateChannel((*server)->address(), grpc::InsecureChannelCredentials()));
  grpc::ClientContext watching;
  SetDeadline(watching);
  const auto stream = keda->StreamIsActive(&watching, Object({}));
  externalscaler::IsActiveResponse active;
  ASSERT_TRUE(stream->Read(&active));
  EXPECT_FALSE(active.result());

  std::ifstream picture(std::string(SVI_SOURCE_DIR) + "/tests/data/boat.jpg", std::ios::binary);
  std::ostringstream bytes;
  bytes << picture.rdbuf();
  v1::CreateVideoRequest request;
  request.mutable_spec()->set_image(bytes.str());
  for (int i = 0; i < 100; ++i) request.mutable_spec()->add_prompts("a boat");
  std::vector<v1::Video> made(3);
  for (v1::Video& video : made) {
    grpc::ClientContext context;
    SetDeadline(context);
    const grpc::Status status = videos->CreateVideo(&context, request, &video);
    ASSERT_TRUE(status.ok()) << status.error_message();
  }
  ASSERT_TRUE(stream->Read(&active));
  EXPECT_TRUE(active.result());
  // A video is made by one worker at a time, however long it is.
  EXPECT_EQ(Wanted(*keda, Object({{"targetSeconds", "1"}})), 3);
  // A target so far off that one worker can make all of them, one after the other.
  EXPECT_EQ(Wanted(*keda, Object({{"targetSeconds", "1000000"}})), 1);
  for (const v1::Video& video : made) {
    grpc::ClientContext context;
    SetDeadline(context);
    v1::CancelVideoRequest cancel;
    cancel.set_name(video.name());
    v1::Video cancelled;
    ASSERT_TRUE(videos->CancelVideo(&context, cancel, &cancelled).ok());
  }
  ASSERT_TRUE(stream->Read(&active));
  EXPECT_FALSE(active.result());
  EXPECT_EQ(Wanted(*keda, Object({{"targetSeconds", "1"}})), 0);
  server->reset();
  std::filesystem::remove_all(dir);
}

}  // namespace
}  // namespace svi::server
