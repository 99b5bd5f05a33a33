#include "worker/engine/vae/decoder.h"

#include <utility>

namespace svi::engine {
namespace {

constexpr int64_t kLookBack = 2;  // frames before its own that a causal kernel of width 3 sees

// The decoder runs the encoder's stages backwards.
bool DoublesTime(const VaeConfig& config, size_t stage) {
  return stage + 1 < kVaeStages && config.temperal_downsample[kVaeStages - 2 - stage];
}

}  // namespace

Decoder::Decoder(const Scope& scope, const VaeConfig& config)
    : conv_in_(scope / "conv_in", config.z_dim, config.decoder_base_dim * config.dim_mult.back(), slots_),
      mid_block_(scope / "mid_block", config.decoder_base_dim * config.dim_mult.back(), slots_) {
  int64_t width = config.decoder_base_dim * config.dim_mult.back();
  for (size_t i = 0; i < kVaeStages; ++i) {
    stages_.push_back(MakeStage(scope / "up_blocks" / static_cast<int64_t>(i), config, i, width));
    width = stages_.back().width;
  }
  head_.emplace(scope, width, kVaePatchedChannels, slots_);
}

Decoder::Stage Decoder::MakeStage(const Scope& scope, const VaeConfig& config, size_t index, int64_t in) {
  const bool grows = index + 1 < kVaeStages;
  const bool time = DoublesTime(config, index);
  Stage stage{.width = config.decoder_base_dim * config.dim_mult[kVaeStages - 1 - index],
              .factor = {.time = time ? 2 : 1, .space = grows ? 2 : 1},
              .resnets = {},
              .upsampler = {}};
  for (int64_t i = 0; i <= config.num_res_blocks; ++i) {
    stage.resnets.emplace_back(scope / "resnets" / i, in, stage.width, slots_);
    in = stage.width;
  }
  if (grows) stage.upsampler.emplace(scope / "upsampler", stage.width, time, slots_);
  return stage;
}

StreamState Decoder::NewState() const {
  StreamState state;
  state.caches.resize(slots_.count());
  return state;
}

at::Tensor Decoder::Forward(const at::Tensor& x, StreamState& state) const {
  at::Tensor h = mid_block_.Forward(conv_in_.Forward(x, state), state);
  for (const Stage& stage : stages_) {
    const at::Tensor stage_input = stage.upsampler ? h : at::Tensor();
    for (const ResidualBlock& resnet : stage.resnets) h = resnet.Forward(h, state);
    if (!stage.upsampler) continue;
    h = stage.upsampler->Forward(h, state);
    AddDupUp(stage_input, stage.factor, state.first, h);
  }
  h = head_->Forward(h, state);
  state.first = false;
  return h;
}

int64_t DecoderReceptiveLatents(const VaeConfig& config) {
  const int64_t block = 2 * kLookBack;    // a residual block has two causal convolutions
  int64_t wrong = kLookBack + 2 * block;  // conv_in and the mid block
  int64_t rate = 1;                       // frames per latent
  for (size_t i = 0; i < kVaeStages; ++i) {
    wrong += (config.num_res_blocks + 1) * block;
    if (!DoublesTime(config, i)) continue;
    wrong = 2 * (wrong + kLookBack);
    rate *= 2;
  }
  wrong += kLookBack;  // conv_out
  return (wrong + rate - 1) / rate;
}

}  // namespace svi::engine
