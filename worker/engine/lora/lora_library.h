// The LoRA folder: what is there, by name.
#ifndef SVI_ENGINE_LORA_LORA_LIBRARY_H_
#define SVI_ENGINE_LORA_LORA_LIBRARY_H_

#include <map>
#include <memory>
#include <mutex>
#include <stdexcept>
#include <string>

#include "absl/base/thread_annotations.h"
#include "engine/types.h"
#include "worker/engine/lora/lora_file.h"

namespace svi::engine {

// Thread-safe.
class LoraLibrary {
 public:
  LoraLibrary(std::string dir, LoraTargets targets);

  // As Engine::ScanLoras.
  LoraFolder Scan();

  // A file as it is now, even if no scan has seen it yet. `version` changes whenever the file does (inode,
  // size, time of change).
  struct Entry {
    std::string version;
    LoraWeights weights;
  };
  // Throws UnknownLora if there is no such file, std::invalid_argument if it is not usable.
  Entry Open(const std::string& name);

 private:
  struct Seen;
  const std::string dir_;
  const LoraTargets targets_;
  std::mutex mutex_;
  std::map<std::string, std::shared_ptr<const Seen>> seen_ ABSL_GUARDED_BY(mutex_);
};

class UnknownLora : public std::runtime_error {
  using std::runtime_error::runtime_error;
};

}  // namespace svi::engine

#endif  // SVI_ENGINE_LORA_LORA_LIBRARY_H_
