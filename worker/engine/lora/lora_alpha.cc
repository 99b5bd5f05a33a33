#include "worker/engine/lora/lora_alpha.h"

#include <cmath>
#include <nlohmann/json.hpp>
#include <string_view>

#include "worker/engine/weights/safetensors_header.h"

namespace svi::engine {
namespace {

using nlohmann::json;

constexpr char kMetadata[] = "lora_adapter_metadata";

// Pipelines put the component's name in front, models on their own do not.
const json* Find(const json& root, const std::string& field) {
  for (const std::string& name : {"transformer." + field, field}) {
    const auto found = root.find(name);
    if (found != root.end() && !found->is_null()) return &*found;
  }
  return nullptr;
}

double Number(const json& value, const std::string& field, const std::string& file_name) {
  if (!value.is_number() || !std::isfinite(value.get<double>())) {
    RefuseFile(file_name, std::string("has metadata ") + kMetadata + " whose " + field + " is not a number");
  }
  return value.get<double>();
}

// "to_q" fits "blocks.0.attn1.to_q", and "q" fits "self_attn.q" but not "norm_q".
bool IsLastComponents(std::string_view part, std::string_view name) {
  if (!name.ends_with(part)) return false;
  return name.size() == part.size() || name[name.size() - part.size() - 1] == '.';
}

}  // namespace

LoraAlphas::LoraAlphas(const std::map<std::string, std::string>& metadata, const std::string& file_name) {
  const auto found = metadata.find(kMetadata);
  if (found == metadata.end()) return;
  const json root = ParseStrictJsonObject(found->second, 8, file_name);
  if (const json* alpha = Find(root, "lora_alpha")) alpha_ = Number(*alpha, "lora_alpha", file_name);
  if (const json* stabilised = Find(root, "use_rslora")) {
    rank_stabilised_ = stabilised->is_boolean() && stabilised->get<bool>();
  }
  const json* patterns = Find(root, "alpha_pattern");
  if (patterns == nullptr) return;
  if (!patterns->is_object()) {
    RefuseFile(file_name, std::string("has metadata ") + kMetadata + " whose alpha_pattern is not an object");
  }
  for (const auto& [pattern, alpha] : patterns->items()) {
    // PEFT takes any regular expression; those met are names, in which only the dot means anything.
    if (pattern.empty() || pattern.find_first_of("^$*+?()[]{}|\\") != std::string::npos) {
      RefuseFile(file_name, std::string("has metadata ") + kMetadata +
                                " whose alpha_pattern holds more than names: \"" + pattern.substr(0, 120) +
                                "\"");
    }
    by_name_[pattern] = Number(alpha, "alpha_pattern", file_name);
  }
}

double LoraAlphas::Scale(const std::vector<std::string>& names, int64_t rank) const {
  std::optional<double> alpha = alpha_;
  for (const auto& [pattern, of_pattern] : by_name_) {
    bool fits = false;
    for (const std::string& name : names) fits = fits || IsLastComponents(pattern, name);
    if (!fits) continue;
    alpha = of_pattern;
    break;
  }
  if (!alpha) return 1.0;
  const double r = static_cast<double>(rank);
  return *alpha / (rank_stabilised_ ? std::sqrt(r) : r);
}

}  // namespace svi::engine
