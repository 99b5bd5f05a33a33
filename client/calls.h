// How the client library makes its calls, whatever the service: again after a failure of the connection,
// watches from the event where they broke off, downloads from the byte.
#ifndef SVI_CLIENT_CALLS_H_
#define SVI_CLIENT_CALLS_H_

#include <grpcpp/channel.h>
#include <grpcpp/support/sync_stream.h>

#include <cstdint>
#include <functional>
#include <memory>
#include <random>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "client/endpoint.h"
#include "client/errors.h"
#include "client/file_download.h"
#include "client/interrupt.h"
#include "client/states.h"

namespace svi::client {

struct ClientOptions {
  Endpoint endpoint;
  // A call is made again for this long after the last sign of life; zero: never again.
  absl::Duration retry_for = absl::Minutes(5);
  absl::Duration initial_backoff = absl::Milliseconds(200);  // doubles each time, with jitter
  absl::Duration max_backoff = absl::Seconds(10);
  absl::Duration call_timeout = absl::Minutes(5);  // of one attempt at a call that is not a stream
  // Told of every attempt that failed and will be made again.
  std::function<void(const absl::Status& error, absl::Duration wait)> on_retry;
};

std::shared_ptr<grpc::Channel> Connect(const ClientOptions& options);

// A random UUID, version 4: a request_id that makes trying again harmless.
std::string NewUuid();

// Exponential back-off with jitter, until nothing has been heard for ClientOptions::retry_for.
class Retry {
 public:
  // Both must outlive this.
  Retry(const ClientOptions& options, Interrupt* interrupt)
      : options_(options), interrupt_(interrupt), backoff_(options.initial_backoff) {}

  // Something arrived: the patience starts anew.
  void Alive() {
    heard_ = absl::Now();
    backoff_ = options_.initial_backoff;
  }

  // OK after a wait if the call should be made again; else the error to give up with: CANCELLED if
  // interrupted.
  absl::Status Wait(const absl::Status& error);

 private:
  const ClientOptions& options_;
  Interrupt* const interrupt_;
  absl::Duration backoff_;
  absl::Time heard_ = absl::Now();
  std::minstd_rand random_{std::random_device{}()};
};

// The calls of one service. Thread-safe. Errors are the server's, with their google.rpc details as a payload
// (see errors.h); CANCELLED once interrupted.
template <typename Service>
class Calls {
 public:
  using Stub = typename Service::Stub;

  // `interrupt` must outlive this.
  Calls(ClientOptions options, Interrupt* interrupt)
      : options_(std::move(options)), interrupt_(interrupt), stub_(Service::NewStub(Connect(options_))) {}

  Stub& stub() { return *stub_; }

  template <typename Request, typename Response>
  using Method = grpc::Status (Stub::*)(grpc::ClientContext*, const Request&, Response*);
  // `retried`, if given, is set when more than one attempt was made: the first may have succeeded unseen.
  template <typename Request, typename Response>
  absl::StatusOr<Response> Call(Method<Request, Response> method, const Request& request,
                                bool* retried = nullptr) {
    Retry retry(options_, interrupt_);
    for (;;) {
      CallContext context(interrupt_);
      context.get()->set_deadline(absl::ToChronoTime(absl::Now() + options_.call_timeout));
      Response response;
      absl::Status status = FromGrpc((stub_.get()->*method)(context.get(), request, &response));
      if (status.ok()) return response;
      status = retry.Wait(status);
      if (!status.ok()) return status;
      if (retried != nullptr) *retried = true;
    }
  }

  // Calls `on_event` for each event after `after_sequence` until the resource has ended; durable ones once
  // each, in order, whatever happens to the connection. An error of on_event ends the watch with it. `open`
  // starts a stream after a sequence number; `get` returns the resource as it is. Returns the resource as it
  // ended.
  template <typename Event, typename Open, typename Get>
  auto Watch(uint64_t after_sequence, const Open& open, const Get& get,
             const std::function<absl::Status(const Event&)>& on_event) -> decltype(get());

  // Fetches what `file` does not have yet, verifies it and gives it its name. Bytes that prove damaged are
  // fetched once more from the start; then DATA_LOSS. `open` starts a stream at an offset; `on_chunk` sees
  // every message.
  template <typename Chunk, typename Open>
  absl::Status Download(
      const Open& open, FileDownload& file,
      const std::function<void(const Chunk&)>& on_chunk = [](const Chunk&) {});

 private:
  const ClientOptions options_;
  Interrupt* const interrupt_;
  const std::unique_ptr<Stub> stub_;
};

template <typename Service>
template <typename Event, typename Open, typename Get>
auto Calls<Service>::Watch(uint64_t after_sequence, const Open& open, const Get& get,
                           const std::function<absl::Status(const Event&)>& on_event) -> decltype(get()) {
  uint64_t last = after_sequence;
  Retry retry(options_, interrupt_);
  for (;;) {
    CallContext context(interrupt_);
    std::unique_ptr<grpc::ClientReader<Event>> reader = open(context.get(), last);
    Event event;
    absl::Status stopped;  // why we, not the server, ended the stream
    bool refused = false;  // by on_event: for good
    while (stopped.ok() && reader->Read(&event)) {
      if (event.sequence() != 0 && event.sequence() <= last) continue;
      if (event.sequence() > last + 1) {
        stopped = absl::UnavailableError(absl::StrCat("events after ", last, " did not arrive"));
        break;
      }
      retry.Alive();
      stopped = on_event(event);
      refused = !stopped.ok();
      if (event.sequence() != 0 && !refused) last = event.sequence();
    }
    if (!stopped.ok()) context.get()->TryCancel();
    absl::Status status = FromGrpc(reader->Finish());
    if (refused) return stopped;
    if (!stopped.ok()) status = stopped;
    if (status.ok()) {
      // The server is done; or it is stopping and took its leave politely.
      auto resource = get();
      if (!resource.ok()) return resource;
      if (IsFinal(resource->state()) && resource->last_sequence() <= last) return resource;
      status = absl::UnavailableError("the watch ended too early");
    }
    status = retry.Wait(status);
    if (!status.ok()) return status;
  }
}

template <typename Service>
template <typename Chunk, typename Open>
absl::Status Calls<Service>::Download(const Open& open, FileDownload& file,
                                      const std::function<void(const Chunk&)>& on_chunk) {
  Retry retry(options_, interrupt_);
  bool restarted = false;
  for (;;) {
    CallContext context(interrupt_);
    std::unique_ptr<grpc::ClientReader<Chunk>> reader = open(context.get(), file.size());
    Chunk chunk;
    std::string sha256;
    absl::Status stopped;
    while (stopped.ok() && reader->Read(&chunk)) {
      retry.Alive();
      on_chunk(chunk);
      if (!chunk.sha256().empty()) sha256 = chunk.sha256();
      if (chunk.data().empty()) continue;
      stopped = chunk.offset() == file.size()
                    ? file.Append(chunk.data())
                    : absl::DataLossError(absl::StrCat("the server sent byte ", chunk.offset(), " where ",
                                                       file.size(), " was due"));
    }
    if (!stopped.ok()) context.get()->TryCancel();
    absl::Status status = FromGrpc(reader->Finish());
    if (!stopped.ok()) {
      status = stopped;
    } else if (status.ok() && sha256.empty()) {
      status = absl::UnavailableError("the download ended before the file did");
    } else if (status.ok()) {
      status = file.Commit(sha256);
      if (status.ok()) return status;
    }
    // Wrong bytes, perhaps an earlier process's: once more from the start.
    if ((absl::IsDataLoss(status) || absl::IsOutOfRange(status)) && !restarted) {
      restarted = true;
      absl::Status cleared = file.Restart();
      if (!cleared.ok()) return cleared;
      continue;
    }
    if (absl::IsDataLoss(status)) {
      absl::Status cleared = file.Restart();
      if (!cleared.ok()) return cleared;
    }
    status = retry.Wait(status);
    if (!status.ok()) return status;
  }
}

}  // namespace svi::client

#endif  // SVI_CLIENT_CALLS_H_
