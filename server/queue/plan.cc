#include "server/queue/plan.h"

#include <algorithm>
#include <limits>

namespace svi::server {
namespace {

constexpr uint64_t kSeedStep = 42;

uint64_t ClipsPerPrompt(const v1::VideoSpec& spec) {
  return spec.has_clips_per_prompt() ? std::max<uint32_t>(spec.clips_per_prompt(), 1) : 1;
}

}  // namespace

uint32_t PlannedClips(const v1::VideoSpec& spec) {
  if (spec.has_num_clips() && !spec.open_ended()) return spec.num_clips();
  const uint64_t of_prompts = static_cast<uint64_t>(spec.prompts_size()) * ClipsPerPrompt(spec);
  return static_cast<uint32_t>(std::min<uint64_t>(of_prompts, MostClips(spec)));
}

uint32_t MostClips(const v1::VideoSpec& spec) {
  if (spec.has_num_clips()) return spec.num_clips();
  if (spec.open_ended()) return std::numeric_limits<uint32_t>::max();
  const uint64_t of_prompts = static_cast<uint64_t>(spec.prompts_size()) * ClipsPerPrompt(spec);
  return static_cast<uint32_t>(std::min<uint64_t>(of_prompts, std::numeric_limits<uint32_t>::max()));
}

std::string PromptOfClip(const v1::VideoSpec& spec, uint32_t clip) {
  if (spec.prompts_size() == 0) return "";
  if (spec.variant() == v1::VARIANT_SHOT) return spec.prompts(0);
  const uint64_t index = std::min<uint64_t>(clip / ClipsPerPrompt(spec), spec.prompts_size() - 1);
  return spec.prompts(static_cast<int>(index));
}

uint64_t SeedOfClip(const v1::VideoSpec& spec, uint32_t clip) { return spec.seed() + kSeedStep * clip; }

}  // namespace svi::server
