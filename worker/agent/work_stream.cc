#include "worker/agent/work_stream.h"

#include <utility>

namespace svi::worker {
namespace {

constexpr int kKeepaliveMs = 30'000;
constexpr int kKeepaliveTimeoutMs = 10'000;
// An Assign carries the whole spec: up to 1024 prompts of 16 KiB.
constexpr int kMaxMessageBytes = 64 << 20;

std::shared_ptr<grpc::Channel> NewChannel(const std::string& server) {
  grpc::ChannelArguments arguments;
  arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
  arguments.SetInt(GRPC_ARG_KEEPALIVE_TIME_MS, kKeepaliveMs);
  arguments.SetInt(GRPC_ARG_KEEPALIVE_TIMEOUT_MS, kKeepaliveTimeoutMs);
  arguments.SetMaxReceiveMessageSize(kMaxMessageBytes);
  arguments.SetMaxSendMessageSize(kMaxMessageBytes);
  return grpc::CreateCustomChannel(server, grpc::InsecureChannelCredentials(), arguments);
}

}  // namespace

std::shared_ptr<WorkStream> WorkStream::Start(const std::string& server, Callbacks callbacks) {
  std::shared_ptr<WorkStream> stream(new WorkStream(std::move(callbacks)));
  stream->self_ = stream;
  stream->stub_ = v1::WorkerService::NewStub(NewChannel(server));
  stream->stub_->async()->Work(&stream->context_, stream.get());
  stream->AddHold();  // operations start outside of reactions; ended by Release
  stream->StartCall();
  return stream;
}

void WorkStream::Write(v1::WorkerMessage message) {
  outgoing_ = std::move(message);
  StartWrite(&outgoing_);
}

void WorkStream::Release() {
  context_.TryCancel();
  RemoveHold();
}

void WorkStream::OnReadDone(bool ok) {
  if (ok) {
    callbacks_.message(std::move(incoming_));
  } else {
    callbacks_.ended();
  }
}

void WorkStream::OnDone(const grpc::Status& status) {
  const auto closed = callbacks_.closed;  // outlives this
  closed(status, std::move(self_));
}

}  // namespace svi::worker
