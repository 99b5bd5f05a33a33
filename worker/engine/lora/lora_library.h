// The LoRA folder and the cache of published LoRAs: what is there, by name.
#ifndef SVI_ENGINE_LORA_LORA_LIBRARY_H_
#define SVI_ENGINE_LORA_LORA_LIBRARY_H_

#include <map>
#include <mutex>
#include <stdexcept>
#include <string>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "engine/types.h"
#include "worker/engine/lora/lora_file.h"

namespace svi::engine {

class UnknownLora : public std::runtime_error {
  using std::runtime_error::runtime_error;
};

// Usable are files NAME.safetensors, NAME as the API allows it: 1 to 128 characters of [A-Za-z0-9._-]. Hidden
// files, other files and folders are passed over. A name that is in the cache means the cache's file.
// Thread-safe.
class LoraLibrary {
 public:
  // `dir` empty: no folder; `cache_dir` empty: no cache.
  LoraLibrary(std::string dir, std::string cache_dir, LoraTargets targets);

  // As Engine::ScanLoras. Knows files whose data proved unusable in Open, too.
  LoraFolder Scan();

  // A file as it is now, even if no scan has seen it yet. `version` is LoraFile's.
  struct Entry {
    std::string version;
    LoraWeights weights;
  };
  // Throws UnknownLora if there is no such file, std::invalid_argument ("LoRA 'NAME': ...") if it is not
  // usable.
  Entry Open(const std::string& name);
  // The version that Open would give, without reading anything. Throws UnknownLora.
  std::string Version(const std::string& name) const;

 private:
  // Calls `use` with the path that each folder would have for this name, the cache's first, until one is
  // there: `use` throws std::system_error for one that is not. Throws UnknownLora if none is.
  template <typename Use>
  auto FirstOf(const std::string& name, Use use) const;
  // A file as a version of it was found.
  struct Seen {
    std::string version;
    LoraFolder::Lora lora;
    std::string refused;  // why; empty: usable
  };
  using SeenFiles = std::map<std::string, Seen>;  // by path

  Seen Look(const std::string& path) const;
  // The files of `dir`, as `before` or Look knows them; why it cannot be read, in `refused`.
  SeenFiles LookAtFolder(const std::string& dir, const SeenFiles& before,
                         std::vector<LoraFolder::Refused>& refused) const;

  const std::string dir_, cache_dir_;
  const LoraTargets targets_;
  std::mutex mutex_;
  SeenFiles seen_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace svi::engine

#endif  // SVI_ENGINE_LORA_LORA_LIBRARY_H_
