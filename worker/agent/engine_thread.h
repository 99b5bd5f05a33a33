// The one thread that the engine runs on.
#ifndef SVI_WORKER_AGENT_ENGINE_THREAD_H_
#define SVI_WORKER_AGENT_ENGINE_THREAD_H_

#include <functional>
#include <thread>

#include "worker/agent/mailbox.h"

namespace svi::worker {

class EngineThread {
 public:
  EngineThread();
  // Waits for what was handed over to end.
  ~EngineThread();
  EngineThread(const EngineThread&) = delete;
  EngineThread& operator=(const EngineThread&) = delete;

  void Run(std::function<void()> task) { tasks_.Post(std::move(task)); }

 private:
  Mailbox tasks_;
  bool stop_ = false;  // set by a task, on the thread itself
  std::thread thread_;
};

}  // namespace svi::worker

#endif  // SVI_WORKER_AGENT_ENGINE_THREAD_H_
