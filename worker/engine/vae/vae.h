// The Wan 2.2 VAE: causal in time, 16× in space, 4× in time, 48 channels in the 5B model.
#ifndef SVI_ENGINE_VAE_VAE_H_
#define SVI_ENGINE_VAE_VAE_H_

#include <ATen/ATen.h>

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "worker/engine/weights/weight_source.h"

namespace svi::engine {

// Field names as in the Diffusers config.json of AutoencoderKLWan.
struct VaeConfig {
  int64_t base_dim = 160;
  int64_t decoder_base_dim = 256;
  int64_t z_dim = 48;
  std::vector<int64_t> dim_mult = {1, 2, 4, 4};
  int64_t num_res_blocks = 2;
  std::vector<bool> temperal_downsample = {false, true, true};  // [sic], the checkpoint's spelling
  std::vector<double> latents_mean;                             // [z_dim]; default: Wan 2.2's table
  std::vector<double> latents_std;

  static VaeConfig FromJson(const std::string& text);  // throws std::invalid_argument naming the field
  std::string ToJson() const;
};

// The decoder's causal feature cache: what it remembers between latents of one video. Holds no weights: it
// may outlive the Vae that made it and go on with another one of the same weights.
class DecoderState {
 public:
  virtual ~DecoderState() = default;
};

class Vae {
 public:
  // Takes every tensor, does not call Finish(). Computes in the weights' dtype (norms always in fp32 at
  // least) and keeps none of the source's tensors, so that mapped files are unmapped once the source is gone.
  Vae(const VaeConfig& config, WeightSource& weights);
  ~Vae();

  const VaeConfig& config() const;

  // video [B, 3, F, H, W] in [-1, 1], F = 4k+1, H and W multiples of 16 → raw mean [B, z, k+1, H/16, W/16],
  // fp32 even if the weights are of a half type; so are decoded frames.
  // Streams in chunks of 1, 4, 4… frames.
  at::Tensor EncodeMean(const at::Tensor& video) const;
  // The same, normalised: (mean - latents_mean) / latents_std.
  at::Tensor Encode(const at::Tensor& video) const;
  at::Tensor Normalize(const at::Tensor& mean) const;

  // Decoding streams, one latent at a time, so that memory does not grow with the video's length.
  // `tile`: side, in latents, of the tiles that a frame is decoded in; 0: untiled. What sees a whole frame
  // (the middle block's attention), or works where a frame is small, is not tiled; the rest takes, with each
  // tile, as much of its surroundings as its kernels reach. So the result is the untiled one's but for
  // rounding (below 2e-5): there are no seams. Throws std::invalid_argument on a negative one.
  std::unique_ptr<DecoderState> NewDecoderState(int64_t tile = 0) const;
  // latent: normalised [B, z, 1, h, w] → frames [B, 3, n, 16h, 16w] in [-1, 1], clamped; n = 1 for the first
  // latent of the state's life, 4 afterwards.
  at::Tensor DecodeNext(const at::Tensor& latent, DecoderState& state) const;
  // All latents [B, z, T, h, w] of one video → [B, 3, 4T-3, 16h, 16w].
  at::Tensor Decode(const at::Tensor& latents, int64_t tile = 0) const;

  // After decoding this many latents that precede a point of one video (the first of them standing in for the
  // video's start), the state equals the one that has decoded the video from its beginning. Finite: causal
  // kernels of width 3.
  int64_t decoder_receptive_latents() const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace svi::engine

#endif  // SVI_ENGINE_VAE_VAE_H_
