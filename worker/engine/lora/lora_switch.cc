#include "worker/engine/lora/lora_switch.h"

#include <cmath>
#include <stdexcept>
#include <utility>

#include "absl/time/clock.h"

namespace svi::engine {

LoraSwitch::LoraSwitch(Transformer& transformer, std::string dir, std::string cache_dir)
    : library_(std::move(dir), std::move(cache_dir), TargetsOf(transformer)), merge_(transformer) {}

absl::Duration LoraSwitch::Put(const std::vector<LoraRef>& loras, const std::function<void()>& before_layer) {
  std::map<std::string, InPlace> wanted;
  for (const LoraRef& lora : loras) wanted[lora.name].strength += lora.strength;
  std::erase_if(wanted, [](const auto& entry) { return entry.second.strength == 0; });
  for (auto& [name, use] : wanted) {
    if (!std::isfinite(use.strength)) {
      throw std::invalid_argument("LoRA '" + name + "': strength must be a finite number");
    }
    use.version = library_.Version(name);
  }
  if (wanted == in_place_) return absl::ZeroDuration();

  const absl::Time start = absl::Now();
  std::vector<LoraLibrary::Entry> entries;
  entries.reserve(wanted.size());
  std::vector<LoraUse> uses;
  for (auto& [name, use] : wanted) {
    entries.push_back(library_.Open(name));
    use.version = entries.back().version;  // may have changed a moment ago
    uses.push_back({&entries.back().weights, use.strength});
  }
  in_place_.clear();  // if it throws
  merge_.Apply(uses, before_layer);
  in_place_ = std::move(wanted);
  return absl::Now() - start;
}

}  // namespace svi::engine
