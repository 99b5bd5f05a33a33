// svi generate, svi watch, svi append: what carries prompts, or follows a video.
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "client/commands/command.h"

namespace svi::client {
namespace {

constexpr uint64_t kMaxPictureBytes = 32 << 20;  // as VideoSpec.image

// VideoSpec as flags: what is not given is not set, so that the worker's model decides.
struct SpecFlags {
  std::vector<std::string> prompts, loras;
  std::string prompts_file, variant, sampler, request_id;
  std::optional<std::string> negative_prompt;
  std::optional<uint32_t> width, height, frames, steps, fps, num_clips, clips_per_prompt;
  std::optional<float> guidance_scale, flow_shift;
  std::optional<uint64_t> seed;
  int priority = 0;
  bool open_ended = false;

  void AddTo(FlagParser& parser);
  absl::StatusOr<v1::VideoSpec> ToSpec() const;
};

void SpecFlags::AddTo(FlagParser& parser) {
  parser.Group("Prompts");
  parser.AddRepeated("prompt", &prompts, "What happens in the next clip");
  parser.AddString("prompts-file", &prompts_file, "A file with a prompt a line; - is standard input");
  parser.AddString("negative-prompt", &negative_prompt,
                   "What to steer away from; default: Wan's own; empty: none");
  parser.Group("Size and length; where not given, the model's own default holds");
  parser.AddUint("width", &width, "Pixels, a multiple of 32; give both sides or neither");
  parser.AddUint("height", &height, "Pixels, a multiple of 32");
  parser.AddUint("frames", &frames, "Frames denoised a clip, 4k+1; Wan 2.2 5B with SVI: 81");
  parser.AddUint("fps", &fps, "Frames a second of the MP4; Wan 2.2 5B: 24");
  parser.AddUint("num-clips", &num_clips, "Stop after this many clips");
  parser.AddUint("clips-per-prompt", &clips_per_prompt, "Clips made from each prompt; server's default: 1");
  parser.AddBool("open-ended", &open_ended, "Stay open for `svi append` until `svi finish`");
  parser.Group("Sampling; where not given, the model's own default holds");
  parser.AddUint("seed", &seed, "Seed of clip 0; clip i uses seed + 42*i; server's default: 0");
  parser.AddUint("steps", &steps, "Denoising steps; Wan 2.2 5B: 50");
  parser.AddFloat("guidance-scale", &guidance_scale, "Classifier-free guidance, 1 is none; Wan 2.2 5B: 5");
  parser.AddFloat("shift", &flow_shift, "Flow shift of the sigma schedule; Wan 2.2 5B: 5");
  parser.AddString("sampler", &sampler, "unipc or euler; server's default: unipc");
  parser.AddString("variant", &variant, "How clips are joined: pro, film or shot; server's default: pro");
  parser.AddRepeated("lora", &loras, "NAME or NAME:STRENGTH of a LoRA that the workers have");
  parser.Group("The request");
  parser.AddInt("priority", &priority, "-100..100; higher goes first at the next clip boundary");
  parser.AddString("request-id", &request_id,
                   "Asking again with the same id returns the same video; default: a UUID");
}

template <typename Enum>
bool ParseEnum(const std::string& prefix, const std::string& text, bool (*parse)(const std::string&, Enum*),
               Enum* value) {
  return parse(absl::StrCat(prefix, absl::AsciiStrToUpper(text)), value) && static_cast<int>(*value) != 0;
}

bool ParseVariant(const std::string& name, v1::Variant* value) { return v1::Variant_Parse(name, value); }
bool ParseSampler(const std::string& name, v1::Sampler* value) { return v1::Sampler_Parse(name, value); }

absl::Status AddLora(const std::string& text, v1::VideoSpec& spec) {
  v1::LoraRef& lora = *spec.add_lora();
  const size_t colon = text.rfind(':');
  lora.set_name(text.substr(0, colon));
  if (colon == std::string::npos) return absl::OkStatus();
  float strength = 0;
  if (!absl::SimpleAtof(text.substr(colon + 1), &strength)) {
    return absl::InvalidArgumentError(absl::StrCat("--lora=", text, ": want NAME or NAME:STRENGTH"));
  }
  lora.set_strength(strength);
  return absl::OkStatus();
}

absl::StatusOr<v1::VideoSpec> SpecFlags::ToSpec() const {
  v1::VideoSpec spec;
  absl::StatusOr<std::vector<std::string>> all = GatherPrompts(prompts, prompts_file);
  if (!all.ok()) return all.status();
  if (all->empty()) return absl::InvalidArgumentError("want at least one --prompt, or a --prompts-file");
  for (const std::string& prompt : *all) spec.add_prompts(prompt);
  if (!variant.empty()) {
    v1::Variant value{};
    if (!ParseEnum<v1::Variant>("VARIANT_", variant, ParseVariant, &value)) {
      return absl::InvalidArgumentError(absl::StrCat("--variant=", variant, ": want pro, film or shot"));
    }
    spec.set_variant(value);
  }
  if (!sampler.empty()) {
    v1::Sampler value{};
    if (!ParseEnum<v1::Sampler>("SAMPLER_", sampler, ParseSampler, &value)) {
      return absl::InvalidArgumentError(absl::StrCat("--sampler=", sampler, ": want unipc or euler"));
    }
    spec.set_sampler(value);
  }
  for (const std::string& lora : loras) {
    absl::Status status = AddLora(lora, spec);
    if (!status.ok()) return status;
  }
  if (negative_prompt) {
    absl::Status status = CheckUtf8("negative-prompt", *negative_prompt);
    if (!status.ok()) return status;
  }
  if (negative_prompt) spec.set_negative_prompt(*negative_prompt);
  if (width) spec.set_width(*width);
  if (height) spec.set_height(*height);
  if (frames) spec.set_num_frames(*frames);
  if (steps) spec.set_num_inference_steps(*steps);
  if (guidance_scale) spec.set_guidance_scale(*guidance_scale);
  if (flow_shift) spec.set_flow_shift(*flow_shift);
  if (seed) spec.set_seed(*seed);
  if (fps) spec.set_fps(*fps);
  if (num_clips) spec.set_num_clips(*num_clips);
  if (clips_per_prompt) spec.set_clips_per_prompt(*clips_per_prompt);
  spec.set_open_ended(open_ended);
  spec.set_priority(priority);
  return spec;
}

}  // namespace

int RunGenerate(const Command& self, GlobalFlags globals, const Args& args, Interrupt* interrupt) {
  Session session(self, std::move(globals), interrupt);
  SpecFlags spec_flags;
  std::string out = ".";
  bool detach = false;
  spec_flags.AddTo(session.flags());
  session.flags().AddString("out", &out, "Folder for clip-00000.mp4 and on; made if need be");
  session.flags().AddBool("detach", &detach, "Queue the video, print its name and return");
  if (std::optional<int> code = session.Start(args, 1, 1)) return *code;

  v1::CreateVideoRequest request;
  absl::StatusOr<v1::VideoSpec> spec = spec_flags.ToSpec();
  if (!spec.ok()) return session.Fail(spec.status());
  absl::StatusOr<std::string> picture = ReadUserFile(session.positional()[0], kMaxPictureBytes);
  if (!picture.ok()) return session.Fail(picture.status());
  *request.mutable_spec() = *std::move(spec);
  request.mutable_spec()->set_image(*std::move(picture));
  request.set_request_id(spec_flags.request_id);

  absl::StatusOr<v1::Video> video = session.client().CreateVideo(std::move(request));
  if (!video.ok()) return session.Fail(video.status());
  session.out().Created(*video);
  if (detach) return kExitOk;
  return WatchToTheEnd(session, *video, 0, out);
}

int RunWatch(const Command& self, GlobalFlags globals, const Args& args, Interrupt* interrupt) {
  Session session(self, std::move(globals), interrupt);
  std::string out;
  uint64_t after = 0;
  session.flags().AddString("out", &out, "Folder for the clips; without it, none are fetched");
  session.flags().AddUint("after", &after, "Leave out events up to this sequence number, and their clips");
  if (std::optional<int> code = session.Start(args, 1, 1)) return *code;
  absl::StatusOr<v1::Video> video = session.client().GetVideo(session.positional()[0]);
  if (!video.ok()) return session.Fail(video.status());
  return WatchToTheEnd(session, *video, after, out);
}

int RunAppend(const Command& self, GlobalFlags globals, const Args& args, Interrupt* interrupt) {
  Session session(self, std::move(globals), interrupt);
  std::vector<std::string> prompts;
  std::string prompts_file;
  std::optional<uint64_t> revision;
  session.flags().AddRepeated("prompt", &prompts, "What happens in the next clip");
  session.flags().AddString("prompts-file", &prompts_file,
                            "A file with a prompt a line; - is standard input");
  session.flags().AddUint("revision", &revision,
                          "Refuse if the video's prompts have changed since this revision");
  if (std::optional<int> code = session.Start(args, 1, 1)) return *code;
  absl::StatusOr<std::vector<std::string>> all = GatherPrompts(prompts, prompts_file);
  if (!all.ok()) return session.Fail(all.status());
  if (all->empty()) {
    return session.Fail(absl::InvalidArgumentError("want at least one --prompt, or a --prompts-file"));
  }
  v1::AppendPromptsRequest request;
  request.set_name(session.positional()[0]);
  for (const std::string& prompt : *all) request.add_prompts(prompt);
  if (revision) request.set_expected_revision(*revision);
  absl::StatusOr<v1::Video> video = session.client().AppendPrompts(std::move(request));
  if (!video.ok()) return session.Fail(video.status());
  if (session.out().json()) session.out().Json(*video);
  session.out().Line(
      absl::StrCat(video->name(), ": ", video->clips_total(), " clips, revision ", video->revision()));
  return kExitOk;
}

}  // namespace svi::client
