// A message of a worker (first byte even) or of a trainer (odd) as it comes off the wire.
#include "server/lease/trainer_messages.h"
#include "server/lease/worker_messages.h"
#include "tests/fuzz/fuzz.h"

namespace svi::server {
namespace {

using fuzz::Check;

void CheckFailureOf(const v1::Failure& failure) {
  const v1::Failure clean = CleanFailure(failure);
  Check(clean.code() >= 1 && clean.code() <= 16, "a failure has a code");
  Check(!clean.message().empty() && clean.message().size() <= kMaxFailureMessageBytes,
        "its message is bounded");
  Check(!clean.reason().empty() && clean.reason().size() <= kMaxFailureReasonBytes, "its reason is bounded");
}

void OfWorker(const std::string& bytes) {
  v1::WorkerMessage message;
  if (!message.ParseFromString(bytes)) return;
  (void)CheckRegister(message.register_());
  (void)CheckLoras("heartbeat.loras", message.heartbeat().loras().names());
  (void)CheckProgress(message.progress().progress());
  (void)CheckChunk(message.clip_chunk());
  (void)CheckDone(message.clip_done());
  CheckFailureOf(message.clip_failed().error());
  if (const auto lease = ParseLease(message.clip_done().lease()); lease.ok()) {
    Check(ClipKey(*lease).find("..") == std::string::npos, "keys stay in their folder");
    Check(CarryKey(*lease) != ClipKey(*lease), "a clip and its carry are two files");
  }
}

void OfTrainer(const std::string& bytes) {
  v1::TrainerMessage message;
  if (!message.ParseFromString(bytes)) return;
  (void)CheckRegister(message.register_());
  (void)CheckProgress(message.progress().progress());
  (void)CheckChunk(message.lora_chunk());
  (void)CheckDone(message.done(), true);
  (void)CheckDone(message.done(), false);
  CheckFailureOf(message.failed().error());
  if (const auto lease = ParseLease(message.done().lease()); lease.ok())
    Check(LoraKey(*lease).find("..") == std::string::npos, "keys stay in their folder");
}

}  // namespace
}  // namespace svi::server

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size == 0) return 0;
  const std::string bytes(svi::fuzz::View(data + 1, size - 1));
  data[0] % 2 == 0 ? svi::server::OfWorker(bytes) : svi::server::OfTrainer(bytes);
  return 0;
}
