#include "worker/engine/vae/vae.h"

#include <ATen/core/grad_mode.h>

#include <stdexcept>
#include <utility>

#include "worker/engine/vae/config.h"
#include "worker/engine/vae/decoder.h"
#include "worker/engine/vae/encoder.h"

namespace svi::engine {
namespace {

// [B, 3, T, H, W] → [B, T, H/2, W/2, 12]; channel = colour·4 + column offset·2 + row offset.
at::Tensor Patchify(const at::Tensor& video) {
  const int64_t b = video.size(0), t = video.size(2), h = video.size(3) / kVaePatch,
                w = video.size(4) / kVaePatch;
  return video.reshape({b, kVaePixelChannels, t, h, kVaePatch, w, kVaePatch})
      .permute({0, 2, 3, 5, 1, 6, 4})
      .reshape({b, t, h, w, kVaePatchedChannels});
}

at::Tensor Unpatchify(const at::Tensor& x) {
  const int64_t b = x.size(0), t = x.size(1), h = x.size(2), w = x.size(3);
  return x.view({b, t, h, w, kVaePixelChannels, kVaePatch, kVaePatch})
      .permute({0, 4, 1, 2, 6, 3, 5})
      .reshape({b, kVaePixelChannels, t, kVaePatch * h, kVaePatch * w});
}

at::Tensor ChannelsFirst(const at::Tensor& x) { return x.permute({0, 4, 1, 2, 3}).contiguous(); }
at::Tensor ChannelsLast(const at::Tensor& x) { return x.permute({0, 2, 3, 4, 1}).contiguous(); }

void CheckLatents(const at::Tensor& latents, int64_t z_dim) {
  if (latents.dim() != 5 || latents.size(1) != z_dim || latents.numel() == 0) {
    throw std::invalid_argument("latents must be [B, " + std::to_string(z_dim) + ", T, h, w] and not empty");
  }
}

void CheckVideo(const at::Tensor& video) {
  if (video.dim() != 5 || video.size(1) != kVaePixelChannels || video.numel() == 0) {
    throw std::invalid_argument("video must be [B, 3, F, H, W] and not empty");
  }
  if (video.size(2) % kVaeTemporalFactor != 1)
    throw std::invalid_argument("the video's frames must be 4k + 1");
  if (video.size(3) % kVaeSpatialFactor != 0 || video.size(4) % kVaeSpatialFactor != 0) {
    throw std::invalid_argument("the video's height and width must be multiples of 16");
  }
}

class StreamingDecoderState final : public DecoderState {
 public:
  explicit StreamingDecoderState(DecoderStreams given) : streams(std::move(given)) {}
  DecoderStreams streams;
  std::vector<int64_t> latent_shape;  // of the first latent
  bool torn = false;                  // a decode stopped halfway: some caches are a latent ahead
};

}  // namespace

struct Vae::Impl {
  Impl(const VaeConfig& given, WeightSource& weights)
      : config(CompleteVaeConfig(given)),
        encoder(Scope(weights) / "encoder", config),
        quant_conv(Scope(weights) / "quant_conv", 2 * config.z_dim, 2 * config.z_dim, 3),
        post_quant_conv(Scope(weights) / "post_quant_conv", config.z_dim, config.z_dim, 3),
        decoder(Scope(weights) / "decoder", config) {}

  at::Tensor Column(const std::vector<double>& table, const at::Tensor& like) const {
    return at::tensor(table, at::kFloat).view({1, config.z_dim, 1, 1, 1}).to(like.device());
  }
  // In fp32 and formed before it is used, as the reference does.
  at::Tensor InverseStd(const at::Tensor& like) const { return 1.0 / Column(config.latents_std, like); }

  VaeConfig config;
  Encoder encoder;
  PointConv quant_conv;
  PointConv post_quant_conv;
  Decoder decoder;
};

Vae::Vae(const VaeConfig& config, WeightSource& weights) : impl_(std::make_unique<Impl>(config, weights)) {}
Vae::~Vae() = default;

const VaeConfig& Vae::config() const { return impl_->config; }

int64_t Vae::decoder_receptive_latents() const { return DecoderReceptiveLatents(impl_->config); }

at::Tensor Vae::EncodeMean(const at::Tensor& video) const {
  const at::NoGradGuard no_grad;
  CheckVideo(video);
  StreamState state = impl_->encoder.NewState();
  std::vector<at::Tensor> means;
  for (int64_t begin = 0; begin < video.size(2);) {
    const int64_t frames = state.first ? 1 : kVaeTemporalFactor;
    const at::Tensor chunk = Patchify(video.narrow(2, begin, frames).to(impl_->quant_conv.options()));
    const at::Tensor moments = impl_->quant_conv.Forward(impl_->encoder.Forward(chunk, state));
    means.push_back(moments.narrow(-1, 0, impl_->config.z_dim));
    begin += frames;
  }
  return ChannelsFirst(Widened(at::cat(means, 1)));
}

at::Tensor Vae::Normalize(const at::Tensor& mean) const {
  const at::NoGradGuard no_grad;
  CheckLatents(mean, impl_->config.z_dim);
  return (mean - impl_->Column(impl_->config.latents_mean, mean)) * impl_->InverseStd(mean);
}

at::Tensor Vae::Encode(const at::Tensor& video) const { return Normalize(EncodeMean(video)); }

std::unique_ptr<DecoderState> Vae::NewDecoderState(int64_t tile) const {
  if (tile < 0) throw std::invalid_argument("the VAE's tile must not be negative");
  return std::make_unique<StreamingDecoderState>(impl_->decoder.NewStreams(tile));
}

at::Tensor Vae::DecodeNext(const at::Tensor& latent, DecoderState& state) const {
  const at::NoGradGuard no_grad;
  CheckLatents(latent, impl_->config.z_dim);
  if (latent.size(2) != 1) throw std::invalid_argument("DecodeNext takes one latent at a time");
  auto* const own = dynamic_cast<StreamingDecoderState*>(&state);
  if (own == nullptr || own->torn) throw std::invalid_argument("the decoder state is not usable");
  if (own->latent_shape.empty()) own->latent_shape = latent.sizes().vec();
  if (latent.sizes() != at::IntArrayRef(own->latent_shape)) {
    throw std::invalid_argument("the latent's shape differs from the first one's of this decoder state");
  }
  own->torn = true;
  const at::Tensor moved = Widened(latent).to(impl_->post_quant_conv.options().device());
  const at::Tensor raw = moved / impl_->InverseStd(moved) + impl_->Column(impl_->config.latents_mean, moved);
  const at::Tensor z = ChannelsLast(raw.to(impl_->post_quant_conv.options()));
  const at::Tensor frames = impl_->decoder.Forward(impl_->post_quant_conv.Forward(z), own->streams);
  own->torn = false;
  return Widened(Unpatchify(frames).clamp_(-1, 1));
}

at::Tensor Vae::Decode(const at::Tensor& latents, int64_t tile) const {
  CheckLatents(latents, impl_->config.z_dim);
  const std::unique_ptr<DecoderState> state = NewDecoderState(tile);
  std::vector<at::Tensor> frames;
  for (int64_t t = 0; t < latents.size(2); ++t) frames.push_back(DecodeNext(latents.narrow(2, t, 1), *state));
  return frames.size() == 1 ? frames[0] : at::cat(frames, 2);
}

}  // namespace svi::engine
