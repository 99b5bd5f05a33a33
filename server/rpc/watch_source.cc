#include "server/rpc/watch_source.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "server/queue/states.h"
#include "server/rpc/names.h"
#include "server/rpc/parse.h"
#include "server/rpc/status.h"

namespace svi::server {

VideoWatch::~VideoWatch() {
  if (subscription_) hub_->Unsubscribe(options_.video_id, subscription_);
}

void VideoWatch::Subscribe(std::function<void()> wake) {
  subscription_ = hub_->Subscribe(options_.video_id, options_.durable_only ? 0 : options_.progress_limit,
                                  std::move(wake));
}

absl::Status VideoWatch::Begin() {
  const auto video = store_->GetVideo(options_.video_id);
  if (!video.ok()) return video.status();
  if (options_.after_sequence > video->last_sequence()) {
    return MakeError(absl::StatusCode::kOutOfRange, "SEQUENCE_OUT_OF_RANGE",
                     absl::StrCat("after_sequence must be 0..", video->last_sequence(),
                                  ", the newest event's; is ", options_.after_sequence));
  }
  // Nothing follows the last event of an ended video.
  final_ = IsFinal(video->state()) && options_.after_sequence == video->last_sequence();
  begun_ = true;
  return absl::OkStatus();
}

absl::Status VideoWatch::Read() {
  auto events = store_->ListEvents(options_.video_id, last_, options_.batch);
  if (absl::IsNotFound(events.status())) {
    return MakeError(absl::StatusCode::kNotFound, "VIDEO_DELETED",
                     absl::StrCat(VideoName(options_.video_id), " was deleted while it was watched"));
  }
  if (!events.ok()) return events.status();
  more_ = events->size() == static_cast<size_t>(options_.batch);
  for (auto& event : *events) {
    last_ = event.sequence();
    if (event.has_state_changed() && IsFinal(event.state_changed().state())) final_ = true;
    events_.push_back(std::move(event));
  }
  return absl::OkStatus();
}

MessageSource::Next VideoWatch::Produce(v1::VideoEvent* event, absl::Status* status) {
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
  v1::Progress progress;
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

MessageSource::Next WatchSource::Produce(grpc::ByteBuffer* message, absl::Status* status) {
  v1::VideoEvent event;
  const Next next = watch_.Produce(&event, status);
  if (next == Next::kMessage) *message = SerializeResponse(event);
  return next;
}

}  // namespace svi::server
