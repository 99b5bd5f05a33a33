#include "worker/engine/svi/carry.h"

#include <stdexcept>

#include "worker/engine/weights/safetensors.h"

namespace svi::engine {
namespace {

constexpr char kFormat[] = "svi-carry-1";

[[noreturn]] void Refuse(const std::string& what) { throw std::invalid_argument("carry: " + what); }

at::Tensor TakeTensor(const TensorFile& file, const char* name, at::ScalarType dtype) {
  const auto it = file.tensors.find(name);
  if (it == file.tensors.end()) Refuse(std::string("tensor ") + name + " is missing");
  if (it->second.scalar_type() != dtype) Refuse(std::string("tensor ") + name + " has the wrong dtype");
  return it->second;
}

void RequireMetadata(const TensorFile& file, const char* key, const std::string& expected) {
  const auto it = file.metadata.find(key);
  const std::string found = it == file.metadata.end() ? "nothing" : it->second;
  if (found != expected) Refuse(std::string(key) + " is " + found + ", this clip needs " + expected);
}

at::Tensor TakeLatents(const TensorFile& file, const char* name, const ClipRequest& request,
                       int64_t channels) {
  at::Tensor latents = TakeTensor(file, name, at::kFloat);
  if (latents.dim() != 5 || latents.size(0) != 1 || latents.size(1) != channels || latents.size(2) < 1 ||
      latents.size(3) != request.height / 16 || latents.size(4) != request.width / 16) {
    Refuse(std::string("tensor ") + name + " has the wrong shape");
  }
  return latents;
}

at::Tensor TakeFrames(const TensorFile& file, int64_t count, const ClipRequest& request) {
  at::Tensor frames = TakeTensor(file, "frames", at::kByte);
  if (frames.sizes() != at::IntArrayRef({count, 3, request.height, request.width})) {
    Refuse("tensor frames has the wrong shape");
  }
  return frames;
}

}  // namespace

const char* VariantName(Variant variant) {
  switch (variant) {
    case Variant::kPro:
      return "pro";
    case Variant::kFilm:
      return "film";
    case Variant::kShot:
      return "shot";
  }
  throw std::invalid_argument("variant: unknown");
}

std::string SerializeCarry(const Carry& carry) {
  TensorFile file;
  file.metadata = {{"format", kFormat},
                   {"clip_index", std::to_string(carry.clip_index)},
                   {"variant", VariantName(carry.variant)},
                   {"width", std::to_string(carry.width)},
                   {"height", std::to_string(carry.height)}};
  if (carry.anchor.defined()) file.tensors["anchor"] = carry.anchor.to(at::kCPU).contiguous();
  if (carry.latents.defined()) file.tensors["latents"] = carry.latents.to(at::kCPU).contiguous();
  if (carry.frames.defined()) file.tensors["frames"] = carry.frames.to(at::kCPU).contiguous();
  return SerializeSafetensors(file);
}

Carry ParseCarry(const std::string& bytes, const ClipRequest& request, int64_t latent_channels) {
  const TensorFile file = ParseSafetensors(bytes, "carry");
  RequireMetadata(file, "format", kFormat);
  RequireMetadata(file, "clip_index", std::to_string(request.clip_index - 1));
  RequireMetadata(file, "variant", VariantName(request.variant));
  RequireMetadata(file, "width", std::to_string(request.width));
  RequireMetadata(file, "height", std::to_string(request.height));
  Carry carry{request.clip_index - 1, request.variant, request.width, request.height, {}, {}, {}};
  if (request.variant != Variant::kFilm) {
    carry.anchor = TakeLatents(file, "anchor", request, latent_channels);
    if (carry.anchor.size(2) != 1) Refuse("tensor anchor has the wrong shape");
  }
  if (request.variant == Variant::kPro)
    carry.latents = TakeLatents(file, "latents", request, latent_channels);
  if (request.variant == Variant::kFilm) carry.frames = TakeFrames(file, 5, request);
  if (request.variant == Variant::kShot) carry.frames = TakeFrames(file, 1, request);
  return carry;
}

}  // namespace svi::engine
