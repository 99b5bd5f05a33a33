// A small fixed pool of threads, so that disk and database work does not run on gRPC's callback threads.
#ifndef SVI_SERVER_RPC_EXECUTOR_H_
#define SVI_SERVER_RPC_EXECUTOR_H_

#include <cstddef>
#include <deque>
#include <functional>
#include <thread>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"

namespace svi::server {

// Thread-safe. Tasks run in the order they came; each should do one small piece of work and submit itself
// again if there is more, so that thousands of streams share the threads fairly.
class Executor {
 public:
  explicit Executor(int threads);
  // Runs what was submitted before, then ends the threads.
  ~Executor();
  Executor(const Executor&) = delete;
  Executor& operator=(const Executor&) = delete;

  void Submit(std::function<void()> task);
  // Refuses (false) when `limit` tasks wait already.
  [[nodiscard]] bool TrySubmit(std::function<void()> task, size_t limit);

 private:
  void Run();
  [[nodiscard]] bool HasWork() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_) { return stop_ || !tasks_.empty(); }

  absl::Mutex mu_;
  std::deque<std::function<void()>> tasks_ ABSL_GUARDED_BY(mu_);
  bool stop_ ABSL_GUARDED_BY(mu_) = false;
  std::vector<std::thread> threads_;
};

}  // namespace svi::server

#endif  // SVI_SERVER_RPC_EXECUTOR_H_
