#include "server/retention/garbage.h"

#include <map>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "server/queue/states.h"

namespace svi::server {
namespace {

using Kind = ArtifactName::Kind;

constexpr int kLorasAtOnce = 500;

// "e12" → true.
bool IsEpoch(absl::string_view text) {
  uint64_t epoch = 0;
  return absl::ConsumePrefix(&text, "e") && absl::SimpleAtoi(text, &epoch) && epoch > 0;
}

}  // namespace

std::optional<ArtifactName> ParseArtifactKey(absl::string_view key) {
  const std::vector<absl::string_view> parts = absl::StrSplit(key, '/');
  if (parts.size() != 2 || parts[0].empty()) return std::nullopt;
  ArtifactName name;
  name.owner = std::string(parts[0]);
  if (parts[1] == "image") return name;
  const std::vector<absl::string_view> words = absl::StrSplit(parts[1], '.');
  if (words.size() != 3 || !IsEpoch(words[1])) return std::nullopt;
  if (words[0] == "lora" && words[2] == "safetensors") {
    name.kind = Kind::kLora;
    return name;
  }
  absl::string_view index = words[0];
  if (!absl::ConsumePrefix(&index, "clip-") || !absl::SimpleAtoi(index, &name.clip_index))
    return std::nullopt;
  if (words[2] != "mp4" && words[2] != "carry") return std::nullopt;
  name.kind = words[2] == "mp4" ? Kind::kClip : Kind::kCarry;
  return name;
}

absl::StatusOr<bool> GarbageFinder::IsPublished(const std::string& key) {
  if (!loras_.has_value()) {
    std::set<std::string> keys;
    std::optional<std::string> after = "";
    while (after.has_value()) {
      const absl::StatusOr<LoraPage> page = training_->ListLoras(kLorasAtOnce, *after);
      if (!page.ok()) return page.status();
      for (const v1::Lora& lora : page->loras) {
        const auto stored = training_->GetLora(std::string(absl::StripPrefix(lora.name(), "loras/")));
        if (absl::IsNotFound(stored.status())) continue;  // deleted meanwhile
        if (!stored.ok()) return stored.status();
        keys.insert(stored->file.key);
      }
      after = page->next;
    }
    loras_ = std::move(keys);
  }
  return loras_->contains(key);
}

absl::StatusOr<std::vector<ArtifactInfo>> GarbageFinder::Find(const std::string& owner,
                                                              const std::vector<ArtifactInfo>& artifacts) {
  // How many there are of each clip: only one of them counts.
  std::map<std::pair<Kind, uint32_t>, int> uploads;
  std::vector<std::pair<const ArtifactInfo*, ArtifactName>> known;
  bool of_video = false;
  for (const ArtifactInfo& artifact : artifacts) {
    const std::optional<ArtifactName> name = ParseArtifactKey(artifact.key);
    if (!name.has_value() || name->owner != owner) continue;
    ++uploads[{name->kind, name->clip_index}];
    of_video = of_video || name->kind != Kind::kLora;
    known.emplace_back(&artifact, *name);
  }
  absl::StatusOr<v1::Video> video = absl::NotFoundError("not asked");
  if (of_video) video = jobs_->GetVideo(owner);
  if (!video.ok() && !absl::IsNotFound(video.status())) return video.status();

  std::vector<ArtifactInfo> garbage;
  for (const auto& [artifact, name] : known) {
    bool needed = false;
    if (name.kind == Kind::kLora) {
      const absl::StatusOr<bool> published = IsPublished(artifact->key);
      if (!published.ok()) return published.status();
      needed = *published;
    } else if (video.ok() && name.kind == Kind::kImage) {
      needed = true;
    } else if (video.ok() && name.clip_index < video->clips_done()) {
      const bool last = name.clip_index + 1 == video->clips_done();
      needed = name.kind == Kind::kClip || (last && !IsFinal(video->state()));
      if (needed && uploads[{name.kind, name.clip_index}] > 1) {
        const auto clip = jobs_->GetClip(owner, name.clip_index);
        if (!clip.ok() && !absl::IsNotFound(clip.status())) return clip.status();
        needed = clip.ok() && artifact->key == (name.kind == Kind::kClip ? clip->mp4 : clip->carry).key;
      }
    }
    if (!needed) garbage.push_back(*artifact);
  }
  return garbage;
}

}  // namespace svi::server
