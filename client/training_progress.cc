#include "client/training_progress.h"

#include <algorithm>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "client/progress_bar.h"

namespace svi::client {
namespace {

std::string Eta(const v1::TrainingProgress& progress) {
  return ShortDuration(absl::Seconds(progress.eta().seconds()));
}

}  // namespace

std::string StateName(v1::TrainingState state) {
  const std::string& name = v1::TrainingState_Name(state);
  const size_t prefix = sizeof("TRAINING_STATE_") - 1;
  return absl::AsciiStrToLower(name.size() > prefix ? name.substr(prefix) : name);
}

void RunProgress::Start(const v1::TrainingRun& run) {
  state_ = run.state();
  newest_ = run.progress();
  if (newest_.max_steps() == 0) newest_.set_max_steps(run.spec().max_steps());
}

void RunProgress::Update(const v1::TrainingEvent& event) {
  if (event.has_state_changed()) state_ = event.state_changed().state();
  if (event.has_progress()) newest_ = event.progress();
}

double RunProgress::Fraction() const {
  if (newest_.max_steps() == 0) return 0;
  return std::min(1.0, static_cast<double>(newest_.step()) / newest_.max_steps());
}

std::string RenderBar(const RunProgress& progress, int width) {
  const v1::TrainingProgress& now = progress.newest();
  std::string right;
  if (progress.state() != v1::TRAINING_STATE_RUNNING) {
    right = StateName(progress.state());
  } else if (!now.phase().empty()) {
    right = now.phase();
  } else if (now.step() == 0) {
    right = "starting";
  } else {
    right = absl::StrFormat("loss %.4g lr %.1e %.2f/s", now.loss(), now.learning_rate(),
                            now.samples_per_second());
    absl::StrAppend(&right, " bank ", now.latent_bank_entries());
    if (now.noise_bank_entries() > 0) absl::StrAppend(&right, "+", now.noise_bank_entries());
    if (now.has_eta()) absl::StrAppend(&right, " ETA ", Eta(now));
  }
  return RenderBar(absl::StrCat("step ", now.step(), "/", now.max_steps()), progress.Fraction(), right,
                   width);
}

std::string DescribeProgress(const v1::TrainingProgress& progress) {
  if (!progress.phase().empty()) return progress.phase();
  std::string text = absl::StrFormat(
      "step %d/%d: loss %.4g, learning rate %.4g, gradient norm %.4g, %.2f samples/s, bank %d latent, %d "
      "noise",
      progress.step(), progress.max_steps(), progress.loss(), progress.learning_rate(),
      progress.gradient_norm(), progress.samples_per_second(), progress.latent_bank_entries(),
      progress.noise_bank_entries());
  if (progress.has_eta()) absl::StrAppend(&text, ", ETA ", Eta(progress));
  return text;
}

}  // namespace svi::client
