#include "worker/agent/worker_metrics.h"

namespace svi::worker {
namespace {

// Seconds: from a tiny model on a CPU to the largest clip on a slow GPU.
const prometheus::Histogram::BucketBoundaries kStageBuckets = {0.01, 0.05, 0.1, 0.5, 1,   2,   5,    10,
                                                               20,   30,   60,  120, 300, 600, 1200, 3600};

}  // namespace

WorkerMetrics::WorkerMetrics(const engine::EngineInfo& info, const std::string& version)
    : connection_(*registry_, {info.device, info.model_label, version}, "svi_worker_clips_total") {
  const auto gauge = [this](const char* name, const char* help) {
    return &prometheus::BuildGauge().Name(name).Help(help).Register(*registry_).Add({});
  };
  resident_bytes_ = gauge("svi_worker_resident_bytes", "Resident memory of the process.");
  device_bytes_ = gauge("svi_worker_device_bytes", "Memory allocated on the GPU; 0 on a CPU.");
  lora_bytes_ = gauge("svi_worker_lora_bytes", "Weights with LoRAs merged in, kept beside the model's own.");
  loras_ = gauge("svi_worker_loras", "LoRA files that can be used.");
  loras_refused_ = gauge("svi_worker_loras_refused", "LoRA files that cannot be used; the log says why.");
  lora_switch_seconds_ = &prometheus::BuildHistogram()
                              .Name("svi_worker_lora_switch_seconds")
                              .Help("Time to put other LoRAs in place before a clip.")
                              .Register(*registry_)
                              .Add({}, kStageBuckets);
  steps_per_second_ = gauge("svi_worker_steps_per_second", "Denoising steps a second, by the newest step.");
  steps_total_ = &prometheus::BuildCounter()
                      .Name("svi_worker_denoise_steps_total")
                      .Help("Denoising steps done.")
                      .Register(*registry_)
                      .Add({});
  stage_seconds_ = &prometheus::BuildHistogram()
                        .Name("svi_worker_clip_stage_seconds")
                        .Help("Time of one clip in each stage.")
                        .Register(*registry_);
  clip_drift_ = &prometheus::BuildGauge()
                     .Name("svi_worker_clip_drift")
                     .Help("How far the newest clip has gone from its video's first; see README, Drift.")
                     .Register(*registry_);
  for (const char* stage : {"encode", "denoise", "decode", "mux", "upload"}) {
    stage_seconds_->Add({{"stage", stage}}, kStageBuckets);
  }
}

void WorkerMetrics::SetMemory(const engine::MemoryUse& memory) {
  resident_bytes_->Set(static_cast<double>(memory.resident_bytes));
  device_bytes_->Set(static_cast<double>(memory.device_bytes));
  lora_bytes_->Set(static_cast<double>(memory.lora_bytes));
}

void WorkerMetrics::SetLoras(size_t usable, size_t refused) {
  loras_->Set(static_cast<double>(usable));
  loras_refused_->Set(static_cast<double>(refused));
}

void WorkerMetrics::SetDrift(const v1::ClipDrift& drift) {
  const auto set = [this](const char* measure, double value) {
    clip_drift_->Add({{"measure", measure}}).Set(value);
  };
  set("brightness", drift.brightness());
  set("contrast", drift.contrast());
  set("saturation", drift.saturation());
  set("sharpness", drift.sharpness());
  set("motion", drift.motion());
  set("histogram_distance", drift.histogram_distance());
  if (drift.has_static_psnr()) set("static_psnr", drift.static_psnr());
  if (drift.has_static_ssim()) set("static_ssim", drift.static_ssim());
}

void WorkerMetrics::OnProgress(const v1::Progress& progress, absl::Time now) {
  if (progress.stage() != v1::STAGE_DENOISE) {
    last_step_ = 0;
    last_step_time_ = absl::InfinitePast();
    return;
  }
  if (progress.step() > last_step_) {
    const double steps = progress.step() - last_step_;
    steps_total_->Increment(steps);
    if (last_step_time_ != absl::InfinitePast() && now > last_step_time_) {
      steps_per_second_->Set(steps / absl::ToDoubleSeconds(now - last_step_time_));
    }
  }
  last_step_ = progress.step();
  last_step_time_ = now;
}

void WorkerMetrics::ObserveStage(const char* stage, absl::Duration time) {
  stage_seconds_->Add({{"stage", stage}}, kStageBuckets).Observe(absl::ToDoubleSeconds(time));
}

}  // namespace svi::worker
