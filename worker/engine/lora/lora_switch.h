// What a clip asks for, put in place: names from the folder, merged into the transformer.
#ifndef SVI_ENGINE_LORA_LORA_SWITCH_H_
#define SVI_ENGINE_LORA_LORA_SWITCH_H_

#include <functional>
#include <map>
#include <string>
#include <vector>

#include "absl/time/time.h"
#include "engine/types.h"
#include "worker/engine/lora/lora_library.h"
#include "worker/engine/lora/lora_merge.h"

namespace svi::engine {

// Scan() and merged_bytes() from any thread; Put() from one at a time, and not while the transformer runs.
class LoraSwitch {
 public:
  // `transformer` must outlive it. The folders are LoraLibrary's.
  LoraSwitch(Transformer& transformer, std::string dir, std::string cache_dir);

  // Makes the transformer hold exactly these LoRAs, each file as it is now; one that is named twice counts
  // with the sum of its strengths, one whose strength is 0 not at all. Returns the time it took, zero if
  // they were in place. `before_layer` as LoraMerge::Apply's. Throws as LoraLibrary::Open, and
  // std::invalid_argument on a strength that is not finite: what was in place still is. If it throws anything
  // else, the base is in place.
  absl::Duration Put(
      const std::vector<LoraRef>& loras, const std::function<void()>& before_layer = [] {});

  LoraFolder Scan() { return library_.Scan(); }
  uint64_t merged_bytes() const { return merge_.merged_bytes(); }

 private:
  struct InPlace {
    std::string version;
    double strength = 0;
    bool operator==(const InPlace&) const = default;
  };

  LoraLibrary library_;
  LoraMerge merge_;
  std::map<std::string, InPlace> in_place_;  // by name
};

}  // namespace svi::engine

#endif  // SVI_ENGINE_LORA_LORA_SWITCH_H_
