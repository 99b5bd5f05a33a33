#include "worker/training_metrics.h"

#include <string>
#include <vector>

#include "absl/strings/str_format.h"

namespace svi::worker {
namespace {

// Seconds: from a tiny model on a CPU to a large batch of the 5B's.
const prometheus::Histogram::BucketBoundaries kStepBuckets = {0.001, 0.005, 0.02, 0.05, 0.1, 0.25, 0.5, 1,
                                                              2.5,   5,     10,   25,   60,  120,  300};

prometheus::Gauge& MakeGauge(prometheus::Registry& registry, const char* name, const char* help) {
  return prometheus::BuildGauge().Name(name).Help(help).Register(registry).Add({});
}

prometheus::Counter& MakeCounter(prometheus::Registry& registry, const char* name, const char* help) {
  return prometheus::BuildCounter().Name(name).Help(help).Register(registry).Add({});
}

}  // namespace

TrainingMetrics::TrainingMetrics(prometheus::Registry& registry)
    : running_(MakeGauge(registry, "svi_trainer_running", "1 while a run is trained.")),
      step_(MakeGauge(registry, "svi_trainer_step", "Optimiser steps of the run that are done.")),
      loss_(MakeGauge(registry, "svi_trainer_loss", "Weighted flow-matching loss of the newest step.")),
      learning_rate_(MakeGauge(registry, "svi_trainer_learning_rate", "Of the newest step.")),
      gradient_norm_(MakeGauge(registry, "svi_trainer_gradient_norm",
                               "L2 norm of all gradients of the newest step, before clipping.")),
      samples_per_second_(
          MakeGauge(registry, "svi_trainer_samples_per_second", "Over the last steps, all ranks.")),
      clean_share_(MakeGauge(registry, "svi_trainer_clean_share",
                             "Share of the run's samples, on this rank, without an injected error.")),
      steps_total_(MakeCounter(registry, "svi_trainer_steps_total", "Optimiser steps done.")),
      samples_total_(MakeCounter(registry, "svi_trainer_samples_total", "Samples trained on, of all ranks.")),
      errors_total_(prometheus::BuildCounter()
                        .Name("svi_trainer_errors_total")
                        .Help("Measured errors by what became of them.")
                        .Register(registry)),
      bank_entries_(prometheus::BuildGauge()
                        .Name("svi_trainer_bank_entries")
                        .Help("Errors in a bank, by grid; grid 00 is the noise end.")
                        .Register(registry)),
      videos_(prometheus::BuildGauge()
                  .Name("svi_trainer_videos")
                  .Help("Videos of the run's data set.")
                  .Register(registry)),
      step_seconds_(prometheus::BuildHistogram()
                        .Name("svi_trainer_step_seconds")
                        .Help("Time of one step by what it went into.")
                        .Register(registry)) {
  for (const char* outcome : {"banked", "skipped"}) errors_total_.Add({{"outcome", outcome}});
  for (const char* state : {"used", "skipped"}) videos_.Add({{"state", state}});
  for (const char* phase : {"data", "encode", "forward", "backward", "optimizer", "bank"}) {
    step_seconds_.Add({{"phase", phase}}, kStepBuckets);
  }
}

void TrainingMetrics::BeginRun() { first_report_ = true; }

// A run that is continued begins with totals of an earlier process: only what is new counts.
void TrainingMetrics::Count(prometheus::Counter& counter, int64_t total, int64_t* seen) {
  if (!first_report_ && total > *seen) counter.Increment(static_cast<double>(total - *seen));
  *seen = total;
}

void TrainingMetrics::Report(const engine::TrainReport& report) {
  step_.Set(static_cast<double>(report.step));
  videos_.Add({{"state", "used"}}).Set(static_cast<double>(report.videos));
  videos_.Add({{"state", "skipped"}}).Set(static_cast<double>(report.skipped_videos));
  Count(steps_total_, report.step, &seen_steps_);
  Count(samples_total_, report.samples, &seen_samples_);
  Count(errors_total_.Add({{"outcome", "banked"}}), report.banked_errors, &seen_banked_);
  Count(errors_total_.Add({{"outcome", "skipped"}}), report.skipped_errors, &seen_skipped_);
  first_report_ = false;
  if (!report.phase.empty()) return;  // before the first step

  loss_.Set(report.loss);
  learning_rate_.Set(report.learning_rate);
  gradient_norm_.Set(report.gradient_norm);
  samples_per_second_.Set(report.samples_per_second);
  clean_share_.Set(report.clean_share);
  const auto observe = [this](const char* phase, double seconds) {
    step_seconds_.Add({{"phase", phase}}, kStepBuckets).Observe(seconds);
  };
  observe("data", report.phases.data);
  observe("encode", report.phases.encode);
  observe("forward", report.phases.forward);
  observe("backward", report.phases.backward);
  observe("optimizer", report.phases.optimizer);
  observe("bank", report.phases.bank);
  const auto banks = [this](const char* bank, const std::vector<int64_t>& grids) {
    for (size_t grid = 0; grid < grids.size(); ++grid) {
      bank_entries_.Add({{"bank", bank}, {"grid", absl::StrFormat("%02d", grid)}})
          .Set(static_cast<double>(grids[grid]));
    }
  };
  banks("latent", report.latent_bank_grids);
  banks("noise", report.noise_bank_grids);
}

}  // namespace svi::worker
