#include "client/video_flags.h"

#include <fstream>
#include <iostream>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "client/lora_name.h"
#include "client/utf8.h"

namespace svi {
namespace {

// Sets the enumeration's value called PREFIX_TEXT; false if there is none.
template <typename Enum>
bool ParseEnum(const char* prefix, const std::string& text, bool (*parse)(const std::string&, Enum*),
               Enum* value) {
  return parse(absl::StrCat(prefix, absl::AsciiStrToUpper(text)), value) && static_cast<int>(*value) != 0;
}

bool ParseVariant(const std::string& name, v1::Variant* value) { return v1::Variant_Parse(name, value); }
bool ParseSampler(const std::string& name, v1::Sampler* value) { return v1::Sampler_Parse(name, value); }

constexpr char kNegativePromptHelp[] = "What to steer away from; default: Wan's own; empty: none";
constexpr char kSizeGroup[] = "Size and length; where not given, the model's own default holds";
constexpr char kSamplingGroup[] = "Sampling; where not given, the model's own default holds";

}  // namespace

void AddPromptFlags(FlagParser& parser, std::vector<std::string>* prompts, std::string* prompts_file) {
  parser.AddRepeated("prompt", prompts, "What happens in the next clip");
  parser.AddString("prompts-file", prompts_file, "A file with a prompt a line; - is standard input");
}

void VideoFlags::AddTo(FlagParser& parser) {
  parser.Group("Prompts");
  AddPromptFlags(parser, &prompts_, &prompts_file_);
  parser.AddString("negative-prompt", &negative_prompt_, kNegativePromptHelp);
  parser.Group(kSizeGroup);
  AddSize(parser);
  parser.AddUint("fps", &fps_, "Frames a second of the MP4; Wan 2.2 5B: 24");
  parser.AddUint("num-clips", &num_clips_, "Stop after this many clips; default: all prompts'");
  parser.AddUint("clips-per-prompt", &clips_per_prompt_, "Clips made from each prompt; default: 1");
  parser.Group(kSamplingGroup);
  parser.AddUint("seed", &seed_, "Seed of clip 0; clip i uses seed + 42*i; default: 0");
  AddSampler(parser);
}

void VideoFlags::AddSamplingTo(FlagParser& parser) {
  parser.Group(kSizeGroup);
  AddSize(parser);
  parser.Group(kSamplingGroup);
  parser.AddString("negative-prompt", &negative_prompt_, kNegativePromptHelp);
  AddSampler(parser);
}

void VideoFlags::AddSize(FlagParser& parser) {
  parser.AddUint("width", &width_, "Pixels, a multiple of 32; give both sides or neither");
  parser.AddUint("height", &height_, "Pixels, a multiple of 32");
  parser.AddUint("frames", &frames_, "Frames denoised a clip, 4k+1; Wan 2.2 5B with SVI: 81");
}

void VideoFlags::AddSampler(FlagParser& parser) {
  parser.AddUint("steps", &steps_, "Denoising steps; Wan 2.2 5B: 50");
  parser.AddFloat("guidance-scale", &guidance_scale_, "Classifier-free guidance, 1 is none; Wan 2.2 5B: 5");
  parser.AddFloat("shift", &shift_, "Flow shift of the sigma schedule; Wan 2.2 5B: 5");
  parser.AddString("sampler", &sampler_, "unipc or euler; default: unipc");
  parser.AddString("variant", &variant_, "How clips are joined: pro, film or shot; default: pro");
  parser.AddRepeated("lora", &loras_, "NAME or NAME:STRENGTH of a LoRA in the worker's folder");
}

absl::StatusOr<v1::VideoSpec> VideoFlags::ToSpec() const {
  absl::StatusOr<std::vector<std::string>> all = GatherPrompts(prompts_, prompts_file_);
  if (!all.ok()) return all.status();
  absl::StatusOr<v1::VideoSpec> spec = SamplingSpec();
  if (!spec.ok()) return spec;
  for (std::string& prompt : *all) spec->add_prompts(std::move(prompt));
  return spec;
}

absl::StatusOr<v1::VideoSpec> VideoFlags::SamplingSpec() const {
  v1::VideoSpec spec;
  if (!variant_.empty()) {
    v1::Variant value{};
    if (!ParseEnum<v1::Variant>("VARIANT_", variant_, ParseVariant, &value)) {
      return absl::InvalidArgumentError(absl::StrCat("--variant=", variant_, ": want pro, film or shot"));
    }
    spec.set_variant(value);
  }
  if (!sampler_.empty()) {
    v1::Sampler value{};
    if (!ParseEnum<v1::Sampler>("SAMPLER_", sampler_, ParseSampler, &value)) {
      return absl::InvalidArgumentError(absl::StrCat("--sampler=", sampler_, ": want unipc or euler"));
    }
    spec.set_sampler(value);
  }
  for (const std::string& text : loras_) {
    absl::StatusOr<v1::LoraRef> lora = ParseLora(text);
    if (!lora.ok()) return lora.status();
    *spec.add_lora() = *std::move(lora);
  }
  if (negative_prompt_) {
    if (absl::Status status = CheckUtf8("negative-prompt", *negative_prompt_); !status.ok()) return status;
    spec.set_negative_prompt(*negative_prompt_);
  }
  if (width_) spec.set_width(*width_);
  if (height_) spec.set_height(*height_);
  if (frames_) spec.set_num_frames(*frames_);
  if (steps_) spec.set_num_inference_steps(*steps_);
  if (guidance_scale_) spec.set_guidance_scale(*guidance_scale_);
  if (shift_) spec.set_flow_shift(*shift_);
  if (seed_) spec.set_seed(*seed_);
  if (fps_) spec.set_fps(*fps_);
  if (num_clips_) spec.set_num_clips(*num_clips_);
  if (clips_per_prompt_) spec.set_clips_per_prompt(*clips_per_prompt_);
  return spec;
}

absl::StatusOr<std::vector<std::string>> GatherPrompts(const std::vector<std::string>& prompts,
                                                       const std::string& prompts_file) {
  std::vector<std::string> all = prompts;
  if (!prompts_file.empty()) {
    std::ifstream file;
    if (prompts_file != "-") {
      file.open(prompts_file);
      if (!file)
        return absl::InvalidArgumentError(absl::StrCat("--prompts-file: cannot read ", prompts_file));
    }
    std::istream& in = prompts_file == "-" ? std::cin : file;
    for (std::string line; std::getline(in, line);) {
      const std::string prompt(absl::StripAsciiWhitespace(line));
      if (!prompt.empty()) all.push_back(prompt);
    }
  }
  if (all.empty()) return absl::InvalidArgumentError("want at least one --prompt, or a --prompts-file");
  for (const std::string& prompt : all) {
    if (absl::Status status = CheckUtf8("prompt", prompt); !status.ok()) return status;
  }
  return all;
}

absl::Status CheckUtf8(std::string_view flag, std::string_view text) {
  if (IsUtf8(absl::string_view(text.data(), text.size()))) return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrCat("--", std::string(flag), ": is not valid UTF-8"));
}

absl::StatusOr<v1::LoraRef> ParseLora(const std::string& text) {
  v1::LoraRef lora;
  const size_t colon = text.rfind(':');
  float strength = 0;
  const bool strength_ok = colon == std::string::npos || absl::SimpleAtof(text.substr(colon + 1), &strength);
  lora.set_name(text.substr(0, colon));
  if (!strength_ok || lora.name().empty()) {
    return absl::InvalidArgumentError(absl::StrCat("--lora=", text, ": want NAME or NAME:STRENGTH"));
  }
  if (!IsLoraName(lora.name())) {
    return absl::InvalidArgumentError(
        absl::StrCat("--lora=", text, ": a name is 1..128 characters of [A-Za-z0-9._-]"));
  }
  if (colon != std::string::npos) lora.set_strength(strength);
  return lora;
}

}  // namespace svi
