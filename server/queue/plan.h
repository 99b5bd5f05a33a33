// What a spec plans: how many clips, and each clip's prompt and seed. Pure functions of the spec.
#ifndef SVI_SERVER_QUEUE_PLAN_H_
#define SVI_SERVER_QUEUE_PLAN_H_

#include <cstdint>
#include <string>

#include "svi/v1/resources.pb.h"

namespace svi::server {

// Prompts of one video, appended ones included.
inline constexpr int kMaxPrompts = 1024;

// Clips that will be there when the prompts known now are done: num_clips if it is set, else prompts ×
// clips_per_prompt. Of an open-ended video, num_clips only caps the latter.
[[nodiscard]] uint32_t PlannedClips(const v1::VideoSpec& spec);

// The most clips that the video may ever have: num_clips, or for an open-ended video without it, no limit
// (UINT32_MAX).
[[nodiscard]] uint32_t MostClips(const v1::VideoSpec& spec);

// prompts[clip / clips_per_prompt], the last one for clips beyond; the first one always with SHOT. "" without
// prompts.
[[nodiscard]] std::string PromptOfClip(const v1::VideoSpec& spec, uint32_t clip);

// seed + 42·clip: the reference's rule.
[[nodiscard]] uint64_t SeedOfClip(const v1::VideoSpec& spec, uint32_t clip);

}  // namespace svi::server

#endif  // SVI_SERVER_QUEUE_PLAN_H_
