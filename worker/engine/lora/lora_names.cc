#include "worker/engine/lora/lora_names.h"

#include <algorithm>
#include <utility>

#include "worker/engine/checkpoint/key_map.h"

namespace svi::engine {
namespace {

constexpr std::string_view kWeight = ".weight";

// "default" is the name that PEFT gives to an adapter when nobody names it; SVI's training keeps it.
constexpr std::pair<std::string_view, LoraPart> kParts[] = {
    {".lora_A.default.weight", LoraPart::kDown},
    {".lora_B.default.weight", LoraPart::kUp},
    {".lora_A.weight", LoraPart::kDown},
    {".lora_B.weight", LoraPart::kUp},
    {".lora_down.weight", LoraPart::kDown},
    {".lora_up.weight", LoraPart::kUp},
    {".alpha", LoraPart::kAlpha},
};

// PEFT puts its own in front of whatever the model is called.
constexpr std::string_view kWrapper = "base_model.model.";
constexpr std::string_view kModels[] = {"pipe.dit.", "diffusion_model.", "transformer."};
constexpr std::string_view kUnderlinedModel = "lora_unet_";

bool Strip(std::string_view prefix, std::string_view& name) {
  if (!name.starts_with(prefix)) return false;
  name.remove_prefix(prefix.size());
  return true;
}

std::string Underlined(std::string name) {
  std::replace(name.begin(), name.end(), '.', '_');
  return name;
}

const std::string* Lookup(const std::map<std::string, std::string, std::less<>>& table,
                          std::string_view name) {
  const auto found = table.find(name);
  return found == table.end() ? nullptr : &found->second;
}

}  // namespace

std::optional<LoraKey> SplitLoraKey(std::string_view key) {
  for (const auto& [suffix, part] : kParts) {
    if (!key.ends_with(suffix)) continue;
    return LoraKey{part, std::string(key.substr(0, key.size() - suffix.size()))};
  }
  return std::nullopt;
}

std::optional<std::string> OriginalLayerName(const std::string& diffusers) {
  auto original = KeyMap::Transformer().ToOriginal(diffusers + std::string(kWeight));
  if (!original || !original->ends_with(kWeight)) return std::nullopt;
  original->resize(original->size() - kWeight.size());
  return original;
}

LoraNames::LoraNames(const LoraTargets& targets) {
  const auto add = [&](const std::string& spelling, const std::string& name) {
    dotted_.emplace(spelling, name);
    underlined_.emplace(Underlined(spelling), name);
  };
  for (const auto& [name, shape] : targets) {
    add(name, name);
    if (const auto original = OriginalLayerName(name)) add(*original, name);
  }
}

const std::string* LoraNames::Find(std::string_view layer) const {
  if (Strip(kUnderlinedModel, layer)) return Lookup(underlined_, layer);
  Strip(kWrapper, layer);
  for (const std::string_view model : kModels) {
    if (Strip(model, layer)) break;
  }
  return Lookup(dotted_, layer);
}

}  // namespace svi::engine
