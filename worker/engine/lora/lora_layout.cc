#include "worker/engine/lora/lora_layout.h"

#include <algorithm>

namespace svi::engine {
namespace {

std::string ShapeText(const std::vector<int64_t>& shape) {
  std::string text;
  for (const int64_t extent : shape) text += (text.empty() ? "" : ", ") + std::to_string(extent);
  return "[" + text + "]";
}

// Some tools write linear layers as 1 × 1 convolutions: [out, in, 1, 1].
std::vector<int64_t> Squeezed(std::vector<int64_t> shape) {
  while (shape.size() > 2 && shape.back() == 1) shape.pop_back();
  return shape;
}

std::map<std::string, LoraParts> SortParts(const SafetensorsHeader& header, const LoraTargets& targets,
                                           LoraProblems& problems) {
  const LoraNames names(targets);
  std::map<std::string, LoraParts> modules;
  for (const TensorEntry& entry : header.entries) {
    const auto key = SplitLoraKey(entry.name);
    if (!key) {
      problems.Add("tensors that are no low-rank pair's down, up or alpha", entry.name);
      continue;
    }
    const std::string* name = names.Find(key->layer);
    if (name == nullptr) {
      problems.Add("tensors of no layer that this model has", entry.name);
      continue;
    }
    if (!IsFloatingPoint(entry.dtype)) {
      problems.Add("tensors that are not of floating point",
                   entry.name + " (" + DtypeName(entry.dtype) + ")");
    }
    LoraParts& parts = modules[*name];
    const TensorEntry*& place = parts.Of(key->part);
    if (place != nullptr)
      problems.Add("tensors for what another is for", entry.name + " (" + place->name + ")");
    place = &entry;
  }
  return modules;
}

void CheckPair(const LoraParts& parts, const std::vector<int64_t>& target, LoraProblems& problems) {
  if (parts.down == nullptr || parts.up == nullptr) {
    for (const TensorEntry* alone : {parts.down, parts.up, parts.alpha}) {
      if (alone != nullptr) problems.Add("tensors without their partner", alone->name);
    }
    return;
  }
  const auto wrong = [&](const TensorEntry& entry, const std::string& expected) {
    problems.Add("tensors of the wrong shape",
                 entry.name + " " + ShapeText(entry.shape) + ", expected " + expected);
  };
  const std::vector<int64_t> down = Squeezed(parts.down->shape), up = Squeezed(parts.up->shape);
  const bool down_fits = down.size() == 2 && down[0] > 0 && down[1] == target[1];
  if (!down_fits) wrong(*parts.down, "[rank, " + std::to_string(target[1]) + "]");
  const std::string rank = down_fits ? std::to_string(down[0]) : "rank";
  if (up.size() != 2 || up[0] != target[0] || (down_fits && up[1] != down[0])) {
    wrong(*parts.up, "[" + std::to_string(target[0]) + ", " + rank + "]");
  }
  if (parts.alpha != nullptr && parts.alpha->begin + ItemSize(parts.alpha->dtype) != parts.alpha->end) {
    wrong(*parts.alpha, "one number");
  }
}

}  // namespace

void LoraProblems::Throw(const std::string& file_name) const {
  if (keys_.empty()) return;
  // More keys than any LoRA has are no help to anybody, and anybody may write them.
  constexpr size_t kLimit = 1000;
  constexpr size_t kLongest = 200;
  std::string text;
  for (const auto& [reason, keys] : keys_) {
    text += (text.empty() ? "" : "; ") + reason + ": ";
    for (size_t i = 0; i < std::min(keys.size(), kLimit); ++i) {
      text += (i == 0 ? "" : ", ") + keys[i].substr(0, kLongest);
    }
    if (keys.size() > kLimit) text += " and " + std::to_string(keys.size() - kLimit) + " more";
  }
  RefuseFile(file_name, text);
}

std::map<std::string, LoraParts> LayOutLora(const SafetensorsHeader& header, const LoraTargets& targets,
                                            const std::string& file_name) {
  LoraProblems problems;
  std::map<std::string, LoraParts> modules = SortParts(header, targets, problems);
  for (const auto& [name, parts] : modules) CheckPair(parts, targets.at(name), problems);
  problems.Throw(file_name);
  if (modules.empty()) RefuseFile(file_name, "holds no LoRA");
  return modules;
}

}  // namespace svi::engine
