#include "worker/engine/vae/decoder.h"

#include <utility>
#include <vector>

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
  int64_t reach = OutputHead::kReach;
  for (size_t i = kVaeStages; i-- > kLastOfTrunk;) {
    if (stages_[i].upsampler) {
      stages_[i].reach = reach;
      reach = (reach + 1) / 2 + Upsampler::kReach;
    }
    if (i > kLastOfTrunk) reach += static_cast<int64_t>(stages_[i].resnets.size()) * ResidualBlock::kReach;
  }
  tail_reach_ = reach;
}

Decoder::Stage Decoder::MakeStage(const Scope& scope, const VaeConfig& config, size_t index, int64_t in) {
  Stage stage{.width = config.decoder_base_dim * config.dim_mult[kVaeStages - 1 - index],
              .resnets = {},
              .upsampler = {},
              .reach = 0};
  for (int64_t i = 0; i <= config.num_res_blocks; ++i) {
    stage.resnets.emplace_back(scope / "resnets" / i, in, stage.width, slots_);
    in = stage.width;
  }
  if (index + 1 < kVaeStages) {
    stage.upsampler.emplace(scope / "upsampler", stage.width, DoublesTime(config, index), slots_);
  }
  return stage;
}

StreamState Decoder::NewState() const {
  StreamState state;
  state.caches.resize(slots_.count());
  return state;
}

DecoderStreams Decoder::NewStreams(int64_t tile) const {
  return {.tile = tile, .trunk = NewState(), .tiles = {}};
}

at::Tensor Decoder::RunResnets(const Stage& stage, at::Tensor x, StreamState& state) const {
  for (const ResidualBlock& resnet : stage.resnets) x = resnet.Forward(x, state);
  return x;
}

Decoder::TrunkOutput Decoder::RunTrunk(const at::Tensor& x, StreamState& state) const {
  TrunkOutput out;
  out.x = mid_block_.Forward(conv_in_.Forward(x, state), state);
  for (size_t i = 0; i <= kLastOfTrunk; ++i) {
    out.shortcut = out.x;
    out.x = RunResnets(stages_[i], out.x, state);
    if (i < kLastOfTrunk) out.x = stages_[i].upsampler->Forward(out.x, out.shortcut, state);
  }
  state.first = false;
  return out;
}

at::Tensor Decoder::RunTile(const TrunkOutput& trunk, DecoderStreams::Tile& tile) const {
  StreamState& state = tile.state;
  const Region whole{{0, trunk.x.size(2), trunk.x.size(2)}, {0, trunk.x.size(3), trunk.x.size(3)}};
  Region core = tile.core, at = core.Grown(tail_reach_);
  at::Tensor x = Part(trunk.x, whole, at), shortcut = Part(trunk.shortcut, whole, at);
  for (size_t i = kLastOfTrunk; i < kVaeStages; ++i) {
    const Stage& stage = stages_[i];
    state.edges = at.edges();
    if (i > kLastOfTrunk) {
      shortcut = stage.upsampler ? x : at::Tensor();
      x = RunResnets(stage, std::move(x), state);
      const Region before = at;
      at = at.Shrunk(static_cast<int64_t>(stage.resnets.size()) * ResidualBlock::kReach);
      if (shortcut.defined()) shortcut = Part(shortcut, before, at);
    }
    if (!stage.upsampler) continue;
    x = stage.upsampler->Forward(x, Trim(shortcut, Upsampler::kReach, state.edges), state);
    const Region doubled = at.Shrunk(Upsampler::kReach).Doubled();
    core = core.Doubled();
    at = core.Grown(stage.reach);
    x = Part(x, doubled, at);
  }
  x = head_->Forward(x, state);
  state.first = false;
  return x;
}

at::Tensor Decoder::Forward(const at::Tensor& x, DecoderStreams& streams) const {
  const TrunkOutput trunk = RunTrunk(x, streams.trunk);
  const int64_t height = trunk.x.size(2), width = trunk.x.size(3);
  if (streams.tiles.empty()) {
    for (const Region& core : Tiles(x.size(2), x.size(3), streams.tile)) {
      streams.tiles.push_back({.core = core.Doubled(), .state = NewState()});
    }
  }
  if (streams.tiles.size() == 1) return RunTile(trunk, streams.tiles[0]);
  at::Tensor out;
  for (DecoderStreams::Tile& tile : streams.tiles) {
    const at::Tensor frames = RunTile(trunk, tile);
    if (!out.defined()) {
      out =
          at::empty({frames.size(0), frames.size(1), kTailScale * height, kTailScale * width, frames.size(4)},
                    frames.options());
    }
    out.narrow(2, kTailScale * tile.core.rows.begin, frames.size(2))
        .narrow(3, kTailScale * tile.core.columns.begin, frames.size(3))
        .copy_(frames);
  }
  return out;
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
