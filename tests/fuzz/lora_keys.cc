// The header of a LoRA file: 8 bytes that say how much data follows, then the JSON.
#include <cstring>
#include <stdexcept>

#include "tests/fuzz/fuzz.h"
#include "worker/engine/lora/lora_alpha.h"
#include "worker/engine/lora/lora_layout.h"

namespace svi::engine {
namespace {

// Layers of the model that tests/golden/lora is for.
const LoraTargets& Targets() {
  static const auto* targets = [] {
    auto* result = new LoraTargets;
    for (const std::string block : {"blocks.0.", "blocks.1."}) {
      for (const char* attention : {"attn1.", "attn2."}) {
        for (const char* part : {"to_q", "to_k", "to_v", "to_out.0"})
          (*result)[block + attention + part] = {96, 96};
      }
      (*result)[block + "ffn.net.0.proj"] = {160, 96};
      (*result)[block + "ffn.net.2"] = {96, 160};
    }
    return result;
  }();
  return *targets;
}

void Read(std::string_view beginning, uint64_t file_size) {
  const SafetensorsHeader header = ParseSafetensorsHeader(beginning, file_size, "file");
  const LoraAlphas alphas(header.metadata, "file");
  for (const auto& [name, parts] : LayOutLora(header, Targets(), "file")) {
    fuzz::Check(Targets().contains(name), "only layers that the model has");
    fuzz::Check(parts.down != nullptr && parts.up != nullptr, "pairs are whole");
    (void)alphas.Scale({name, OriginalLayerName(name).value_or(name)}, parts.down->shape[0]);
  }
}

}  // namespace
}  // namespace svi::engine

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  uint64_t data_size = 0;
  if (size < sizeof(data_size)) return 0;
  std::memcpy(&data_size, data, sizeof(data_size));
  const std::string_view json = svi::fuzz::View(data, size).substr(sizeof(data_size));
  const uint64_t length = json.size();
  std::string beginning(reinterpret_cast<const char*>(&length), sizeof(length));
  beginning += json;
  if (data_size > UINT64_MAX - beginning.size()) return 0;
  try {
    svi::engine::Read(beginning, beginning.size() + data_size);
  } catch (const std::invalid_argument&) {
  }
  return 0;
}
