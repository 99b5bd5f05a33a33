// Latents → patchified frames, one latent at a time.
#ifndef SVI_ENGINE_VAE_DECODER_H_
#define SVI_ENGINE_VAE_DECODER_H_

#include <optional>
#include <vector>

#include "worker/engine/vae/blocks.h"
#include "worker/engine/vae/config.h"
#include "worker/engine/vae/resample.h"

namespace svi::engine {

class Decoder {
 public:
  Decoder(const Scope& scope, const VaeConfig& config);

  StreamState NewState() const;
  // x [B, 1, h, w, z] → [B, n, 8h, 8w, 12]; n = 1 for the first latent of `state`, 4 afterwards.
  at::Tensor Forward(const at::Tensor& x, StreamState& state) const;

 private:
  struct Stage {
    int64_t width;
    ResampleFactor factor;
    std::vector<ResidualBlock> resnets;
    std::optional<Upsampler> upsampler;
  };
  Stage MakeStage(const Scope& scope, const VaeConfig& config, size_t index, int64_t in);

  SlotCounter slots_;
  CausalConv conv_in_;
  MidBlock mid_block_;
  std::vector<Stage> stages_;
  std::optional<OutputHead> head_;
};

// How many latents a fresh decoder must have seen before its frames no longer depend on where it started.
// Counted along the longest chain of kernels: after a fresh start at latent s every causal convolution makes
// two more frames wrong, at the frame rate where it works, and doubling the rate doubles the count. The first
// latent's special path (it skips the convolutions in time, which never see it, and makes one frame instead
// of four) lies wholly inside that region.
[[nodiscard]] int64_t DecoderReceptiveLatents(const VaeConfig& config);

}  // namespace svi::engine

#endif  // SVI_ENGINE_VAE_DECODER_H_
