#include "worker/drift_scenes.h"

#include <nlohmann/json.hpp>
#include <sstream>
#include <system_error>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "worker/files.h"

namespace svi::worker {
namespace {

constexpr uint64_t kMaxSeed = uint64_t{1} << 62;  // as VideoSpec.seed

// The value of a key that is there and of the right kind; an error names the key.
absl::StatusOr<std::string> TextOf(const nlohmann::json& json, const char* key, bool required) {
  const auto found = json.find(key);
  if (found == json.end() && !required) return "";
  if (found == json.end()) return absl::InvalidArgumentError(absl::StrCat("has no \"", key, "\""));
  if (!found->is_string() || found->get<std::string>().empty()) {
    return absl::InvalidArgumentError(absl::StrCat("\"", key, "\" must be text, and not empty"));
  }
  return found->get<std::string>();
}

absl::StatusOr<uint64_t> SeedOf(const nlohmann::json& json) {
  const auto found = json.find("seed");
  if (found == json.end()) return 0;
  if (!found->is_number_unsigned() || found->get<uint64_t>() > kMaxSeed) {
    return absl::InvalidArgumentError("\"seed\" must be a whole number in 0..2^62");
  }
  return found->get<uint64_t>();
}

absl::StatusOr<DriftScene> ParseScene(const std::string& line, const std::filesystem::path& folder) {
  const nlohmann::json json = nlohmann::json::parse(line, nullptr, /*allow_exceptions=*/false);
  if (!json.is_object()) return absl::InvalidArgumentError("is not a JSON object");
  const absl::StatusOr<std::string> picture = TextOf(json, "picture", true);
  if (!picture.ok()) return picture.status();
  const absl::StatusOr<std::string> prompt = TextOf(json, "prompt", true);
  if (!prompt.ok()) return prompt.status();
  const absl::StatusOr<std::string> direction = TextOf(json, "direction", false);
  if (!direction.ok()) return direction.status();
  const absl::StatusOr<uint64_t> seed = SeedOf(json);
  if (!seed.ok()) return seed.status();
  std::error_code error;
  if (!std::filesystem::is_regular_file(folder / *picture, error)) {  // now, not after hours of other scenes
    return absl::InvalidArgumentError(absl::StrCat("\"picture\": there is no file ", *picture));
  }
  for (const char* known : {"", "left", "right", "up", "down", "still"}) {
    if (*direction == known) return DriftScene{*picture, folder / *picture, *prompt, *seed, *direction};
  }
  return absl::InvalidArgumentError("\"direction\" must be left, right, up, down or still");
}

}  // namespace

absl::StatusOr<std::vector<DriftScene>> ReadDriftScenes(const std::filesystem::path& list, int64_t limit) {
  const absl::StatusOr<std::string> text = ReadWholeFile(list);
  if (!text.ok()) return text.status();
  std::istringstream in(*text);
  std::vector<DriftScene> scenes;
  int number = 0;
  for (std::string line; std::getline(in, line);) {
    ++number;
    if (absl::StripAsciiWhitespace(line).empty()) continue;
    if (limit > 0 && static_cast<int64_t>(scenes.size()) == limit) break;
    absl::StatusOr<DriftScene> scene = ParseScene(line, list.parent_path());
    if (!scene.ok()) {
      return absl::InvalidArgumentError(
          absl::StrCat(list.string(), ":", number, ": ", scene.status().message()));
    }
    scenes.push_back(*std::move(scene));
  }
  if (scenes.empty()) return absl::InvalidArgumentError(absl::StrCat(list.string(), ": holds no scenes"));
  return scenes;
}

}  // namespace svi::worker
