#include "server/rpc/watch_source.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "server/queue/states.h"
#include "server/queue/training_states.h"
#include "server/rpc/parse.h"
#include "server/rpc/status.h"

namespace svi::server {

template <typename Kind>
WatchOf<Kind>::~WatchOf() {
  if (subscription_) hub_->Unsubscribe(options_.id, subscription_);
}

template <typename Kind>
void WatchOf<Kind>::Subscribe(std::function<void()> wake) {
  subscription_ =
      hub_->Subscribe(options_.id, options_.durable_only ? 0 : options_.progress_limit, std::move(wake));
}

template <typename Kind>
absl::Status WatchOf<Kind>::Begin() {
  const auto watched = Kind::Get(*store_, options_.id);
  if (!watched.ok()) return watched.status();
  if (watched->tenant() != options_.tenant) {
    return absl::NotFoundError(absl::StrCat("there is no ", Kind::kKind, " ", Kind::Name(options_.id)));
  }
  if (options_.after_sequence > watched->last_sequence()) {
    return MakeError(absl::StatusCode::kOutOfRange, "SEQUENCE_OUT_OF_RANGE",
                     absl::StrCat("after_sequence must be 0..", watched->last_sequence(),
                                  ", the newest event's; is ", options_.after_sequence));
  }
  // Nothing follows the last event of what has ended.
  final_ = IsFinal(watched->state()) && options_.after_sequence == watched->last_sequence();
  begun_ = true;
  return absl::OkStatus();
}

template <typename Kind>
absl::Status WatchOf<Kind>::Read() {
  auto events = Kind::List(*store_, options_.id, last_, batch_);
  if (absl::IsNotFound(events.status())) {
    return MakeError(absl::StatusCode::kNotFound, Kind::kDeleted,
                     absl::StrCat(Kind::Name(options_.id), " was deleted while it was watched"));
  }
  if (!events.ok()) return events.status();
  more_ = events->size() == static_cast<size_t>(batch_);
  batch_ = std::min(options_.batch, 2 * batch_);
  size_t bytes = 0;
  for (auto& event : *events) {
    if (bytes >= options_.batch_bytes) {
      more_ = true;
      batch_ = static_cast<int>(events_.size());
      break;
    }
    bytes += event.ByteSizeLong();
    last_ = event.sequence();
    if (event.has_state_changed() && IsFinal(event.state_changed().state())) final_ = true;
    events_.push_back(std::move(event));
  }
  return absl::OkStatus();
}

template <typename Kind>
MessageSource::Next WatchOf<Kind>::Produce(Event* event, absl::Status* status) {
  if (!begun_) {
    *status = Begin();
    if (!status->ok()) return MessageSource::Next::kDone;
  }
  if (events_.empty() && !final_) {
    if (subscription_->TakeChanged()) more_ = true;
    if (more_) *status = Read();
    if (!status->ok()) return MessageSource::Next::kDone;
  }
  if (!events_.empty()) {
    *event = std::move(events_.front());
    events_.pop_front();
    return MessageSource::Next::kMessage;
  }
  if (final_) return MessageSource::Next::kDone;
  if (stopping_->load()) {
    *status = MakeError(absl::StatusCode::kUnavailable, "SERVER_STOPPING",
                        absl::StrCat("the server stops; watch again with after_sequence = ", last_));
    return MessageSource::Next::kDone;
  }
  typename Kind::Progress progress;
  if (subscription_->TakeProgress(&progress)) {
    event->Clear();
    const int64_t now = absl::ToUnixNanos(absl::Now());
    event->mutable_time()->set_seconds(now / 1'000'000'000);
    event->mutable_time()->set_nanos(static_cast<int32_t>(now % 1'000'000'000));
    *event->mutable_progress() = std::move(progress);
    return MessageSource::Next::kMessage;
  }
  return MessageSource::Next::kWait;
}

template <typename Kind>
MessageSource::Next WatchSourceOf<Kind>::Produce(grpc::ByteBuffer* message, absl::Status* status) {
  typename Watch::Event event;
  const Next next = watch_.Produce(&event, status);
  if (next == Next::kMessage) *message = SerializeResponse(event);
  return next;
}

template class WatchOf<VideoEvents>;
template class WatchOf<TrainingEvents>;
template class WatchSourceOf<VideoEvents>;
template class WatchSourceOf<TrainingEvents>;

}  // namespace svi::server
