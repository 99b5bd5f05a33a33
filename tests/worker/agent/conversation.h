// One side of a worker's stream, as a test plays it by hand: it reads what the worker says, and answers.
#ifndef SVI_TESTS_WORKER_AGENT_CONVERSATION_H_
#define SVI_TESTS_WORKER_AGENT_CONVERSATION_H_

#include <grpcpp/grpcpp.h>

#include <deque>
#include <functional>
#include <optional>
#include <utility>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "gtest/gtest.h"

namespace svi::worker {

inline constexpr absl::Duration kPatience = absl::Seconds(30);  // only a failing test waits this long

// Incoming: what the worker says. The newest stream counts. Thread-safe.
template <typename Incoming, typename Outgoing>
class Conversation {
 public:
  using Stream = grpc::ServerReaderWriter<Outgoing, Incoming>;

  // The whole of the service's method: reads until the worker is gone.
  grpc::Status Serve(grpc::ServerContext* context, Stream* stream) {
    {
      absl::MutexLock lock(&mu_);
      stream_ = stream;
      context_ = context;
      received_.clear();
    }
    Incoming message;
    // The worker may be back on a new stream before this one has come to its end.
    while (stream->Read(&message)) {
      absl::MutexLock lock(&mu_);
      if (stream_ == stream) received_.push_back(std::move(message));
    }
    absl::MutexLock lock(&mu_);
    if (stream_ == stream) {
      stream_ = nullptr;
      context_ = nullptr;
    }
    return grpc::Status::OK;
  }

  // The next message for which `wanted` holds; those before it are dropped. Fails the test after a while.
  std::optional<Incoming> Pop(const std::function<bool(const Incoming&)>& wanted) {
    std::optional<Incoming> found;
    const auto search = [&]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_) {
      while (!received_.empty() && !found) {
        Incoming message = std::move(received_.front());
        received_.pop_front();
        if (wanted(message)) found = std::move(message);
      }
      return found.has_value();
    };
    absl::MutexLock lock(&mu_);
    EXPECT_TRUE(mu_.AwaitWithTimeout(absl::Condition(&search), kPatience)) << "the worker says nothing";
    return found;
  }

  void Send(const Outgoing& message) {
    absl::MutexLock lock(&mu_);
    ASSERT_NE(stream_, nullptr);
    EXPECT_TRUE(stream_->Write(message));
  }

  // Breaks the connection.
  void Break() {
    absl::MutexLock lock(&mu_);
    ASSERT_NE(context_, nullptr);
    const auto other = [this, broken = context_]()
                           ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_) { return context_ != broken; };
    context_->TryCancel();
    EXPECT_TRUE(mu_.AwaitWithTimeout(absl::Condition(&other), kPatience));
  }

  // Waits until the worker has ended the connection.
  void WaitEnded() {
    absl::MutexLock lock(&mu_);
    EXPECT_TRUE(mu_.AwaitWithTimeout(absl::Condition(this, &Conversation::Gone), kPatience));
  }

 private:
  bool Gone() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_) { return context_ == nullptr; }

  absl::Mutex mu_;
  Stream* stream_ ABSL_GUARDED_BY(mu_) = nullptr;
  grpc::ServerContext* context_ ABSL_GUARDED_BY(mu_) = nullptr;
  std::deque<Incoming> received_ ABSL_GUARDED_BY(mu_);
};

}  // namespace svi::worker

#endif  // SVI_TESTS_WORKER_AGENT_CONVERSATION_H_
