// States of a video and of its current clip, and every legal change between them, in one table.
//
// The current clip is the first one that is not done; a video works on one clip at a time, since clip i+1
// needs the carry of clip i. Hence the state of the video tells the state of its current clip:
//
//   QUEUED ⇔ the clip is READY      RUNNING ⇔ the clip is LEASED
//   WAITING, SUCCEEDED ⇔ there is no current clip      FAILED, CANCELLED ⇔ the clip, if there was one, is
//   VOID
//
//                     kCreated
//                        │          kClipLeased
//   kPromptsAppended ┌──▶QUEUED ─────────────────▶ RUNNING ──kAttemptFailedForGood──▶ FAILED
//                    │     ▲ └──────────────────────┘ │ │
//                    │       kClipCommitted, kAttemptEnded │
//                    └── WAITING ◀──kPromptsUsedUp────┘ └──kLastClipCommitted──▶ SUCCEEDED
//                          └───────────────kFinished───────────────────────────────▲
//   QUEUED, RUNNING, WAITING ──kCancelled──▶ CANCELLED
#ifndef SVI_SERVER_QUEUE_STATES_H_
#define SVI_SERVER_QUEUE_STATES_H_

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "svi/v1/resources.pb.h"

namespace svi::server {

// Stored as numbers: never renumber.
enum class ClipState {
  kNone = 0,    // not planned yet, or its turn has not come: there is no row
  kReady = 1,   // may be leased
  kLeased = 2,  // a worker holds it, at the row's epoch
  kDone = 3,    // committed, with its MP4; final
  kVoid = 4,    // will never be made, since the video failed or was cancelled; final
};

enum class VideoStep {
  kCreated,               // CreateVideo
  kClipLeased,            // AcquireLease
  kClipCommitted,         // CommitClip, and more clips are planned
  kPromptsUsedUp,         // CommitClip, none is planned, but more prompts may come
  kLastClipCommitted,     // CommitClip, and no more will come
  kAttemptEnded,          // FailLease: handed back, or to be tried again
  kAttemptFailedForGood,  // FailLease: permanent, or the last attempt
  kPromptsAppended,       // AppendPrompts
  kFinished,              // FinishVideo
  kCancelled,             // CancelVideo
};

struct Transition {
  v1::VideoState from;
  VideoStep step;
  v1::VideoState to;
  // What it does to the current clip. After kClipCommitted the next clip becomes READY.
  ClipState clip_from;
  ClipState clip_to;
};

// Every legal change; what is not in here is illegal.
[[nodiscard]] absl::Span<const Transition> Transitions();

// The row of the table for (from, step). FAILED_PRECONDITION if there is none.
[[nodiscard]] absl::StatusOr<Transition> FindTransition(v1::VideoState from, VideoStep step);

// The state that `step` leads to. FAILED_PRECONDITION if it is illegal in `from`.
[[nodiscard]] absl::StatusOr<v1::VideoState> NextState(v1::VideoState from, VideoStep step);

// SUCCEEDED, FAILED and CANCELLED: nothing leads out of them.
[[nodiscard]] bool IsFinal(v1::VideoState state);

// "QUEUED", for messages.
[[nodiscard]] absl::string_view StateName(v1::VideoState state);
[[nodiscard]] absl::string_view StepName(VideoStep step);

}  // namespace svi::server

#endif  // SVI_SERVER_QUEUE_STATES_H_
