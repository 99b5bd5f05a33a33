// A TrainingService that does what a test scripts, for a ScriptedService to serve beside its own.
#ifndef SVI_TESTS_CLIENT_SCRIPTED_TRAINING_H_
#define SVI_TESTS_CLIENT_SCRIPTED_TRAINING_H_

#include <grpcpp/grpcpp.h>

#include <cstdint>
#include <deque>
#include <string>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "svi/v1/training_service.grpc.pb.h"

namespace svi::client {

// One run, "trainingRuns/r", of two steps, that makes "loras/boats"; faults are taken from scripts, one a
// call.
class ScriptedTraining final : public v1::TrainingService::Service {
 public:
  // The next watches end with UNAVAILABLE after this many messages each.
  std::deque<int> watch_faults ABSL_GUARDED_BY(mutex_);
  std::deque<int> download_faults ABSL_GUARDED_BY(mutex_);
  // The next unary calls are done and then answered with these instead.
  std::deque<grpc::Status> lost_answers ABSL_GUARDED_BY(mutex_);
  // Every watch ends the run as this.
  v1::TrainingState end_state ABSL_GUARDED_BY(mutex_) = v1::TRAINING_STATE_SUCCEEDED;
  // A watch, when it has sent all but the end, waits here until the client goes away.
  bool hold_watch ABSL_GUARDED_BY(mutex_) = false;

  // What happened.
  std::vector<v1::CreateTrainingRunRequest> created ABSL_GUARDED_BY(mutex_);
  std::vector<uint64_t> watched_after ABSL_GUARDED_BY(mutex_);
  std::vector<uint64_t> download_offsets ABSL_GUARDED_BY(mutex_);
  std::vector<std::string> cancelled ABSL_GUARDED_BY(mutex_);
  std::vector<std::string> deleted ABSL_GUARDED_BY(mutex_);
  v1::ListTrainingRunsRequest listed ABSL_GUARDED_BY(mutex_);
  bool holding ABSL_GUARDED_BY(mutex_) = false;
  absl::Mutex mutex_;

  // The LoRA's file.
  static std::string LoraBytes();

  grpc::Status CreateTrainingRun(grpc::ServerContext*, const v1::CreateTrainingRunRequest*,
                                 v1::TrainingRun*) override;
  grpc::Status GetTrainingRun(grpc::ServerContext*, const v1::GetTrainingRunRequest*,
                              v1::TrainingRun*) override;
  grpc::Status ListTrainingRuns(grpc::ServerContext*, const v1::ListTrainingRunsRequest*,
                                v1::ListTrainingRunsResponse*) override;
  grpc::Status CancelTrainingRun(grpc::ServerContext*, const v1::CancelTrainingRunRequest*,
                                 v1::TrainingRun*) override;
  grpc::Status WatchTrainingRun(grpc::ServerContext*, const v1::WatchTrainingRunRequest*,
                                grpc::ServerWriter<v1::TrainingEvent>*) override;
  grpc::Status GetLora(grpc::ServerContext*, const v1::GetLoraRequest*, v1::Lora*) override;
  grpc::Status ListLoras(grpc::ServerContext*, const v1::ListLorasRequest*, v1::ListLorasResponse*) override;
  grpc::Status DeleteLora(grpc::ServerContext*, const v1::DeleteLoraRequest*,
                          google::protobuf::Empty*) override;
  grpc::Status DownloadLora(grpc::ServerContext*, const v1::DownloadLoraRequest*,
                            grpc::ServerWriter<v1::DownloadLoraResponse>*) override;

 private:
  std::vector<v1::TrainingEvent> Events() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  v1::TrainingRun RunNow() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
};

}  // namespace svi::client

#endif  // SVI_TESTS_CLIENT_SCRIPTED_TRAINING_H_
