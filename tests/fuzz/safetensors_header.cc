// A whole safetensors file.
#include "worker/engine/weights/safetensors_header.h"

#include <stdexcept>

#include "tests/fuzz/fuzz.h"

using svi::fuzz::Check;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view bytes = svi::fuzz::View(data, size);
  try {
    const auto header = svi::engine::ParseSafetensorsHeader(bytes, "file");
    uint64_t covered = 0;
    for (const auto& entry : header.entries) {
      Check(entry.begin <= entry.end && entry.end <= size, "tensors lie inside of the file");
      covered += entry.end - entry.begin;
    }
    Check(covered < size, "tensors do not overlap");
  } catch (const std::invalid_argument&) {
  }
  return 0;
}
