// Latents → patchified frames, one latent at a time.
#ifndef SVI_ENGINE_VAE_DECODER_H_
#define SVI_ENGINE_VAE_DECODER_H_

#include <optional>
#include <vector>

#include "worker/engine/vae/blocks.h"
#include "worker/engine/vae/config.h"
#include "worker/engine/vae/resample.h"

namespace svi::engine {

// What the decoder remembers of one video. Tiles are laid out when the first latent tells the frame's size.
struct DecoderStreams {
  struct Tile {
    Region core;  // what it contributes, in pixels of the trunk's output
    StreamState state;
  };
  int64_t tile = 0;   // side in latents; 0: one tile, the frame
  StreamState trunk;  // what sees whole frames
  std::vector<Tile> tiles;
};

// Two parts. The trunk, up to the residual blocks of the second stage, works at one and two pixels a latent,
// where a frame is small, and sees all of it (the middle block's attention must). The rest grows it to eight
// pixels a latent and may go tile by tile: a tile takes as much of its surroundings as its kernels reach, and
// each convolution gives up what it cannot know at a cut side, so that exactly the tile's own pixels remain.
//
// Cost, for the 5B widths at 480×832 (30×52 latents; measured at a 16th of the widths): untiled, a latent
// peaks at 4.8 GB, of which 2.9 GB are what the convolutions remember. Tiles of 16 latents: 4.1 GB (3.3 GB
// remembered) for 1.1 times the time; of 13: 4.2 GB, 1.2 times; of 8: 4.7 GB, 1.5 times. What is remembered
// grows by the overlap, so tiles below about 12 latents cost more than they save.
class Decoder {
 public:
  Decoder(const Scope& scope, const VaeConfig& config);

  DecoderStreams NewStreams(int64_t tile) const;
  // x [B, 1, h, w, z] → [B, n, 8h, 8w, 12]; n = 1 for the first latent of `streams`, 4 afterwards.
  at::Tensor Forward(const at::Tensor& x, DecoderStreams& streams) const;

 private:
  struct Stage {
    int64_t width;
    std::vector<ResidualBlock> resnets;
    std::optional<Upsampler> upsampler;
    int64_t reach;  // of what follows this stage's upsampler, in pixels of the
                    // upsampler's output
  };
  // Where the trunk ends: after this stage's residual blocks, with their input for the shortcut.
  struct TrunkOutput {
    at::Tensor shortcut;
    at::Tensor x;
  };
  static constexpr size_t kLastOfTrunk = 1;
  static constexpr int64_t kTailScale = 4;  // how much the rest enlarges that

  Stage MakeStage(const Scope& scope, const VaeConfig& config, size_t index, int64_t in);
  StreamState NewState() const;
  TrunkOutput RunTrunk(const at::Tensor& x, StreamState& state) const;
  at::Tensor RunTile(const TrunkOutput& trunk, DecoderStreams::Tile& tile) const;
  at::Tensor RunResnets(const Stage& stage, at::Tensor x, StreamState& state) const;

  SlotCounter slots_;
  CausalConv conv_in_;
  MidBlock mid_block_;
  std::vector<Stage> stages_;
  std::optional<OutputHead> head_;
  int64_t tail_reach_ = 0;  // of all that follows the trunk, in pixels of the trunk's output
};

// How many latents a fresh decoder must have seen before its frames no longer depend on where it started.
// Counted along the longest chain of kernels: after a fresh start at latent s every causal convolution makes
// two more frames wrong, at the frame rate where it works, and doubling the rate doubles the count. The first
// latent's special path (it skips the convolutions in time, which never see it, and makes one frame instead
// of four) lies wholly inside that region.
[[nodiscard]] int64_t DecoderReceptiveLatents(const VaeConfig& config);

}  // namespace svi::engine

#endif  // SVI_ENGINE_VAE_DECODER_H_
