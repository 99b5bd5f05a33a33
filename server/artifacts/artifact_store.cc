#include "server/artifacts/artifact_store.h"

#include <algorithm>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"

namespace svi::server {
namespace {

constexpr size_t kMaxKey = 512;
constexpr size_t kMaxKeyPart = 255;  // of most file systems

bool IsKeyCharacter(char c) {
  return absl::ascii_islower(c) || absl::ascii_isdigit(c) || c == '.' || c == '_' || c == '-';
}

}  // namespace

absl::Status CheckArtifactKey(absl::string_view key) {
  if (key.empty() || key.size() > kMaxKey) {
    return absl::InvalidArgumentError(absl::StrCat("artifact key: must have 1..", kMaxKey, " characters"));
  }
  for (absl::string_view part : absl::StrSplit(key, '/')) {
    if (part.empty() || part.size() > kMaxKeyPart) {
      return absl::InvalidArgumentError(
          absl::StrCat("artifact key: parts between slashes must have 1..", kMaxKeyPart, " characters"));
    }
    if (part.front() == '.') return absl::InvalidArgumentError("artifact key: no part may start with a dot");
    if (!std::all_of(part.begin(), part.end(), IsKeyCharacter)) {
      return absl::InvalidArgumentError("artifact key: only [a-z0-9._/-] are allowed");
    }
  }
  return absl::OkStatus();
}

absl::Status WrongArtifactSize() {
  return absl::DataLossError("an artifact has not the size that it was stored with");
}

absl::Status BeyondArtifact(uint64_t offset, const ArtifactRef& ref) {
  return absl::OutOfRangeError(absl::StrCat("offset is ", offset, ", the artifact has ", ref.size, " bytes"));
}

absl::StatusOr<ArtifactRef> ArtifactStore::Put(absl::string_view key, absl::string_view bytes) {
  absl::StatusOr<std::unique_ptr<ArtifactWriter>> writer = OpenWriter(key);
  if (!writer.ok()) return writer.status();
  if (absl::Status status = (*writer)->Append(0, bytes); !status.ok()) return status;
  return (*writer)->Commit();
}

absl::Status ArtifactStore::Noting(const ArtifactRef& ref, absl::Status why) const {
  if (absl::IsDataLoss(why) && damage_listener_) damage_listener_(ref, why);
  return why;
}

}  // namespace svi::server
