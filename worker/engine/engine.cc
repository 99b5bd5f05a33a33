#include "engine/engine.h"

#include <ATen/Context.h>
#include <ATen/Parallel.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <fstream>

#include "worker/engine/as_status.h"
#include "worker/engine/kernels/modulated_norm.h"
#include "worker/engine/lora/lora_switch.h"
#include "worker/engine/nn/device.h"
#include "worker/engine/svi/chain.h"
#include "worker/engine/svi/pipeline.h"

namespace svi::engine {
namespace {

uint64_t ResidentBytes() {
  std::ifstream statm("/proc/self/statm");
  uint64_t total = 0, resident = 0;
  statm >> total >> resident;
  return resident * static_cast<uint64_t>(sysconf(_SC_PAGESIZE));
}

class LoadedEngine : public Engine {
 public:
  LoadedEngine(Pipeline pipeline, EngineInfo info, const EngineOptions& options)
      : pipeline_(std::move(pipeline)),
        info_(std::move(info)),
        loras_(*pipeline_.transformer, options.lora_dir, options.lora_cache_dir),
        chain_(pipeline_) {}

  const EngineInfo& info() const override { return info_; }

  absl::StatusOr<ClipResult> GenerateClip(const ClipRequest& request, const Picture& picture,
                                          const std::string& carry, const ClipCallbacks& callbacks) override {
    return AsStatus([&]() -> absl::StatusOr<ClipResult> {
      CheckRequest(request, info_.defaults);  // before any weight is touched
      const absl::Duration lora_time = loras_.Put(request.loras, [&] {
        if (callbacks.cancelled()) throw StatusError(absl::CancelledError("the clip was cancelled"));
      });
      ClipResult result = chain_.Generate(request, picture, carry, callbacks);
      result.lora_time = lora_time;
      return result;
    });
  }

  MemoryUse memory() const override {
    return {ResidentBytes(), DeviceBytesAllocated(pipeline_.device), loras_.merged_bytes()};
  }
  LoraFolder ScanLoras() override { return loras_.Scan(); }

 private:
  const Pipeline pipeline_;
  const EngineInfo info_;
  LoraSwitch loras_;
  Chain chain_;
};

}  // namespace

absl::StatusOr<std::unique_ptr<Engine>> Engine::Load(const EngineOptions& options) {
  return AsStatus([&]() -> absl::StatusOr<std::unique_ptr<Engine>> {
    if (options.num_threads < 0 || options.num_threads > 1024) {
      return absl::InvalidArgumentError("threads must be from 0 to 1024");
    }
    if (options.num_threads > 0) at::set_num_threads(options.num_threads);
    const at::Device device = SelectDevice(options.device);
    PrepareDevice(device);
    Pipeline pipeline = LoadPipeline(options, device);
    EngineInfo info;
    info.device = DeviceName(device);
    info.model_label = pipeline.config.name.empty() ? FolderName(options.model_dir) : pipeline.config.name;
    info.parameters = pipeline.parameters;
    info.defaults = pipeline.config.defaults;
    info.warnings = pipeline.warnings;
    if (auto warning = CheckModulatedNorm(device)) info.warnings.push_back(*std::move(warning));
    return std::make_unique<LoadedEngine>(std::move(pipeline), std::move(info), options);
  });
}

void DefaultSize(const ModelDefaults& defaults, int picture_width, int picture_height, int* width,
                 int* height) {
  const double area = static_cast<double>(picture_width) * picture_height;
  const double scale = std::min(1.0, std::sqrt(defaults.max_area / area));
  const int multiple = defaults.size_multiple;
  auto floored = [&](int side) {
    // The small surplus keeps 0.999… of an exact multiple from losing a whole one.
    return std::max(multiple, static_cast<int>(side * scale + 1e-6) / multiple * multiple);
  };
  *width = floored(picture_width);
  *height = floored(picture_height);
}

int NewFrames(int clip_index, int num_frames) { return clip_index == 0 ? num_frames : num_frames - 5; }

}  // namespace svi::engine
