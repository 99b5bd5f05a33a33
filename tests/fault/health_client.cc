#include "tests/fault/health_client.h"

#include <grpcpp/grpcpp.h>

#include "absl/time/clock.h"

namespace svi::fault {
namespace {

constexpr absl::Duration kCallTimeout = absl::Seconds(10);
constexpr absl::Duration kPatience = absl::Minutes(1);
constexpr absl::Duration kPause = absl::Milliseconds(10);

grpc::ChannelArguments Impatient() {
  grpc::ChannelArguments arguments;
  arguments.SetInt(GRPC_ARG_INITIAL_RECONNECT_BACKOFF_MS, 50);
  arguments.SetInt(GRPC_ARG_MAX_RECONNECT_BACKOFF_MS, 200);
  arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
  return arguments;
}

}  // namespace

HealthClient::HealthClient(const std::string& address)
    : stub_(grpc::CreateCustomChannel(address, grpc::InsecureChannelCredentials(), Impatient())) {}

// The messages by hand: field 1 of the request is the service, field 1 of the answer the status, 1 is
// SERVING.
bool HealthClient::IsServing(const std::string& service) {
  std::string bytes;
  if (!service.empty()) bytes = std::string("\x0A") + static_cast<char>(service.size()) + service;
  grpc::Slice slice(bytes);
  const grpc::ByteBuffer request(&slice, 1);
  grpc::ClientContext context;
  context.set_deadline(absl::ToChronoTime(absl::Now() + kCallTimeout));
  grpc::CompletionQueue queue;
  auto call = stub_.PrepareUnaryCall(&context, "/grpc.health.v1.Health/Check", request, &queue);
  call->StartCall();
  grpc::ByteBuffer response;
  grpc::Status status;
  call->Finish(&response, &status, nullptr);
  void* tag = nullptr;
  bool ok = false;
  queue.Next(&tag, &ok);
  grpc::Slice answer;
  if (!status.ok() || !response.DumpToSingleSlice(&answer).ok()) return false;
  return answer.size() == 2 && answer.begin()[1] == 1;
}

bool HealthClient::Await(const std::string& service, bool serving) {
  const absl::Time give_up = absl::Now() + kPatience;
  while (IsServing(service) != serving) {
    if (absl::Now() > give_up) return false;
    absl::SleepFor(kPause);
  }
  return true;
}

}  // namespace svi::fault
