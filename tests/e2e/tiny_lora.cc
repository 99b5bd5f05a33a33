#include "tests/e2e/tiny_lora.h"

#include <cstring>
#include <nlohmann/json.hpp>

namespace svi::e2e {

std::string Safetensors(const std::vector<Tensor>& tensors, uint32_t seed) {
  nlohmann::json header = nlohmann::json::object();
  std::string data;
  for (const Tensor& tensor : tensors) {
    int64_t count = 1;
    for (const int64_t side : tensor.shape) count *= side;
    const size_t begin = data.size();
    for (int64_t i = 0; i < count; ++i) {
      seed = seed * 1664525u + 1013904223u;
      const float value = 0.8f * (static_cast<float>(seed >> 8) / static_cast<float>(1 << 24) - 0.5f);
      char bytes[sizeof value];
      std::memcpy(bytes, &value, sizeof value);
      data.append(bytes, sizeof value);
    }
    header[tensor.name] = {{"dtype", "F32"}, {"shape", tensor.shape}, {"data_offsets", {begin, data.size()}}};
  }
  std::string text = header.dump();
  text.resize((text.size() + 7) / 8 * 8, ' ');
  const uint64_t size = text.size();
  std::string file(sizeof size, '\0');
  std::memcpy(file.data(), &size, sizeof size);
  return file + text + data;
}

std::string TinyLora(uint32_t seed) {
  std::vector<Tensor> tensors;
  const auto add = [&tensors](const std::string& module, int64_t in, int64_t out) {
    tensors.push_back({module + ".lora_A.default.weight", {4, in}});
    tensors.push_back({module + ".lora_B.default.weight", {out, 4}});
  };
  for (const char* block : {"blocks.0.", "blocks.1."}) {
    for (const char* part : {"self_attn.q", "self_attn.v", "cross_attn.o"}) {
      add("pipe.dit." + std::string(block) + part, 96, 96);
    }
    add("pipe.dit." + std::string(block) + "ffn.0", 96, 192);
    add("pipe.dit." + std::string(block) + "ffn.2", 192, 96);
  }
  return Safetensors(tensors, seed);
}

}  // namespace svi::e2e
