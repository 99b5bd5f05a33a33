#include "worker/agent/lora_watch.h"

#include <spdlog/spdlog.h>

#include <algorithm>
#include <iterator>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "client/lora_name.h"

namespace svi::worker {
namespace {

std::vector<std::string> NamesOf(const engine::LoraFolder& folder) {
  std::vector<std::string> names;
  for (const engine::LoraFolder::Lora& lora : folder.loras) names.push_back(lora.name);
  std::sort(names.begin(), names.end());
  return names;
}

// For a line of the log: a folder may hold thousands.
std::string ForLog(std::vector<std::string> names) {
  constexpr size_t kMost = 20;
  if (names.size() <= kMost) return absl::StrJoin(names, ", ");
  const size_t more = names.size() - kMost;
  names.resize(kMost);
  return absl::StrCat(absl::StrJoin(names, ", "), " and ", more, " more");
}

}  // namespace

LoraChange Compare(const engine::LoraFolder& before, const engine::LoraFolder& after) {
  LoraChange change;
  const std::vector<std::string> old_names = NamesOf(before), new_names = NamesOf(after);
  std::set_difference(new_names.begin(), new_names.end(), old_names.begin(), old_names.end(),
                      std::back_inserter(change.added));
  std::set_difference(old_names.begin(), old_names.end(), new_names.begin(), new_names.end(),
                      std::back_inserter(change.removed));
  std::copy_if(after.refused.begin(), after.refused.end(), std::back_inserter(change.refused),
               [&before](const engine::LoraFolder::Refused& refused) {
                 return std::find(before.refused.begin(), before.refused.end(), refused) ==
                        before.refused.end();
               });
  return change;
}

void LoraWatch::Update(engine::LoraFolder folder) {
  if (folder == folder_) return;
  const LoraChange change = Compare(folder_, folder);
  folder_ = std::move(folder);
  for (const engine::LoraFolder::Refused& refused : change.refused) {
    spdlog::warn("LoRA refused: {}: {}", refused.file, refused.why);
  }
  if (change.added.empty() && change.removed.empty()) return;
  if (!change.added.empty()) spdlog::info("LoRAs added: {}", ForLog(change.added));
  if (!change.removed.empty()) spdlog::info("LoRAs removed: {}", ForLog(change.removed));
  names_ = NamesOf(folder_);
  if (names_.size() > size_t{kMaxLoras}) {
    spdlog::warn("there are {} LoRAs; the server is told of the first {}", names_.size(), kMaxLoras);
    names_.resize(kMaxLoras);
  }
}

}  // namespace svi::worker
