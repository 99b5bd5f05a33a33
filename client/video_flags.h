// A VideoSpec as command-line flags: those of `svi generate` and of `svi-worker generate`.
#ifndef SVI_CLIENT_VIDEO_FLAGS_H_
#define SVI_CLIENT_VIDEO_FLAGS_H_

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "client/flags.h"
#include "svi/v1/resources.pb.h"

namespace svi {

// What is not given is not set, so that the model's own default holds.
class VideoFlags {
 public:
  // `parser` must not outlive this.
  void AddTo(FlagParser& parser);
  // Those of a video whose prompts, length and seed come from elsewhere: size, sampling, variant and LoRAs.
  void AddSamplingTo(FlagParser& parser);

  // Without a picture. INVALID_ARGUMENT, naming the flag: no prompt, an unknown word, text that is not UTF-8.
  // Limits of numbers are for whoever takes the spec.
  [[nodiscard]] absl::StatusOr<v1::VideoSpec> ToSpec() const;
  // The same without prompts, which need not be there.
  [[nodiscard]] absl::StatusOr<v1::VideoSpec> SamplingSpec() const;

 private:
  void AddSize(FlagParser& parser);
  void AddSampler(FlagParser& parser);

  std::vector<std::string> prompts_, loras_;
  std::string prompts_file_, variant_, sampler_;
  std::optional<std::string> negative_prompt_;
  std::optional<uint32_t> width_, height_, frames_, steps_, fps_, num_clips_, clips_per_prompt_;
  std::optional<float> guidance_scale_, shift_;
  std::optional<uint64_t> seed_;
};

// Adds --prompt and --prompts-file.
void AddPromptFlags(FlagParser& parser, std::vector<std::string>* prompts, std::string* prompts_file);

// --prompt and --prompts-file together: a prompt a line, blank ones skipped; "-" is standard input.
// INVALID_ARGUMENT if there is none, or one is not UTF-8.
[[nodiscard]] absl::StatusOr<std::vector<std::string>> GatherPrompts(const std::vector<std::string>& prompts,
                                                                     const std::string& prompts_file);

// INVALID_ARGUMENT naming `flag` unless `text` is valid UTF-8: protobuf would not carry it, and say less.
[[nodiscard]] absl::Status CheckUtf8(std::string_view flag, std::string_view text);

// NAME or NAME:STRENGTH.
[[nodiscard]] absl::StatusOr<v1::LoraRef> ParseLora(const std::string& text);

}  // namespace svi

#endif  // SVI_CLIENT_VIDEO_FLAGS_H_
