// LoRA files for the tiny model.
#ifndef SVI_TESTS_E2E_TINY_LORA_H_
#define SVI_TESTS_E2E_TINY_LORA_H_

#include <cstdint>
#include <string>
#include <vector>

namespace svi::e2e {

struct Tensor {
  std::string name;
  std::vector<int64_t> shape;
};

// A safetensors file of float32 tensors, filled with numbers in -0.4..0.4 that follow from `seed`.
std::string Safetensors(const std::vector<Tensor>& tensors, uint32_t seed);

// A LoRA of rank 4 for the tiny model (width 96, feed-forward 192, two blocks), as SVI names its tensors.
std::string TinyLora(uint32_t seed);

}  // namespace svi::e2e

#endif  // SVI_TESTS_E2E_TINY_LORA_H_
