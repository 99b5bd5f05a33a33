#include "worker/engine/checkpoint/component.h"

#include <algorithm>
#include <charconv>
#include <stdexcept>

namespace svi::engine {
namespace {

constexpr int64_t kMostResidualBlocks = 64;

// The number after `prefix`, if what follows it is `middle`: ("a.3.conv", "a.", ".conv") → 3.
std::optional<int64_t> NumberIn(const std::string& name, std::string_view prefix, std::string_view middle) {
  if (!name.starts_with(prefix)) return std::nullopt;
  int64_t number = 0;
  const char* const begin = name.data() + prefix.size();
  const char* const end = name.data() + name.size();
  const auto [rest, error] = std::from_chars(begin, end, number);
  if (error != std::errc() || number < 0) return std::nullopt;
  if (!std::string_view(rest, static_cast<size_t>(end - rest)).starts_with(middle)) return std::nullopt;
  return number;
}

}  // namespace

const ComponentTraits& TraitsOf(Component component) {
  static const ComponentTraits transformer = {
      "transformer", "diffusion_pytorch_model", {"diffusion_pytorch_model"}};
  static const ComponentTraits vae = {
      "vae", "diffusion_pytorch_model", {"diffusion_pytorch_model", "Wan2.2_VAE"}};
  static const ComponentTraits text_encoder = {
      "text_encoder", "model", {"model", "models_t5_umt5-xxl-enc-bf16"}};
  switch (component) {
    case Component::kTransformer:
      return transformer;
    case Component::kVae:
      return vae;
    case Component::kTextEncoder:
      return text_encoder;
  }
  throw std::logic_error("no such component");
}

int64_t VaeResidualBlocks(const std::vector<std::string>& names, Layout layout) {
  const bool original = layout == Layout::kOriginal;
  // The highest number wins, so that a file in which some are missing is still understood.
  int64_t most = 0;
  for (const std::string& name : names) {
    const auto number = original ? NumberIn(name, "encoder.downsamples.0.downsamples.", ".residual.")
                                 : NumberIn(name, "encoder.down_blocks.0.resnets.", ".");
    if (number) most = std::max(most, std::min(*number, kMostResidualBlocks - 1));
  }
  return most + 1;
}

KeyMap KeyMapOf(Component component, const std::vector<std::string>& original_names) {
  switch (component) {
    case Component::kTransformer:
      return KeyMap::Transformer();
    case Component::kVae:
      return KeyMap::Vae(VaeResidualBlocks(original_names, Layout::kOriginal));
    case Component::kTextEncoder:
      return KeyMap::TextEncoder();
  }
  throw std::logic_error("no such component");
}

std::optional<Layout> RecognizeNames(Component component, const std::vector<std::string>& names) {
  const KeyMap original_map = KeyMapOf(component, names);
  const KeyMap diffusers_map =
      component == Component::kVae ? KeyMap::Vae(VaeResidualBlocks(names, Layout::kDiffusers)) : original_map;
  const auto original = std::count_if(names.begin(), names.end(), [&](const std::string& name) {
    return original_map.ToDiffusers(name).has_value();
  });
  const auto diffusers = std::count_if(names.begin(), names.end(), [&](const std::string& name) {
    return diffusers_map.ToOriginal(name).has_value();
  });
  const auto known = std::max(original, diffusers);
  if (known == 0 || 2 * known < std::ssize(names)) return std::nullopt;
  return original > diffusers ? Layout::kOriginal : Layout::kDiffusers;
}

std::optional<Component> RecognizeConfig(const nlohmann::json& config) {
  const auto any = [&](std::initializer_list<const char*> fields) {
    return std::any_of(fields.begin(), fields.end(),
                       [&](const char* field) { return config.contains(field); });
  };
  if (any({"z_dim", "dec_dim", "base_dim", "decoder_base_dim", "temperal_downsample"}))
    return Component::kVae;
  if (any({"d_model", "d_ff", "vocab", "vocab_size", "dim_attn", "shared_pos"}))
    return Component::kTextEncoder;
  if (any({"ffn_dim", "freq_dim", "in_dim", "in_channels", "num_attention_heads"})) {
    return Component::kTransformer;
  }
  return std::nullopt;
}

}  // namespace svi::engine
