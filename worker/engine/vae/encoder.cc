#include "worker/engine/vae/encoder.h"

#include <utility>

namespace svi::engine {

Encoder::Encoder(const Scope& scope, const VaeConfig& config)
    : conv_in_(scope / "conv_in", kVaePatchedChannels, config.base_dim, slots_) {
  for (size_t i = 0; i < kVaeStages; ++i) {
    stages_.push_back(MakeStage(scope / "down_blocks" / static_cast<int64_t>(i), config, i));
  }
  const int64_t width = stages_.back().width;
  mid_block_.emplace(scope / "mid_block", width, slots_);
  head_.emplace(scope, width, 2 * config.z_dim, slots_);
}

Encoder::Stage Encoder::MakeStage(const Scope& scope, const VaeConfig& config, size_t index) {
  const bool shrinks = index + 1 < kVaeStages;
  const bool time = shrinks && config.temperal_downsample[index];
  Stage stage{.width = config.base_dim * config.dim_mult[index],
              .factor = {.time = time ? 2 : 1, .space = shrinks ? 2 : 1},
              .resnets = {},
              .downsampler = {}};
  int64_t in = config.base_dim * (index == 0 ? 1 : config.dim_mult[index - 1]);
  for (int64_t i = 0; i < config.num_res_blocks; ++i) {
    stage.resnets.emplace_back(scope / "resnets" / i, in, stage.width, slots_);
    in = stage.width;
  }
  if (shrinks) stage.downsampler.emplace(scope / "downsampler", stage.width, time, slots_);
  return stage;
}

StreamState Encoder::NewState() const {
  StreamState state;
  state.caches.resize(slots_.count());
  return state;
}

at::Tensor Encoder::Forward(const at::Tensor& x, StreamState& state) const {
  at::Tensor h = conv_in_.Forward(x, state);
  for (const Stage& stage : stages_) {
    const at::Tensor shortcut = AvgDown(h, stage.width, stage.factor);
    for (const ResidualBlock& resnet : stage.resnets) h = resnet.Forward(h, state);
    if (stage.downsampler) h = stage.downsampler->Forward(h, state);
    // Out of place: the last downsampled frame may be what the stage's cache remembers.
    h = h + shortcut;
  }
  h = head_->Forward(mid_block_->Forward(h, state), state);
  state.first = false;
  return h;
}

}  // namespace svi::engine
