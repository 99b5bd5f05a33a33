// A whole file of torch.save.
#include <stdexcept>

#include "tests/fuzz/fuzz.h"
#include "worker/engine/weights/unpickler.h"
#include "worker/engine/weights/zip_archive.h"

using svi::fuzz::Check;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view bytes = svi::fuzz::View(data, size);
  try {
    const auto archive = svi::engine::ReadZipDirectory(bytes, "file");
    size_t total = 0;
    for (const auto& [name, content] : archive.entries) {
      Check(content.empty() ||
                (content.data() >= bytes.data() && content.data() + content.size() <= bytes.data() + size),
            "contents lie inside of the archive");
      total += content.size();
    }
    Check(total <= size, "contents do not overlap");
    const auto pickle = archive.entries.find(std::string(archive.root) + "/data.pkl");
    if (pickle != archive.entries.end()) (void)svi::engine::UnpickleStateDict(pickle->second, "file");
  } catch (const std::invalid_argument&) {
  }
  return 0;
}
