#include "worker/engine/svi/chain.h"

#include <algorithm>
#include <stdexcept>
#include <utility>
#include <vector>

#include "absl/time/clock.h"
#include "engine/engine.h"
#include "worker/engine/sampler/noise.h"
#include "worker/engine/svi/carry.h"
#include "worker/engine/svi/denoise.h"
#include "worker/engine/svi/pictures.h"
#include "worker/engine/svi/variants.h"

namespace svi::engine {
namespace {

// The last `count` of dimension `dim`, or all if there are fewer.
at::Tensor Tail(const at::Tensor& tensor, int64_t dim, int64_t count) {
  count = std::min(count, tensor.size(dim));
  return tensor.narrow(dim, tensor.size(dim) - count, count);
}

StatusError Cancelled() { return StatusError(absl::CancelledError("the clip was cancelled")); }

void Require(bool ok, const char* what) {
  if (!ok) throw std::invalid_argument(what);
}

}  // namespace

void CheckRequest(const ClipRequest& r, const ModelDefaults& defaults) {
  const int multiple = defaults.size_multiple;
  Require(r.width >= multiple && r.width <= 4096 && r.width % multiple == 0,
          "width must be a multiple of 32 from 32 to 4096");
  Require(r.height >= multiple && r.height <= 4096 && r.height % multiple == 0,
          "height must be a multiple of 32 from 32 to 4096");
  Require(r.num_frames >= 5 && r.num_frames <= 257 && r.num_frames % 4 == 1,
          "num_frames must be 4k+1 from 5 to 257");
  Require(r.clip_index >= 0, "clip_index must not be negative");
  Require(r.clip_index == 0 || NewFrames(r.clip_index, r.num_frames) > 0,
          "num_frames must be at least 9 for a video of several clips");
  Require(r.num_inference_steps >= 1 && r.num_inference_steps <= 1000,
          "num_inference_steps must be from 1 to 1000");
  Require(r.guidance_scale >= 1 && r.guidance_scale <= 30, "guidance_scale must be from 1 to 30");
  Require(r.flow_shift >= 0.1 && r.flow_shift <= 100, "flow_shift must be from 0.1 to 100");
}

// The stages of one clip, in order, and what passes between them.
struct Chain::Run {
  const Pipeline& pipeline;
  const ClipRequest& request;
  const ClipCallbacks& callbacks;
  absl::Duration decode_time_per_latent;

  ClipResult result;
  Carry carry;  // of the clip before
  ClipPlan plan;
  std::shared_ptr<const TextContext> prompt, negative_prompt;
  at::Tensor latents;                   // denoised, [1, C, F, h, w]
  std::vector<at::Tensor> last_frames;  // uint8 [3, H, W], at most KeptFrames(variant)

  void CheckCancelled() const {
    if (callbacks.cancelled()) throw Cancelled();
  }
  void Report(Stage stage, int step, int total, absl::Duration eta) const {
    callbacks.progress({stage, step, total, eta});
  }
  int64_t latent_count() const { return (request.num_frames - 1) / 4 + 1; }
  int64_t decoded_count() const { return latent_count() - plan.first_decoded; }

  void Encode(const Picture& picture) {
    const absl::Time start = absl::Now();
    Report(Stage::kEncode, 0, 2, absl::InfiniteDuration());
    plan = request.clip_index == 0
               ? PlanFirstClip(*pipeline.vae->Use(), CoverPicture(picture, request.width, request.height),
                               pipeline.device)
               : PlanNextClip(*pipeline.vae, carry, pipeline.device);
    Report(Stage::kEncode, 1, 2, absl::InfiniteDuration());
    CheckCancelled();
    // All embeddings before the transformer's first use: it and the text encoder need not be in memory at
    // once.
    std::vector<std::string> texts = {request.prompt};
    if (request.guidance_scale != 1.0) texts.push_back(request.negative_prompt);
    const std::vector<at::Tensor> embeddings = pipeline.prompts->Encode(texts);
    prompt = PrepareText(embeddings[0]);
    if (texts.size() == 2) negative_prompt = PrepareText(embeddings[1]);
    Report(Stage::kEncode, 2, 2, absl::InfiniteDuration());
    result.encode_time = absl::Now() - start;
  }

  std::shared_ptr<const TextContext> PrepareText(const at::Tensor& embedding) const {
    return pipeline.transformer->PrepareText(embedding.to(pipeline.compute_dtype));
  }

  void DenoiseLatents() {
    const absl::Time start = absl::Now();
    const int steps = request.num_inference_steps;
    DenoiseInputs inputs;
    inputs.noise = InitialNoise(request.seed, {1, pipeline.latent_channels, latent_count(),
                                               request.height / 16, request.width / 16})
                       .to(pipeline.device);
    inputs.clean_slots = plan.clean_slots;
    inputs.prompt = std::move(prompt);
    inputs.negative_prompt = std::move(negative_prompt);
    inputs.guidance_scale = request.guidance_scale;
    inputs.guidance = pipeline.guidance;
    inputs.compute_dtype = pipeline.compute_dtype;
    auto sampler = MakeSampler(request.sampler, steps, request.flow_shift);
    const absl::Duration decode_time = decoded_count() * decode_time_per_latent;
    latents = Denoise(*pipeline.transformer, *sampler, std::move(inputs), [&](int step) {
      const absl::Duration per_step = step == 0 ? absl::InfiniteDuration() : (absl::Now() - start) / step;
      Report(Stage::kDenoise, step, steps, per_step * (steps - step) + decode_time);
      return !callbacks.cancelled();
    });
    if (!latents.defined()) throw Cancelled();
    if (!at::isfinite(latents).all().item<bool>()) {
      throw std::runtime_error("the denoised latents are not finite");
    }
    Report(Stage::kDenoise, steps, steps, decode_time);
    result.denoise_time = absl::Now() - start;
  }

  void Emit(const at::Tensor& video, int64_t* to_drop) {
    const at::Tensor frames = ToFrames(video);
    for (const at::Tensor& frame : frames.unbind(0)) {
      // Dropped frames count here: a short film clip brings fewer new frames than the next one is conditioned
      // on.
      last_frames.push_back(frame);
      if (static_cast<int64_t>(last_frames.size()) > KeptFrames(request.variant))
        last_frames.erase(last_frames.begin());
      if (*to_drop > 0) {
        --*to_drop;
        continue;
      }
      if (!callbacks.frame) continue;
      if (absl::Status taken = callbacks.frame(ToPicture(frame)); !taken.ok()) throw StatusError(taken);
      ++result.frame_count;
    }
  }

  void Decode(const Vae& vae, DecoderState& decoder) {
    const absl::Time start = absl::Now();
    const int total = static_cast<int>(decoded_count());
    int64_t to_drop = plan.dropped_frames;
    for (int i = 0; i < total; ++i) {
      CheckCancelled();
      const absl::Duration per_latent = i == 0 ? decode_time_per_latent : (absl::Now() - start) / i;
      Report(Stage::kDecode, i, total, per_latent * (total - i));
      Emit(vae.DecodeNext(latents.narrow(2, plan.first_decoded + i, 1), decoder), &to_drop);
    }
    Report(Stage::kDecode, total, total, absl::ZeroDuration());
    result.decode_time = absl::Now() - start;
  }

  Carry NextCarry() const {
    Carry next{request.clip_index, request.variant, request.width, request.height, {}, {}, {}};
    if (request.variant == Variant::kFilm) {
      next.frames = at::stack(last_frames);
      return next;
    }
    next.anchor = plan.anchor.cpu();
    if (request.variant == Variant::kShot) {
      next.frames = at::stack(last_frames);
    } else {
      at::Tensor decoded = latents.narrow(2, plan.first_decoded, decoded_count()).cpu();
      if (carry.latents.defined()) decoded = at::cat({carry.latents, decoded}, 2);
      next.latents = Tail(decoded, 2, pipeline.decoder_receptive_latents);
    }
    return next;
  }
};

std::unique_ptr<DecoderState> Chain::TakeDecoder(const Vae& vae, const std::string& carry_bytes,
                                                 const Carry& carry) {
  if (warm_decoder_ != nullptr && warm_carry_ == carry_bytes) return std::move(warm_decoder_);
  auto state = vae.NewDecoderState(pipeline_.vae_tile);
  for (int64_t i = 0; i < carry.latents.size(2); ++i) {
    (void)vae.DecodeNext(carry.latents.narrow(2, i, 1).to(pipeline_.device), *state);
  }
  return state;
}

ClipResult Chain::Generate(const ClipRequest& request, const Picture& picture, const std::string& carry,
                           const ClipCallbacks& callbacks) {
  CheckRequest(request, pipeline_.config.defaults);
  Run run{pipeline_, request, callbacks, decode_time_per_latent_, {}, {}, {}, {}, {}, {}, {}};
  if (request.clip_index > 0) run.carry = ParseCarry(carry, request, pipeline_.latent_channels);
  run.Encode(picture);
  run.DenoiseLatents();
  if (request.variant == Variant::kPro && !callbacks.frame) {
    // The next clip goes on from latents; its decoder, if frames are wanted then, from those in the carry.
    warm_decoder_.reset();
    run.result.carry = SerializeCarry(run.NextCarry());
    return run.result;
  }
  const std::shared_ptr<const Vae> vae = pipeline_.vae->Use();
  std::unique_ptr<DecoderState> decoder = run.plan.continues_decoder
                                              ? TakeDecoder(*vae, carry, run.carry)
                                              : vae->NewDecoderState(pipeline_.vae_tile);
  run.Decode(*vae, *decoder);
  run.result.carry = SerializeCarry(run.NextCarry());
  decode_time_per_latent_ = run.result.decode_time / run.decoded_count();
  warm_decoder_.reset();
  if (request.variant == Variant::kPro) {
    warm_carry_ = run.result.carry;
    warm_decoder_ = std::move(decoder);
  }
  return run.result;
}

}  // namespace svi::engine
