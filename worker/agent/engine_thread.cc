#include "worker/agent/engine_thread.h"

#include <pthread.h>

namespace svi::worker {

EngineThread::EngineThread()
    : thread_([this] {
        while (!stop_) tasks_.RunOne(absl::InfiniteFuture());
      }) {
  pthread_setname_np(thread_.native_handle(), "svi-engine");  // for top and debuggers
}

EngineThread::~EngineThread() {
  tasks_.Post([this] { stop_ = true; });
  thread_.join();
}

}  // namespace svi::worker
