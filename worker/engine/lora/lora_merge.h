// Which LoRAs a transformer's weights hold at the moment, and changing that.
#ifndef SVI_ENGINE_LORA_LORA_MERGE_H_
#define SVI_ENGINE_LORA_LORA_MERGE_H_

#include <atomic>
#include <cstdint>
#include <functional>
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

// Replaces layers' weights by merged ones and puts the base's back, bit for bit: on a CPU the base tensors
// themselves, elsewhere a copy of them that is kept in host memory, so that a GPU never holds both. Not
// thread-safe but for merged_bytes(), and not while the transformer runs.
class LoraMerge {
 public:
  // `transformer` must outlive it, and holds its base weights now.
  explicit LoraMerge(Transformer& transformer);

  // Base + Σ strength · scale · up · down, summed in float32, in the base's dtype and on its device; modules
  // that none of `uses` names get the base's weight. `before_layer` may throw to stop it. If it throws (that,
  // out of memory), the base is in place.
  void Apply(
      const std::vector<LoraUse>& uses, const std::function<void()>& before_layer = [] {});

  uint64_t merged_bytes() const { return merged_bytes_; }  // that stand beside the base's

 private:
  struct Term;
  void Merge(const std::string& name, const std::vector<Term>& terms);
  void Restore(const std::string& name);
  void RestoreAll();
  void CountBytes();

  const std::map<std::string, Linear*> linears_;
  std::map<std::string, at::Tensor> base_;  // of the layers that hold a merged weight; on the CPU
  std::atomic<uint64_t> merged_bytes_ = 0;
};

}  // namespace svi::engine

#endif  // SVI_ENGINE_LORA_LORA_MERGE_H_
