#include "worker/stop_signal.h"

#include <pthread.h>

#include <cstdlib>
#include <utility>

#include "worker/commands.h"

namespace svi::worker {

StopSignal::StopSignal(std::function<void()> on_first) : on_first_(std::move(on_first)) {
  sigemptyset(&signals_);
  sigaddset(&signals_, SIGTERM);
  sigaddset(&signals_, SIGINT);
  pthread_sigmask(SIG_BLOCK, &signals_, nullptr);
  thread_ = std::thread([this] { Run(); });
}

StopSignal::~StopSignal() {
  ended_ = true;
  pthread_kill(thread_.native_handle(), SIGTERM);
  thread_.join();
}

void StopSignal::Run() {
  while (true) {
    int signal = 0;
    sigwait(&signals_, &signal);
    if (ended_) return;
    if (stopped_.exchange(true)) std::_Exit(kFailed);
    on_first_();
  }
}

}  // namespace svi::worker
