#include "worker/signal_thread.h"

#include <pthread.h>

#include <cstdlib>
#include <utility>

namespace svi::worker {

SignalThread::SignalThread() {
  sigemptyset(&signals_);
  sigaddset(&signals_, SIGTERM);
  sigaddset(&signals_, SIGINT);
  pthread_sigmask(SIG_BLOCK, &signals_, nullptr);
  thread_ = std::thread([this] { Run(); });
}

SignalThread::~SignalThread() {
  stop_ = true;
  pthread_kill(thread_.native_handle(), SIGTERM);
  thread_.join();
}

void SignalThread::SetHandler(Handler handler) {
  absl::MutexLock lock(&mu_);
  handler_ = std::move(handler);
}

void SignalThread::Run() {
  for (bool again = false;; again = true) {
    int signal = 0;
    sigwait(&signals_, &signal);
    if (stop_) return;
    absl::MutexLock lock(&mu_);
    if (!handler_) std::_Exit(EXIT_SUCCESS);
    handler_(again);
  }
}

}  // namespace svi::worker
