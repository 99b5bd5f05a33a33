// LoRA files (Hu et al., arXiv 2106.09685): the name styles met in the wild, read into one form.
#ifndef SVI_ENGINE_LORA_LORA_FILE_H_
#define SVI_ENGINE_LORA_LORA_FILE_H_

#include <ATen/ATen.h>

#include <map>
#include <string>
#include <vector>

#include "worker/engine/dit/transformer.h"

namespace svi::engine {

// W' = W + strength * scale * up · down.
struct LoraModule {
  at::Tensor down;     // [rank, in]
  at::Tensor up;       // [out, rank]
  double scale = 1.0;  // alpha / rank; 1 without an alpha
  int64_t rank() const { return down.size(0); }
};

struct LoraWeights {
  std::map<std::string, LoraModule> modules;  // by the module's name in Diffusers' spelling
};

// What a LoRA may change, by that name: [out, in] of the layer's weight.
using LoraTargets = std::map<std::string, std::vector<int64_t>>;
LoraTargets TargetsOf(Transformer& transformer);

// Maps the file and sorts its tensors; touches the headers only. Accepts SVI's (pipe.dit.…lora_A.default),
// ComfyUI's, kohya's and Diffusers' spellings (shared notes svi-5b.md, LoRA; parity.md, 8). Throws
// std::invalid_argument, naming every key that matches no layer, lacks its partner or does not fit, and
// std::system_error.
LoraWeights ReadLora(const std::string& path, const LoraTargets& targets);

}  // namespace svi::engine

#endif  // SVI_ENGINE_LORA_LORA_FILE_H_
