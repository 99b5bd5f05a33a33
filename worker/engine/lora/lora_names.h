// How LoRA files spell the layers they change.
#ifndef SVI_ENGINE_LORA_LORA_NAMES_H_
#define SVI_ENGINE_LORA_LORA_NAMES_H_

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace svi::engine {

// What a LoRA may change, by the layer's name in Diffusers' spelling: [out, in] of its weight.
using LoraTargets = std::map<std::string, std::vector<int64_t>>;

enum class LoraPart { kDown, kUp, kAlpha };

// A tensor's name, taken apart: "pipe.dit.blocks.0.ffn.0.lora_A.default.weight" is the down part of
// "pipe.dit.blocks.0.ffn.0".
struct LoraKey {
  LoraPart part;
  std::string layer;  // as the file spells it
};

// Nothing if it is none of the three parts: biases, DoRA's magnitudes, differences of whole weights.
std::optional<LoraKey> SplitLoraKey(std::string_view key);

// Finds layers by every spelling. Names with underscores for dots are looked up among the known layers', so
// underscores that were always there need no guessing.
class LoraNames {
 public:
  explicit LoraNames(const LoraTargets& targets);

  // `layer` as a file spells it → Diffusers' spelling, or null.
  const std::string* Find(std::string_view layer) const;

 private:
  std::map<std::string, std::string, std::less<>> dotted_;      // both spellings, without any prefix
  std::map<std::string, std::string, std::less<>> underlined_;  // the same, dots replaced
};

// Wan's own spelling of a layer that Diffusers' spelling names; nothing for a name Wan's code does not have.
std::optional<std::string> OriginalLayerName(const std::string& diffusers);

}  // namespace svi::engine

#endif  // SVI_ENGINE_LORA_LORA_NAMES_H_
