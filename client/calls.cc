#include "client/calls.h"

#include <algorithm>

#include "absl/strings/str_format.h"

namespace svi::client {

std::shared_ptr<grpc::Channel> Connect(const ClientOptions& options) {
  grpc::ChannelArguments args;
  args.SetMaxReceiveMessageSize(64 << 20);  // a video of 100,000 clips, listed
  args.SetMaxSendMessageSize(-1);           // the server judges the picture's size, and says so
  // The library decides when to try again; the channel must not still be waiting then.
  args.SetInt(GRPC_ARG_INITIAL_RECONNECT_BACKOFF_MS, 100);
  // In spite of its name, how long an attempt to connect may take: TLS over a long way needs a second or two.
  args.SetInt(GRPC_ARG_MIN_RECONNECT_BACKOFF_MS, 10'000);
  args.SetInt(GRPC_ARG_MAX_RECONNECT_BACKOFF_MS, 2000);
  // Notices a peer that vanished without closing. Only while a call is under way.
  args.SetInt(GRPC_ARG_KEEPALIVE_TIME_MS, 30'000);
  args.SetInt(GRPC_ARG_KEEPALIVE_TIMEOUT_MS, 20'000);
  args.SetInt(GRPC_ARG_KEEPALIVE_PERMIT_WITHOUT_CALLS, 0);
  args.SetString(GRPC_ARG_PRIMARY_USER_AGENT_STRING, "svi");
  return OpenChannel(options.endpoint, args);
}

std::string NewUuid() {
  std::random_device random;
  uint32_t word[4] = {random(), random(), random(), random()};
  return absl::StrFormat("%08x-%04x-4%03x-%04x-%04x%08x", word[0], word[1] >> 16, word[1] & 0xfff,
                         0x8000 | ((word[2] >> 16) & 0x3fff), word[2] & 0xffff, word[3]);
}

absl::Status Retry::Wait(const absl::Status& error) {
  const absl::Status interrupted = absl::CancelledError("interrupted");
  if (interrupt_->triggered()) return interrupted;
  if (!IsRetryable(error)) return error;
  const double jitter = std::uniform_real_distribution<double>(0.5, 1.0)(random_);
  const absl::Duration wait = std::max(backoff_ * jitter, RetryDelay(error));
  if (absl::Now() + wait - heard_ > options_.retry_for) return error;
  if (options_.on_retry) options_.on_retry(error, wait);
  if (!interrupt_->SleepFor(wait)) return interrupted;
  backoff_ = std::min(backoff_ * 2, options_.max_backoff);
  return absl::OkStatus();
}

}  // namespace svi::client
