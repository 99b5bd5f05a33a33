#include "worker/agent/work_stream.h"

#include <utility>

namespace svi::worker {
namespace {

constexpr int kKeepaliveMs = 30'000;
constexpr int kKeepaliveTimeoutMs = 10'000;
// An Assign carries the whole spec: up to 1024 prompts of 16 KiB.
constexpr int kMaxMessageBytes = 64 << 20;

std::shared_ptr<grpc::Channel> NewChannel(const Endpoint& endpoint) {
  grpc::ChannelArguments arguments;
  arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
  arguments.SetInt(GRPC_ARG_KEEPALIVE_TIME_MS, kKeepaliveMs);
  arguments.SetInt(GRPC_ARG_KEEPALIVE_TIMEOUT_MS, kKeepaliveTimeoutMs);
  arguments.SetMaxReceiveMessageSize(kMaxMessageBytes);
  arguments.SetMaxSendMessageSize(kMaxMessageBytes);
  return OpenChannel(endpoint, arguments);
}

// The method whose messages these are.
void Open(v1::WorkerService::Stub& stub, grpc::ClientContext* context,
          grpc::ClientBidiReactor<v1::WorkerMessage, v1::ServerMessage>* reactor) {
  stub.async()->Work(context, reactor);
}
void Open(v1::WorkerService::Stub& stub, grpc::ClientContext* context,
          grpc::ClientBidiReactor<v1::TrainerMessage, v1::TrainerOrder>* reactor) {
  stub.async()->Train(context, reactor);
}

}  // namespace

template <typename Outgoing, typename Incoming>
std::shared_ptr<WorkStream<Outgoing, Incoming>> WorkStream<Outgoing, Incoming>::Start(
    const Endpoint& endpoint, Callbacks callbacks) {
  std::shared_ptr<WorkStream> stream(new WorkStream(std::move(callbacks)));
  stream->self_ = stream;
  stream->stub_ = v1::WorkerService::NewStub(NewChannel(endpoint));
  Open(*stream->stub_, &stream->context_, stream.get());
  stream->AddHold();  // operations start outside of reactions; ended by Release
  stream->StartCall();
  return stream;
}

template <typename Outgoing, typename Incoming>
void WorkStream<Outgoing, Incoming>::Write(Outgoing message) {
  outgoing_ = std::move(message);
  this->StartWrite(&outgoing_);
}

template <typename Outgoing, typename Incoming>
void WorkStream<Outgoing, Incoming>::Release() {
  context_.TryCancel();
  this->RemoveHold();
}

template <typename Outgoing, typename Incoming>
void WorkStream<Outgoing, Incoming>::OnReadDone(bool ok) {
  if (ok) {
    callbacks_.message(std::move(incoming_));
  } else {
    callbacks_.ended();
  }
}

template <typename Outgoing, typename Incoming>
void WorkStream<Outgoing, Incoming>::OnDone(const grpc::Status& status) {
  const auto closed = callbacks_.closed;  // outlives this
  closed(status, std::move(self_));
}

template class WorkStream<v1::WorkerMessage, v1::ServerMessage>;
template class WorkStream<v1::TrainerMessage, v1::TrainerOrder>;

}  // namespace svi::worker
