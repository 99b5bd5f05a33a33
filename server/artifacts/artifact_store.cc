#include "server/artifacts/artifact_store.h"

#include <algorithm>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "client/sha256.h"

namespace svi::server {
namespace {

constexpr size_t kMaxKey = 512;
constexpr size_t kMaxKeyPart = 255;  // of most file systems
constexpr uint64_t kVerifyChunk = 1 << 20;

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

absl::StatusOr<ArtifactRef> ArtifactStore::Put(absl::string_view key, absl::string_view bytes) {
  absl::StatusOr<std::unique_ptr<ArtifactWriter>> writer = OpenWriter(key);
  if (!writer.ok()) return writer.status();
  if (absl::Status status = (*writer)->Append(0, bytes); !status.ok()) return status;
  return (*writer)->Commit();
}

absl::Status ArtifactStore::Verify(const ArtifactRef& ref) {
  Sha256 sha;
  uint64_t offset = 0;
  do {
    absl::StatusOr<std::string> bytes = ReadAt(ref, offset, kVerifyChunk);
    if (!bytes.ok()) return bytes.status();
    sha.Update(*bytes);
    offset += bytes->size();
  } while (offset < ref.size);
  if (sha.Finish() == ref.sha256) return absl::OkStatus();
  return absl::DataLossError("an artifact has not the hash that it was stored with");
}

}  // namespace svi::server
