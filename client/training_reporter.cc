#include "client/training_reporter.h"

#include <algorithm>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"

namespace svi::client {

void TrainingReporter::Created(const v1::TrainingRun& run) {
  if (out_.json()) return out_.Json(run, "created");
  out_.Line(absl::StrCat("created ", run.name()));
}

void TrainingReporter::Watching(const v1::TrainingRun& run) {
  progress_.Start(run);
  out_.SetBar([this](int width) { return RenderBar(progress_, width); });
}

void TrainingReporter::Event(const v1::TrainingEvent& event) {
  if (out_.json()) return out_.Json(event, "event");
  progress_.Update(event);
  DescribeEvent(event);
  out_.DrawBar();
}

void TrainingReporter::DescribeEvent(const v1::TrainingEvent& event) {
  switch (event.event_case()) {
    case v1::TrainingEvent::kStateChanged:
      // The last state is reported with the run, and others show in the bar.
      if (out_.mode() == OutputMode::kPlain && event.state_changed().state() <= v1::TRAINING_STATE_RUNNING) {
        out_.Line(StateName(event.state_changed().state()));
      }
      break;
    case v1::TrainingEvent::kStarted: {
      const std::string again =
          event.started().attempt() > 1 ? absl::StrCat(", attempt ", event.started().attempt()) : "";
      out_.Line(absl::StrCat("started on ", event.started().worker(), again));
      break;
    }
    case v1::TrainingEvent::kAttemptFailed: {
      const v1::TrainingAttemptFailed& failed = event.attempt_failed();
      out_.Line(absl::StrCat("attempt ", failed.attempt(), " of ", failed.max_attempts(),
                             " failed: ", failed.error().message(), " (", failed.error().reason(), ")"));
      break;
    }
    case v1::TrainingEvent::kPublished:
      out_.Line(absl::StrCat("published ", event.published().name(), " (",
                             ShortSize(event.published().size_bytes()), ")"));
      break;
    case v1::TrainingEvent::kProgress:
      if (out_.mode() == OutputMode::kPlain) PlainProgress(event.progress());
      break;
    case v1::TrainingEvent::EVENT_NOT_SET:
      break;
  }
}

void TrainingReporter::PlainProgress(const v1::TrainingProgress& progress) {
  // A line a hundredth of the steps, and one a kind of phase, whatever its numbers: a log wants no more.
  std::string key = progress.phase();
  key.erase(std::remove_if(key.begin(), key.end(),
                           [](char c) { return absl::ascii_isdigit(static_cast<unsigned char>(c)); }),
            key.end());
  if (key.empty() && progress.max_steps() > 0) {
    key = absl::StrCat(uint64_t{progress.step()} * 100 / progress.max_steps());
  }
  if (key == last_progress_) return;
  last_progress_ = key;
  out_.Line(DescribeProgress(progress));
}

void TrainingReporter::Ended(const v1::TrainingRun& run) {
  if (out_.json()) return out_.Json(run, "ended");
  std::string text = absl::StrCat(run.name(), " ", StateName(run.state()), ": ", run.progress().step(),
                                  " of ", run.spec().max_steps(), " steps");
  if (!run.lora().empty()) absl::StrAppend(&text, ", ", run.lora());
  if (run.state() == v1::TRAINING_STATE_FAILED) {
    absl::StrAppend(&text, "\n  ", run.error().message(), " (", run.error().reason(), ")");
  }
  out_.Line(text);
}

}  // namespace svi::client
