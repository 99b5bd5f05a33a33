// Patchified video → latent statistics, chunk by chunk.
#ifndef SVI_ENGINE_VAE_ENCODER_H_
#define SVI_ENGINE_VAE_ENCODER_H_

#include <optional>
#include <vector>

#include "worker/engine/vae/blocks.h"
#include "worker/engine/vae/config.h"
#include "worker/engine/vae/resample.h"

namespace svi::engine {

class Encoder {
 public:
  Encoder(const Scope& scope, const VaeConfig& config);

  StreamState NewState() const;
  // x [B, T, H, W, 12] (H and W of the patchified picture), T = 1 for the first chunk of `state`, 4
  // afterwards → [B, 1, H/8, W/8, 2z].
  at::Tensor Forward(const at::Tensor& x, StreamState& state) const;

 private:
  struct Stage {
    int64_t width;
    ResampleFactor factor;
    std::vector<ResidualBlock> resnets;
    std::optional<Downsampler> downsampler;
  };
  Stage MakeStage(const Scope& scope, const VaeConfig& config, size_t index);

  SlotCounter slots_;
  CausalConv conv_in_;
  std::vector<Stage> stages_;
  std::optional<MidBlock> mid_block_;
  std::optional<OutputHead> head_;
};

}  // namespace svi::engine

#endif  // SVI_ENGINE_VAE_ENCODER_H_
