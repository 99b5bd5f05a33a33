#include "server/rpc/validation.h"

#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "client/lora_name.h"
#include "client/training_spec.h"
#include "client/utf8.h"
#include "server/queue/plan.h"
#include "server/rpc/page_token.h"
#include "server/rpc/status.h"
#include "worker/media/picture_check.h"

namespace svi::server {
namespace {

using Violations = std::vector<FieldViolation>;

bool IsWord(absl::string_view text, absl::string_view punctuation) {
  return std::all_of(text.begin(), text.end(), [&](char c) {
    return absl::ascii_isalnum(static_cast<unsigned char>(c)) ||
           punctuation.find(c) != absl::string_view::npos;
  });
}

// NaN is outside every range.
template <typename Number>
void CheckRange(const char* field, Number value, Number low, Number high, Violations* bad) {
  if (value >= low && value <= high) return;
  bad->push_back({field, absl::StrCat("must be ", low, "..", high, ", is ", value)});
}

// Blank: nothing but white space, also the wide kinds (U+00A0, U+2000..U+200B, U+3000 and so on).
bool IsBlank(absl::string_view text) {
  static constexpr absl::string_view kWide[] = {"\xC2\xA0",     "\xC2\x85",     "\xE1\x9A\x80",
                                                "\xE2\x80\xA8", "\xE2\x80\xA9", "\xE2\x80\xAF",
                                                "\xE2\x81\x9F", "\xE3\x80\x80", "\xEF\xBB\xBF"};
  while (!text.empty()) {
    if (absl::ascii_isspace(static_cast<unsigned char>(text[0])) || text[0] == '\0') {
      text.remove_prefix(1);
      continue;
    }
    if (text.size() >= 3 && text.substr(0, 2) == "\xE2\x80" && static_cast<unsigned char>(text[2]) >= 0x80 &&
        static_cast<unsigned char>(text[2]) <= 0x8B) {
      text.remove_prefix(3);
      continue;
    }
    bool matched = false;
    for (const auto& space : kWide) {
      if (text.substr(0, space.size()) == space) {
        text.remove_prefix(space.size());
        matched = true;
        break;
      }
    }
    if (!matched) return false;
  }
  return true;
}

void CheckPrompts(const google::protobuf::RepeatedPtrField<std::string>& prompts, const std::string& field,
                  Violations* bad) {
  if (prompts.empty() || prompts.size() > kMaxPrompts) {
    bad->push_back({field, absl::StrCat("must have 1..", kMaxPrompts, " prompts, has ", prompts.size())});
    if (prompts.size() > kMaxPrompts) return;
  }
  for (int i = 0; i < prompts.size(); ++i) {
    const std::string& prompt = prompts[i];
    const std::string path = absl::StrCat(field, "[", i, "]");
    if (prompt.size() > kMaxPromptBytes) {
      bad->push_back({path, absl::StrCat("must be 1..", kMaxPromptBytes, " bytes, is ", prompt.size())});
    } else if (!IsUtf8(prompt)) {
      bad->push_back({path, "must be valid UTF-8"});
    } else if (IsBlank(prompt)) {
      bad->push_back({path, absl::StrCat("must be 1..", kMaxPromptBytes, " bytes and not blank")});
    }
  }
}

// What kept it from being checked, if anything did.
absl::Status CheckImage(const std::string& image, Violations* bad) {
  if (image.empty()) {
    bad->push_back({"spec.image", "is required: the bytes of a JPEG, PNG or WebP picture"});
    return absl::OkStatus();
  }
  if (image.size() > kMaxImageBytes) {
    bad->push_back({"spec.image",
                    absl::StrCat("must be at most ", kMaxImageBytes, " bytes (32 MiB), is ", image.size())});
    return absl::OkStatus();
  }
  const absl::Status picture = media::CheckPicture(image);
  if (!absl::IsInvalidArgument(picture)) return picture;
  bad->push_back({"spec.image", std::string(picture.message())});
  return absl::OkStatus();
}

void CheckSize(const v1::VideoSpec& spec, Violations* bad) {
  const auto side = [&](const char* field, uint32_t value) {
    if (value < 32 || value > 4096 || value % 32 != 0) {
      bad->push_back({field, absl::StrCat("must be a multiple of 32, 32..4096, is ", value)});
    }
  };
  if (spec.has_width()) side("spec.width", spec.width());
  if (spec.has_height()) side("spec.height", spec.height());
  if (spec.has_width() != spec.has_height()) {
    bad->push_back(
        {spec.has_width() ? "spec.height" : "spec.width", "must be set, too: set both sides or neither"});
  }
}

void CheckClips(const v1::VideoSpec& spec, Violations* bad) {
  const uint64_t per_prompt = spec.has_clips_per_prompt() ? spec.clips_per_prompt() : 1;
  if (per_prompt < 1 || per_prompt > 1024) {
    bad->push_back({"spec.clips_per_prompt", absl::StrCat("must be 1..1024, is ", per_prompt)});
    return;
  }
  const uint64_t most = static_cast<uint64_t>(spec.prompts_size()) * per_prompt;
  if (!spec.has_num_clips()) {
    if (most > kMaxClips) {
      bad->push_back({"spec.num_clips", absl::StrCat("prompts × clips_per_prompt is ", most,
                                                     "; a video has at most ", kMaxClips, " clips")});
    }
    return;
  }
  if (spec.num_clips() < 1 || spec.num_clips() > kMaxClips) {
    bad->push_back({"spec.num_clips", absl::StrCat("must be 1..", kMaxClips, ", is ", spec.num_clips())});
  } else if (spec.variant() != v1::VARIANT_SHOT && !spec.open_ended() && spec.num_clips() > most) {
    bad->push_back(
        {"spec.num_clips",
         absl::StrCat("must be at most prompts × clips_per_prompt (", most, "), is ", spec.num_clips(),
                      "; more needs open_ended, clips_per_prompt or the variant SHOT")});
  }
}

void CheckSampling(const v1::VideoSpec& spec, Violations* bad) {
  if (spec.has_num_frames() &&
      (spec.num_frames() < 5 || spec.num_frames() > 257 || spec.num_frames() % 4 != 1)) {
    bad->push_back({"spec.num_frames", absl::StrCat("must be 4k+1, 5..257, is ", spec.num_frames())});
  } else if (spec.has_num_frames() && spec.num_frames() < 9 &&
             (spec.open_ended() || PlannedClips(spec) > 1)) {
    // Five of its frames only repeat the clip before.
    bad->push_back({"spec.num_frames", "must be at least 9 for a video of several clips"});
  }
  if (spec.has_num_inference_steps()) {
    CheckRange<uint32_t>("spec.num_inference_steps", spec.num_inference_steps(), 1, 1000, bad);
  }
  if (spec.has_guidance_scale()) CheckRange<float>("spec.guidance_scale", spec.guidance_scale(), 1, 30, bad);
  if (spec.has_flow_shift()) CheckRange<float>("spec.flow_shift", spec.flow_shift(), 0.1F, 100, bad);
  if (spec.has_seed() && spec.seed() > (uint64_t{1} << 62)) {
    bad->push_back({"spec.seed", absl::StrCat("must be 0..2^62, is ", spec.seed())});
  }
  if (!v1::Variant_IsValid(spec.variant())) {
    bad->push_back(
        {"spec.variant", absl::StrCat("must be PRO, FILM or SHOT, is the unknown ", spec.variant())});
  }
  if (!v1::Sampler_IsValid(spec.sampler())) {
    bad->push_back({"spec.sampler", absl::StrCat("must be UNIPC or EULER, is the unknown ", spec.sampler())});
  }
  if (spec.has_fps()) CheckRange<uint32_t>("spec.fps", spec.fps(), 1, 120, bad);
  CheckRange<int32_t>("spec.priority", spec.priority(), -100, 100, bad);
}

void CheckLoras(const v1::VideoSpec& spec, Violations* bad) {
  if (spec.lora_size() > kMaxLorasOfVideo) {
    bad->push_back({"spec.lora",
                    absl::StrCat("must have at most ", kMaxLorasOfVideo, " LoRAs, has ", spec.lora_size())});
    return;
  }
  for (int i = 0; i < spec.lora_size(); ++i) {
    const auto& lora = spec.lora(i);
    const std::string path = absl::StrCat("spec.lora[", i, "]");
    if (!IsLoraName(lora.name())) {
      bad->push_back({path + ".name", "must be 1..128 characters of [A-Za-z0-9._-]"});
    }
    if (lora.has_strength()) CheckRange<float>((path + ".strength").c_str(), lora.strength(), -4, 4, bad);
  }
}

void CheckRequestId(const std::string& request_id, Violations* bad) {
  if (!request_id.empty() && (request_id.size() > 128 || !IsWord(request_id, "._:-"))) {
    bad->push_back({"request_id", "must be 1..128 characters of [A-Za-z0-9._:-]"});
  }
}

void CheckPageSize(int page_size, Violations* bad) {
  if (page_size >= 0) return;
  bad->push_back({"page_size", absl::StrCat("must be 1..", kMaxPageSize, ", or 0 for the default of ",
                                            kDefaultPageSize, ", is ", page_size)});
}

// A filter by states; 0 is UNSPECIFIED. `noun`: what would have them.
void CheckStates(const google::protobuf::RepeatedField<int>& states, bool (*is_valid)(int), const char* noun,
                 Violations* bad) {
  for (int i = 0; i < states.size(); ++i) {
    if (states[i] != 0 && is_valid(states[i])) continue;
    bad->push_back({absl::StrCat("states[", i, "]"),
                    absl::StrCat("is not a state that ", noun, " can have: ", states[i])});
  }
}

}  // namespace

absl::Status Validate(const v1::CreateVideoRequest& request) {
  Violations bad;
  CheckRequestId(request.request_id(), &bad);
  if (!request.has_spec()) {
    bad.push_back({"spec", "is required"});
    return InvalidFields(bad);
  }
  const auto& spec = request.spec();
  CheckPrompts(spec.prompts(), "spec.prompts", &bad);
  if (spec.negative_prompt().size() > kMaxPromptBytes) {
    bad.push_back({"spec.negative_prompt", absl::StrCat("must be at most ", kMaxPromptBytes, " bytes, is ",
                                                        spec.negative_prompt().size())});
  } else if (!IsUtf8(spec.negative_prompt())) {
    bad.push_back({"spec.negative_prompt", "must be valid UTF-8"});
  }
  CheckSize(spec, &bad);
  CheckSampling(spec, &bad);
  CheckClips(spec, &bad);
  CheckLoras(spec, &bad);
  const absl::Status checked = CheckImage(spec.image(), &bad);
  return bad.empty() ? checked : InvalidFields(bad);
}

absl::Status Validate(const v1::AppendPromptsRequest& request) {
  Violations bad;
  CheckPrompts(request.prompts(), "prompts", &bad);
  return InvalidFields(bad);
}

absl::Status Validate(const v1::ListVideosRequest& request) {
  Violations bad;
  CheckPageSize(request.page_size(), &bad);
  CheckStates(request.states(), v1::VideoState_IsValid, "a video", &bad);
  return InvalidFields(bad);
}

absl::Status Validate(const v1::CreateTrainingRunRequest& request) {
  Violations bad;
  CheckRequestId(request.request_id(), &bad);
  if (!request.has_spec()) {
    bad.push_back({"spec", "is required"});
    return InvalidFields(bad);
  }
  for (SpecFault& fault : CheckTrainingSpec(request.spec())) {
    bad.push_back({absl::StrCat("spec.", fault.field), std::move(fault.what)});
  }
  return InvalidFields(bad);
}

absl::Status Validate(const v1::ListTrainingRunsRequest& request) {
  Violations bad;
  CheckPageSize(request.page_size(), &bad);
  CheckStates(request.states(), v1::TrainingState_IsValid, "a training run", &bad);
  return InvalidFields(bad);
}

absl::Status Validate(const v1::ListLorasRequest& request) {
  Violations bad;
  CheckPageSize(request.page_size(), &bad);
  return InvalidFields(bad);
}

}  // namespace svi::server
