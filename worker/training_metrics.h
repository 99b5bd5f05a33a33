// What a trainer tells Prometheus.
#ifndef SVI_WORKER_TRAINING_METRICS_H_
#define SVI_WORKER_TRAINING_METRICS_H_

#include <prometheus/counter.h>
#include <prometheus/gauge.h>
#include <prometheus/histogram.h>
#include <prometheus/registry.h>

#include <cstdint>

#include "engine/trainer.h"

namespace svi::worker {

// Every metric is there from the start, also while nothing is trained. One thread.
class TrainingMetrics {
 public:
  class Running;

  explicit TrainingMetrics(prometheus::Registry& registry);

  void BeginRun();
  void Report(const engine::TrainReport& report);

 private:
  void Count(prometheus::Counter& counter, int64_t total, int64_t* seen);

  prometheus::Gauge& running_;
  prometheus::Gauge& step_;
  prometheus::Gauge& loss_;
  prometheus::Gauge& learning_rate_;
  prometheus::Gauge& gradient_norm_;
  prometheus::Gauge& samples_per_second_;
  prometheus::Gauge& clean_share_;
  prometheus::Counter& steps_total_;
  prometheus::Counter& samples_total_;
  prometheus::Family<prometheus::Counter>& errors_total_;
  prometheus::Family<prometheus::Gauge>& bank_entries_;
  prometheus::Family<prometheus::Gauge>& videos_;
  prometheus::Family<prometheus::Histogram>& step_seconds_;
  int64_t seen_steps_ = 0, seen_samples_ = 0, seen_banked_ = 0, seen_skipped_ = 0;
  bool first_report_ = true;
};

// Lives as long as a run does.
class TrainingMetrics::Running {
 public:
  explicit Running(TrainingMetrics& metrics) : metrics_(metrics) {
    metrics_.BeginRun();
    metrics_.running_.Set(1);
  }
  ~Running() { metrics_.running_.Set(0); }
  Running(const Running&) = delete;
  Running& operator=(const Running&) = delete;

 private:
  TrainingMetrics& metrics_;
};

}  // namespace svi::worker

#endif  // SVI_WORKER_TRAINING_METRICS_H_
