#include "server/rpc/names.h"

#include <openssl/rand.h>

#include <algorithm>
#include <array>
#include <cstdlib>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "client/lora_name.h"
#include "server/rpc/status.h"

namespace svi::server {
namespace {

bool IsId(absl::string_view id) {
  return !id.empty() && id.size() <= 64 && std::all_of(id.begin(), id.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-';
  });
}

absl::Status BadName(absl::string_view expected) {
  return InvalidFields(
      {{"name", absl::StrCat("must be `", expected, "`, {id} being 1..64 characters of [a-z0-9-]")}});
}

}  // namespace

std::string NewId() {
  static constexpr char kAlphabet[] = "abcdefghijklmnopqrstuvwxyz234567";
  std::array<unsigned char, 16> random{};
  // Without a source of randomness ids would collide silently; there is nothing sensible left to do.
  if (RAND_bytes(random.data(), static_cast<int>(random.size())) != 1) std::abort();
  std::string id;
  uint32_t bits = 0;
  int count = 0;
  for (const unsigned char byte : random) {
    bits = (bits << 8) | byte;
    count += 8;
    while (count >= 5) {
      count -= 5;
      id.push_back(kAlphabet[(bits >> count) & 31]);
    }
  }
  id.push_back(kAlphabet[(bits << (5 - count)) & 31]);
  return id;
}

std::string VideoName(absl::string_view id) { return absl::StrCat("videos/", id); }

std::string ClipNameOf(absl::string_view id, uint32_t index) {
  return absl::StrCat("videos/", id, "/clips/", index);
}

std::string TrainingRunName(absl::string_view id) { return absl::StrCat("trainingRuns/", id); }

absl::StatusOr<std::string> ParseVideoName(absl::string_view name) {
  if (!absl::ConsumePrefix(&name, "videos/") || !IsId(name)) return BadName("videos/{id}");
  return std::string(name);
}

absl::StatusOr<std::string> ParseTrainingRunName(absl::string_view name) {
  if (!absl::ConsumePrefix(&name, "trainingRuns/") || !IsId(name)) return BadName("trainingRuns/{id}");
  return std::string(name);
}

absl::StatusOr<std::string> ParseLoraName(absl::string_view name) {
  if (absl::ConsumePrefix(&name, "loras/") && IsLoraName(name)) return std::string(name);
  return InvalidFields({{"name", "must be `loras/{id}`, {id} being 1..128 characters of [A-Za-z0-9._-]"}});
}

absl::StatusOr<ClipName> ParseClipName(absl::string_view name) {
  const std::vector<std::string> parts = absl::StrSplit(name, '/');
  ClipName clip;
  if (parts.size() != 4 || parts[0] != "videos" || !IsId(parts[1]) || parts[2] != "clips" ||
      !absl::SimpleAtoi(parts[3], &clip.index) || parts[3] != absl::StrCat(clip.index)) {
    return BadName("videos/{id}/clips/{index}");
  }
  clip.video_id = parts[1];
  return clip;
}

}  // namespace svi::server
