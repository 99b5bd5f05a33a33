#include "worker/engine/train/cache_names.h"

#include <absl/strings/escaping.h>
#include <absl/strings/str_cat.h>

#include <cstring>
#include <filesystem>

#include "client/sha256.h"
#include "worker/engine/checkpoint/fingerprint.h"
#include "worker/engine/svi/carry.h"

namespace svi::engine {
namespace {

// To be counted up when the same options no longer give the same content.
constexpr char kWindowFormat[] = "svi-windows-1";
constexpr char kPromptFormat[] = "svi-prompts-1";
constexpr size_t kNameBytes = 16;  // of a hash: more files than anyone has

std::string ShortHash(absl::string_view text) {
  return absl::BytesToHexString(Sha256::Of(text).substr(0, kNameBytes));
}

// Fields that the windows' content depends on; those of LayOut have no say.
std::string Describe(const LatentCacheOptions& options) {
  const WindowOptions& window = options.window;
  const bool pro = window.variant == Variant::kPro, film = window.variant == Variant::kFilm;
  return absl::StrCat(
      kWindowFormat, " vae=", Fingerprint(Component::kVae, options.model_dir), " size=", options.width, "x",
      options.height, " frames=", window.num_frames, " variant=", VariantName(window.variant),
      " stream=", pro ? window.max_stream_latents : 0, " still=", film && window.repeat_first_frame,
      " stride=", options.max_stride, " seed=", options.seed, " bfloat16=", options.store_bfloat16);
}

std::string DescribePrompts(const LatentCacheOptions& options) {
  return absl::StrCat(kPromptFormat, " encoder=", Fingerprint(Component::kTextEncoder, options.model_dir),
                      " tokenizer=", TokenizerFingerprint(options.model_dir),
                      " bfloat16=", options.store_bfloat16);
}

}  // namespace

CacheFolders CacheFoldersOf(const LatentCacheOptions& options) {
  const std::filesystem::path dir(options.dir);
  return {dir / ("windows-" + ShortHash(Describe(options))),
          dir / ("prompts-" + ShortHash(DescribePrompts(options)))};
}

std::string WindowStem(const VideoSource::Item& item) {
  return ShortHash(absl::StrCat(item.name, "\n", item.identity));
}

std::string WindowFile(const std::string& folder, const std::string& stem, int64_t sample) {
  return absl::StrCat(folder, "/", stem, "-", sample, ".safetensors");
}

std::string PromptFile(const std::string& folder, const std::string& prompt) {
  return absl::StrCat(folder, "/", ShortHash(prompt), ".safetensors");
}

uint64_t WindowSeed(uint64_t seed, const VideoSource::Item& item, int64_t sample) {
  const std::string hash = Sha256::Of(absl::StrCat(seed, "\n", sample, "\n", item.name));
  uint64_t first = 0;
  std::memcpy(&first, hash.data(), sizeof(first));
  return first;
}

}  // namespace svi::engine
