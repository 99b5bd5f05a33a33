// What ListWorkers answers from: a copy of the workers' states that does not wait for the dispatcher's own
// work.
#ifndef SVI_SERVER_LEASE_WORKER_DIRECTORY_H_
#define SVI_SERVER_LEASE_WORKER_DIRECTORY_H_

#include <map>
#include <string>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "svi/v1/resources.pb.h"

namespace svi::server {

// Thread-safe.
class WorkerDirectory {
 public:
  // Adds the worker, or replaces what was known of it.
  void Put(v1::Worker worker) {
    absl::MutexLock lock(&mu_);
    std::string name = worker.name();
    workers_[std::move(name)] = std::move(worker);
  }
  void Remove(const std::string& name) {
    absl::MutexLock lock(&mu_);
    workers_.erase(name);
  }
  // By name.
  [[nodiscard]] std::vector<v1::Worker> List() const {
    absl::MutexLock lock(&mu_);
    std::vector<v1::Worker> list;
    list.reserve(workers_.size());
    for (const auto& [name, worker] : workers_) list.push_back(worker);
    return list;
  }

 private:
  mutable absl::Mutex mu_;
  std::map<std::string, v1::Worker> workers_ ABSL_GUARDED_BY(mu_);
};

}  // namespace svi::server

#endif  // SVI_SERVER_LEASE_WORKER_DIRECTORY_H_
