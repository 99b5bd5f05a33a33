#include "server/queue/states.h"

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"

namespace svi::server {
namespace {

constexpr auto kNew = v1::VIDEO_STATE_UNSPECIFIED;
constexpr auto kQueued = v1::VIDEO_STATE_QUEUED;
constexpr auto kRunning = v1::VIDEO_STATE_RUNNING;
constexpr auto kWaiting = v1::VIDEO_STATE_WAITING;
constexpr auto kSucceeded = v1::VIDEO_STATE_SUCCEEDED;
constexpr auto kFailed = v1::VIDEO_STATE_FAILED;
constexpr auto kCancelled = v1::VIDEO_STATE_CANCELLED;

using Clip = ClipState;
using Step = VideoStep;

constexpr Transition kTransitions[] = {
    {kNew, Step::kCreated, kQueued, Clip::kNone, Clip::kReady},

    {kQueued, Step::kClipLeased, kRunning, Clip::kReady, Clip::kLeased},
    {kQueued, Step::kPromptsAppended, kQueued, Clip::kReady, Clip::kReady},
    {kQueued, Step::kFinished, kQueued, Clip::kReady, Clip::kReady},
    {kQueued, Step::kCancelled, kCancelled, Clip::kReady, Clip::kVoid},

    {kRunning, Step::kClipCommitted, kQueued, Clip::kLeased, Clip::kDone},
    {kRunning, Step::kPromptsUsedUp, kWaiting, Clip::kLeased, Clip::kDone},
    {kRunning, Step::kLastClipCommitted, kSucceeded, Clip::kLeased, Clip::kDone},
    {kRunning, Step::kAttemptEnded, kQueued, Clip::kLeased, Clip::kReady},
    {kRunning, Step::kAttemptFailedForGood, kFailed, Clip::kLeased, Clip::kVoid},
    {kRunning, Step::kPromptsAppended, kRunning, Clip::kLeased, Clip::kLeased},
    {kRunning, Step::kFinished, kRunning, Clip::kLeased, Clip::kLeased},
    {kRunning, Step::kCancelled, kCancelled, Clip::kLeased, Clip::kVoid},

    {kWaiting, Step::kPromptsAppended, kQueued, Clip::kNone, Clip::kReady},
    {kWaiting, Step::kFinished, kSucceeded, Clip::kNone, Clip::kNone},
    {kWaiting, Step::kCancelled, kCancelled, Clip::kNone, Clip::kNone},
};

}  // namespace

absl::Span<const Transition> Transitions() { return kTransitions; }

absl::StatusOr<Transition> FindTransition(v1::VideoState from, VideoStep step) {
  for (const Transition& transition : kTransitions) {
    if (transition.from == from && transition.step == step) return transition;
  }
  return absl::FailedPreconditionError(
      absl::StrCat("a video that is ", StateName(from), " cannot be ", StepName(step)));
}

absl::StatusOr<v1::VideoState> NextState(v1::VideoState from, VideoStep step) {
  absl::StatusOr<Transition> transition = FindTransition(from, step);
  if (!transition.ok()) return transition.status();
  return transition->to;
}

bool IsFinal(v1::VideoState state) { return state == kSucceeded || state == kFailed || state == kCancelled; }

absl::string_view StateName(v1::VideoState state) {
  switch (state) {
    case kQueued:
      return "QUEUED";
    case kRunning:
      return "RUNNING";
    case kWaiting:
      return "WAITING";
    case kSucceeded:
      return "SUCCEEDED";
    case kFailed:
      return "FAILED";
    case kCancelled:
      return "CANCELLED";
    default:
      return "UNSPECIFIED";
  }
}

absl::string_view StepName(VideoStep step) {
  switch (step) {
    case Step::kCreated:
      return "created";
    case Step::kClipLeased:
      return "leased";
    case Step::kClipCommitted:
      return "given a clip";
    case Step::kPromptsUsedUp:
      return "given the last clip of its prompts";
    case Step::kLastClipCommitted:
      return "given its last clip";
    case Step::kAttemptEnded:
      return "put back into the queue";
    case Step::kAttemptFailedForGood:
      return "failed";
    case Step::kPromptsAppended:
      return "given more prompts";
    case Step::kFinished:
      return "finished";
    case Step::kCancelled:
      return "cancelled";
  }
  return "changed";
}

}  // namespace svi::server
