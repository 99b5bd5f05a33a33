// What changes in the LoRA folder from one look to the next: for the log, and for the server.
#ifndef SVI_WORKER_AGENT_LORA_WATCH_H_
#define SVI_WORKER_AGENT_LORA_WATCH_H_

#include <string>
#include <vector>

#include "engine/types.h"

namespace svi::worker {

struct LoraChange {
  std::vector<std::string> added, removed;           // usable names, sorted
  std::vector<engine::LoraFolder::Refused> refused;  // newly so, or for another reason than before
  bool operator==(const LoraChange&) const = default;
};

[[nodiscard]] LoraChange Compare(const engine::LoraFolder& before, const engine::LoraFolder& after);

// Thread-compatible.
class LoraWatch {
 public:
  // Takes what a look found, and logs what is other than at the look before (the first: than nothing).
  void Update(engine::LoraFolder folder);

  [[nodiscard]] const engine::LoraFolder& folder() const { return folder_; }
  // Of the usable ones, sorted; no more than a server listens to.
  [[nodiscard]] const std::vector<std::string>& names() const { return names_; }

 private:
  engine::LoraFolder folder_;
  std::vector<std::string> names_;
};

}  // namespace svi::worker

#endif  // SVI_WORKER_AGENT_LORA_WATCH_H_
