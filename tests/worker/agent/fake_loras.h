// Published LoRAs of a fake server: TrainingService.DownloadLora that breaks, lies or waits where a test says
// so.
#ifndef SVI_TESTS_WORKER_AGENT_FAKE_LORAS_H_
#define SVI_TESTS_WORKER_AGENT_FAKE_LORAS_H_

#include <grpcpp/grpcpp.h>

#include <deque>
#include <map>
#include <string>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "svi/v1/training_service.grpc.pb.h"

namespace svi::worker {

class FakeLoras final : public v1::TrainingService::Service {
 public:
  static constexpr size_t kChunk = 1000;  // bytes a message

  // From now on `loras/{id}` is this file. Returns what a server says of it.
  v1::Lora Publish(const std::string& id, const std::string& bytes);
  void Delete(const std::string& id);

  // The next downloads break after this many messages each.
  void BreakNext(std::deque<int> faults);
  // So many of the next downloads carry a flipped byte.
  void DamageNext(int count);
  // The next download waits before its second message until the worker goes away.
  void HoldNext();
  // Until one waits.
  void WaitHeld();
  // Until the worker has gone away from it.
  void WaitReleased();

  // Where each download so far began.
  std::vector<uint64_t> offsets();

 private:
  grpc::Status DownloadLora(grpc::ServerContext* context, const v1::DownloadLoraRequest* request,
                            grpc::ServerWriter<v1::DownloadLoraResponse>* writer) override;
  void Hold(grpc::ServerContext* context);

  absl::Mutex mu_;
  std::map<std::string, std::string> files_ ABSL_GUARDED_BY(mu_);  // by resource name
  std::deque<int> faults_ ABSL_GUARDED_BY(mu_);
  int damages_ ABSL_GUARDED_BY(mu_) = 0;
  bool hold_ ABSL_GUARDED_BY(mu_) = false;
  bool held_ ABSL_GUARDED_BY(mu_) = false;
  bool released_ ABSL_GUARDED_BY(mu_) = false;
  std::vector<uint64_t> offsets_ ABSL_GUARDED_BY(mu_);
};

}  // namespace svi::worker

#endif  // SVI_TESTS_WORKER_AGENT_FAKE_LORAS_H_
