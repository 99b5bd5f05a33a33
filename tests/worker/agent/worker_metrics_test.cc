#include "worker/agent/worker_metrics.h"

#include <prometheus/text_serializer.h>

#include <string>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace svi::worker {
namespace {

using ::testing::HasSubstr;

v1::Progress Step(v1::Stage stage, uint32_t step) {
  v1::Progress progress;
  progress.set_stage(stage);
  progress.set_step(step);
  progress.set_total(9);
  return progress;
}

TEST(WorkerMetricsTest, SaysWhatHappened) {
  engine::EngineInfo info;
  info.device = "cpu";
  info.model_label = "tiny";
  WorkerMetrics metrics(info, "0.1");
  const absl::Time start = absl::UnixEpoch();
  metrics.OnProgress(Step(v1::STAGE_ENCODE, 1), start);
  metrics.OnProgress(Step(v1::STAGE_DENOISE, 1), start + absl::Seconds(1));
  metrics.OnProgress(Step(v1::STAGE_DENOISE, 2), start + absl::Seconds(3));
  metrics.OnProgress(Step(v1::STAGE_DECODE, 1), start + absl::Seconds(4));
  metrics.OnProgress(Step(v1::STAGE_DENOISE, 1), start + absl::Seconds(9));
  metrics.ObserveStage("denoise", absl::Seconds(7));
  metrics.CountClip("done");
  metrics.SetBusy(true);
  metrics.SetConnected(true);
  metrics.SetMemory({.resident_bytes = 12, .device_bytes = 34, .lora_bytes = 56});
  metrics.SetLoras(3, 2);
  metrics.ObserveLoraSwitch(absl::Milliseconds(250));
  metrics.ObserveLoraSwitch(absl::Seconds(1));
  const std::string text = prometheus::TextSerializer().Serialize(metrics.registry()->Collect());
  for (const char* line :
       {"svi_worker_info{device=\"cpu\",model=\"tiny\",version=\"0.1\"} 1", "svi_worker_busy 1",
        "svi_worker_connected 1", "svi_worker_denoise_steps_total 3", "svi_worker_steps_per_second 0.5",
        "svi_worker_clip_stage_seconds_count{stage=\"denoise\"} 1",
        "svi_worker_clip_stage_seconds_sum{stage=\"denoise\"} 7",
        "svi_worker_clips_total{outcome=\"done\"} 1", "svi_worker_clips_total{outcome=\"failed\"} 0",
        "svi_worker_resident_bytes 12", "svi_worker_device_bytes 34", "svi_worker_lora_bytes 56",
        "svi_worker_loras 3", "svi_worker_loras_refused 2", "svi_worker_lora_switch_seconds_count 2",
        "svi_worker_lora_switch_seconds_sum 1.25"}) {
    EXPECT_THAT(text, HasSubstr(line));
  }
}

}  // namespace
}  // namespace svi::worker
