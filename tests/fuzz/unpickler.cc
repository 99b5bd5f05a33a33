// The pickle inside of a file of torch.save.
#include "worker/engine/weights/unpickler.h"

#include <stdexcept>

#include "tests/fuzz/fuzz.h"

using svi::fuzz::Check;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  try {
    for (const auto& [name, tensor] : svi::engine::UnpickleStateDict(svi::fuzz::View(data, size), "file")) {
      Check(tensor.sizes.size() == tensor.strides.size(), "each axis has a stride");
      Check(tensor.offset >= 0 && tensor.storage_numel >= 0, "nothing is negative");
    }
  } catch (const std::invalid_argument&) {
  }
  return 0;
}
