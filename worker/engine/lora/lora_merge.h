// Which LoRAs a transformer's weights hold at the moment, and changing that.
#ifndef SVI_ENGINE_LORA_LORA_MERGE_H_
#define SVI_ENGINE_LORA_LORA_MERGE_H_

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "engine/types.h"
#include "worker/engine/dit/transformer.h"
#include "worker/engine/lora/lora_file.h"

namespace svi::engine {

// A LoRA that is to be in place.
struct LoraUse {
  const LoraWeights* weights;
  double strength;
};

// Replaces layers' weights by merged ones and puts the base's back: the base tensors themselves, so bit for
// bit. Not thread-safe, and not while the transformer runs.
class LoraMerge {
 public:
  // `transformer` must outlive it, and holds its base weights now.
  explicit LoraMerge(Transformer& transformer);

  // Base + Σ strength · scale · up · down, summed in float32, in the base's dtype and on its device; modules
  // that none of `uses` names get the base's weight. If it throws (out of memory), the base is in place.
  void Apply(const std::vector<LoraUse>& uses);

  uint64_t merged_bytes() const;  // that stand beside the base's

 private:
  std::map<std::string, Linear*> linears_;
  std::map<std::string, at::Tensor> base_;  // of the layers that hold a merged weight
};

}  // namespace svi::engine

#endif  // SVI_ENGINE_LORA_LORA_MERGE_H_
