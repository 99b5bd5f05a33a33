// What /metrics of a worker says.
#ifndef SVI_WORKER_AGENT_WORKER_METRICS_H_
#define SVI_WORKER_AGENT_WORKER_METRICS_H_

#include <prometheus/counter.h>
#include <prometheus/family.h>
#include <prometheus/gauge.h>
#include <prometheus/histogram.h>
#include <prometheus/registry.h>

#include <memory>
#include <string>

#include "absl/time/time.h"
#include "engine/engine.h"
#include "svi/v1/resources.pb.h"
#include "worker/agent/connection_metrics.h"

namespace svi::worker {

// Thread-safe.
class WorkerMetrics {
 public:
  WorkerMetrics(const engine::EngineInfo& info, const std::string& version);

  void SetConnected(bool connected) { connection_.SetConnected(connected); }
  void SetBusy(bool busy) { connection_.SetBusy(busy); }
  void SetMemory(const engine::MemoryUse& memory);
  // LoRA files that can be used, and that cannot.
  void SetLoras(size_t usable, size_t refused);
  // Other LoRAs were put in place.
  void ObserveLoraSwitch(absl::Duration time) { lora_switch_seconds_->Observe(absl::ToDoubleSeconds(time)); }
  // Counts denoising steps and their rate. Called with each progress report of the engine, in order.
  void OnProgress(const v1::Progress& progress, absl::Time now);
  // `stage`: encode, denoise, decode, mux or upload.
  void ObserveStage(const char* stage, absl::Duration time);
  // svi_worker_clip_drift{measure}: of the newest clip, by the names of ClipDrift's fields; what a clip does
  // not have keeps its last value.
  void SetDrift(const v1::ClipDrift& drift);
  // `outcome`: done, failed, cancelled, handed_back or lost.
  void CountClip(const char* outcome) { connection_.CountLease(outcome); }

  [[nodiscard]] const std::shared_ptr<prometheus::Registry>& registry() const { return registry_; }

 private:
  const std::shared_ptr<prometheus::Registry> registry_ = std::make_shared<prometheus::Registry>();
  ConnectionMetrics connection_;
  prometheus::Gauge* resident_bytes_;
  prometheus::Gauge* device_bytes_;
  prometheus::Gauge* lora_bytes_;
  prometheus::Gauge* loras_;
  prometheus::Gauge* loras_refused_;
  prometheus::Histogram* lora_switch_seconds_;
  prometheus::Gauge* steps_per_second_;
  prometheus::Counter* steps_total_;
  prometheus::Family<prometheus::Histogram>* stage_seconds_;
  prometheus::Family<prometheus::Gauge>* clip_drift_;
  // Of the clip under way; the engine's thread only.
  uint32_t last_step_ = 0;
  absl::Time last_step_time_ = absl::InfinitePast();
};

}  // namespace svi::worker

#endif  // SVI_WORKER_AGENT_WORKER_METRICS_H_
