// TrainingService on gRPC's callback API: parses, hands to TrainingHandlers on a thread pool, and answers.
#ifndef SVI_SERVER_RPC_TRAINING_SERVICE_H_
#define SVI_SERVER_RPC_TRAINING_SERVICE_H_

#include <atomic>
#include <memory>

#include "server/rpc/executor.h"
#include "server/rpc/training_handlers.h"

namespace grpc {
class Service;
}

namespace svi::server {

struct TrainingServiceOptions {
  // Threads for what needs the training store alone.
  int threads = 2;
  // Threads for what reads or deletes LoRAs, whose storage may be slow: nothing else waits for it.
  int storage_threads = 4;
  // Requests that may wait; more are refused with RESOURCE_EXHAUSTED.
  size_t limit = 10000;
};

// Lives until the gRPC server that it is registered with is shut down.
class TrainingService {
 public:
  TrainingService(TrainingParts parts, TrainingServiceOptions options);
  ~TrainingService();
  TrainingService(const TrainingService&) = delete;
  TrainingService& operator=(const TrainingService&) = delete;

  // Owned by this.
  grpc::Service* service();
  // Ends watches with UNAVAILABLE once they have sent what there is.
  void StopWatches();

 private:
  class Impl;

  TrainingHandlers handlers_;
  std::atomic<bool> stopping_{false};
  std::unique_ptr<Impl> impl_;
  // Last, so that their threads are gone before what they use.
  Executor executor_;
  Executor storage_;
};

}  // namespace svi::server

#endif  // SVI_SERVER_RPC_TRAINING_SERVICE_H_
