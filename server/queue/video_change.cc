#include "server/queue/video_change.h"

#include <set>
#include <string>
#include <utility>

#include "absl/strings/str_join.h"
#include "server/queue/sql_reads.h"
#include "server/queue/status_macros.h"

namespace svi::server {

absl::Status ExpectOneChange(absl::StatusOr<int> changes) {
  if (!changes.ok()) return changes.status();
  if (*changes == 1) return absl::OkStatus();
  return absl::DataLossError("the job store contradicts itself: a clip is not in the state of its video");
}

absl::Status VideoChange::Emit(v1::VideoEvent event) {
  return AppendEvent(db_, "insert_event", video.id, now_us_, std::move(event), &video.last_sequence);
}

absl::StatusOr<Transition> VideoChange::Move(VideoStep step) {
  SVI_ASSIGN_OR_RETURN(const Transition transition, FindTransition(video.state, step));
  if (transition.to == video.state) return transition;
  video.state = transition.to;
  if (IsFinal(video.state)) {
    video.end_time_us = now_us_;
    video.finished = true;
  }
  v1::VideoEvent event;
  event.mutable_state_changed()->set_state(video.state);
  if (video.error.has_value()) *event.mutable_state_changed()->mutable_error() = *video.error;
  SVI_RETURN_IF_ERROR(Emit(std::move(event)));
  return transition;
}

absl::Status VideoChange::AddReadyClip() {
  std::set<std::string> loras;
  for (const v1::LoraRef& lora : video.spec.lora()) loras.insert(lora.name());
  const std::string joined = absl::StrJoin(loras, ",");  // no name has a comma
  return db_.Query("insert_ready_clip", video.id, video.clips_done, video.spec.priority(), now_us_, joined)
      .Run();
}

absl::Status VideoChange::VoidClip(const Transition& transition) {
  if (transition.clip_to != ClipState::kVoid) return absl::OkStatus();
  return ExpectOneChange(db_.Query("void_clip", static_cast<int>(transition.clip_to), video.id,
                                   video.clips_done, static_cast<int>(transition.clip_from))
                             .RunAndCountChanges());
}

absl::Status VideoChange::Save() {
  video.update_time_us = now_us_;
  const std::string error = video.error.has_value() ? video.error->SerializeAsString() : "";
  const std::optional<Blob> stored_error =
      video.error.has_value() ? std::optional(Blob{error}) : std::nullopt;
  return ExpectOneChange(db_.Query("update_video", static_cast<int>(video.state), video.finished,
                                   video.revision, video.clips_done, video.clips_total, video.last_sequence,
                                   stored_error, video.update_time_us, video.end_time_us, video.id)
                             .RunAndCountChanges());
}

}  // namespace svi::server
