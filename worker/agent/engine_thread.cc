#include "worker/agent/engine_thread.h"

namespace svi::worker {

EngineThread::EngineThread()
    : thread_([this] {
        while (!stop_) tasks_.RunOne(absl::InfiniteFuture());
      }) {}

EngineThread::~EngineThread() {
  tasks_.Post([this] { stop_ = true; });
  thread_.join();
}

}  // namespace svi::worker
