// Which tensors of a LoRA file belong together, told by its header alone.
#ifndef SVI_ENGINE_LORA_LORA_LAYOUT_H_
#define SVI_ENGINE_LORA_LORA_LAYOUT_H_

#include <map>
#include <string>
#include <vector>

#include "worker/engine/lora/lora_names.h"
#include "worker/engine/weights/safetensors_header.h"

namespace svi::engine {

// What is wrong with a file: keys by reason.
class LoraProblems {
 public:
  void Add(const std::string& reason, const std::string& key) { keys_[reason].push_back(key); }
  // Throws std::invalid_argument that names them, unless there are none.
  void Throw(const std::string& file_name) const;

 private:
  std::map<std::string, std::vector<std::string>> keys_;
};

// One layer's tensors.
struct LoraParts {
  const TensorEntry* down = nullptr;
  const TensorEntry* up = nullptr;
  const TensorEntry* alpha = nullptr;  // null: the file has none

  const TensorEntry*& Of(LoraPart part) {
    return part == LoraPart::kDown ? down : part == LoraPart::kUp ? up : alpha;
  }
};

// By the layer's name in Diffusers' spelling; they point into `header`. Throws std::invalid_argument, naming
// every key that matches no layer, lacks its partner or does not fit.
std::map<std::string, LoraParts> LayOutLora(const SafetensorsHeader& header, const LoraTargets& targets,
                                            const std::string& file_name);

}  // namespace svi::engine

#endif  // SVI_ENGINE_LORA_LORA_LAYOUT_H_
