// VideoService and TrainingService on a real socket over a real SQLite store in a folder of its own; the
// tests play the worker.
#ifndef SVI_TESTS_SERVER_RPC_SERVICE_FIXTURE_H_
#define SVI_TESTS_SERVER_RPC_SERVICE_FIXTURE_H_

#include <grpcpp/grpcpp.h>
#include <gtest/gtest.h>

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "server/artifacts/local_artifacts.h"
#include "server/metrics/server_metrics.h"
#include "server/queue/sqlite_stores.h"
#include "server/rpc/join_cache.h"
#include "server/rpc/status.h"
#include "server/rpc/training_service.h"
#include "server/rpc/video_service.h"
#include "server/stream/event_hub.h"
#include "svi/v1/training_service.grpc.pb.h"
#include "svi/v1/video_service.grpc.pb.h"

namespace svi::server {

class ServiceTest : public ::testing::Test {
 protected:
  void SetUp() override;
  void TearDown() override;

  // A request that is valid as it is.
  static v1::CreateVideoRequest Request(const std::vector<std::string>& prompts = {"a cat"});
  v1::Video Create(const v1::CreateVideoRequest& request);
  // Leases the next clip, stores a real MP4 and a carry, commits, and wakes the watchers. Returns the MP4.
  std::string MakeClip(const std::string& name);
  v1::Video Get(const std::string& name);
  // All of a server stream; the status must be OK.
  std::vector<v1::VideoEvent> Watch(const std::string& name, uint64_t after = 0);

  static std::string Id(const std::string& name) { return name.substr(7); }
  static std::string Reason(const grpc::Status& status);
  // "field: description" of each violation.
  static std::vector<std::string> Violations(const grpc::Status& status);
  // Sends the bytes as they are; `method` is of VideoService, or has its service: "TrainingService/GetLora".
  grpc::Status CallRaw(const std::string& method, const std::string& bytes);

  std::string dir_;
  std::unique_ptr<ServerMetrics> metrics_;
  std::unique_ptr<EventHub> hub_;
  std::unique_ptr<TrainingHub> training_hub_;
  std::unique_ptr<JobStore> store_;
  std::unique_ptr<TrainingStore> training_store_;
  std::unique_ptr<ArtifactStore> artifacts_;
  std::unique_ptr<JoinCache> joins_;
  VideoServiceOptions options_;     // what SetUp makes the service with
  std::vector<std::string> ended_;  // what the Dispatcher was told
  std::function<void()> work_changed_ = [] {};
  std::vector<std::string> runs_ended_;
  int runs_changed_ = 0;
  std::unique_ptr<VideoService> service_;
  std::unique_ptr<TrainingService> training_;
  std::unique_ptr<grpc::Server> server_;
  std::shared_ptr<grpc::Channel> channel_;
  std::unique_ptr<v1::VideoService::Stub> stub_;
  std::unique_ptr<v1::TrainingService::Stub> training_stub_;
};

}  // namespace svi::server

#endif  // SVI_TESTS_SERVER_RPC_SERVICE_FIXTURE_H_
