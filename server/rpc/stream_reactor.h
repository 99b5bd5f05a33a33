// One server stream as a pull: a MessageSource says what comes next, the StreamReactor writes it when the
// client has taken what came before. So nothing piles up for a slow client, and an idle stream costs no
// thread.
#ifndef SVI_SERVER_RPC_STREAM_REACTOR_H_
#define SVI_SERVER_RPC_STREAM_REACTOR_H_

#include <grpcpp/support/byte_buffer.h>
#include <grpcpp/support/server_callback.h>

#include <atomic>
#include <functional>
#include <memory>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/synchronization/mutex.h"
#include "server/rpc/executor.h"

namespace svi::server {

// Called on an executor's threads, one call at a time. May block on disk and database, not on anything else.
class MessageSource {
 public:
  enum class Next {
    kMessage,  // `*message` was filled
    kWait,     // nothing now: ask again after `wake` was called
    kDone,     // `*status` was set: the stream ends with it
  };
  virtual ~MessageSource() = default;
  // `wake` may be called by any thread at any time, also after the stream's end.
  virtual void Start(std::function<void()> wake) = 0;
  virtual Next Produce(grpc::ByteBuffer* message, absl::Status* status) = 0;
};

class StreamReactor : public grpc::ServerWriteReactor<grpc::ByteBuffer> {
 public:
  // Starts the stream; owns itself until gRPC is done with it. `first`: where the source's first Produce
  // runs, for sources that begin with heavy work; refused with RESOURCE_EXHAUSTED when `first_limit` tasks
  // wait there. nullptr: it runs on `executor` like all the others. Executors must outlive the gRPC server.
  static StreamReactor* Start(std::unique_ptr<MessageSource> source, Executor* executor,
                              Executor* first = nullptr, size_t first_limit = 0);

  void OnWriteDone(bool ok) override;
  void OnCancel() override;
  void OnDone() override;

 private:
  StreamReactor(std::unique_ptr<MessageSource> source, Executor* executor)
      : source_(std::move(source)), executor_(executor) {}
  // Sees to it that Step runs, now or after what is under way.
  void Wake();
  void Step();
  void End(const absl::Status& status);

  const std::unique_ptr<MessageSource> source_;
  Executor* const executor_;
  grpc::ByteBuffer message_;  // belongs to Step, then to gRPC until OnWriteDone
  std::atomic<bool> cancelled_{false};

  absl::Mutex mu_;
  bool busy_ ABSL_GUARDED_BY(mu_) = false;   // a Step is submitted or runs, or a write is under way
  bool again_ ABSL_GUARDED_BY(mu_) = false;  // woken while busy
  bool ended_ ABSL_GUARDED_BY(mu_) = false;
  std::shared_ptr<StreamReactor> self_ ABSL_GUARDED_BY(mu_);  // until OnDone
  std::weak_ptr<StreamReactor> weak_;                         // set once, before anything runs
};

}  // namespace svi::server

#endif  // SVI_SERVER_RPC_STREAM_REACTOR_H_
