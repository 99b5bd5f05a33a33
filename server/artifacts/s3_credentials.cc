#include "server/artifacts/s3_credentials.h"

#include <fcntl.h>
#include <spdlog/spdlog.h>
#include <stdlib.h>

#include <optional>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/str_split.h"
#include "server/artifacts/file_io.h"

namespace svi::server {
namespace {

constexpr size_t kMaxFile = 64 << 10;

std::string FromEnvironment(const char* name) {
  const char* value = getenv(name);
  return value == nullptr ? "" : value;
}

}  // namespace

absl::StatusOr<S3Credentials> ParseS3Credentials(absl::string_view text) {
  S3Credentials credentials;
  absl::string_view section = "default";
  for (absl::string_view line : absl::StrSplit(text, '\n')) {
    line = absl::StripAsciiWhitespace(line);
    if (line.empty() || line.front() == '#' || line.front() == ';') continue;
    if (line.front() == '[' && line.back() == ']') {
      section = absl::StripAsciiWhitespace(line.substr(1, line.size() - 2));
      continue;
    }
    if (section != "default") continue;
    const std::pair<absl::string_view, absl::string_view> parts =
        absl::StrSplit(line, absl::MaxSplits('=', 1));
    const absl::string_view name = absl::StripAsciiWhitespace(parts.first);
    const std::string value(absl::StripAsciiWhitespace(parts.second));
    if (name == "aws_access_key_id") credentials.access_key_id = value;
    if (name == "aws_secret_access_key") credentials.secret_access_key = value;
    if (name == "aws_session_token") credentials.session_token = value;
  }
  if (credentials.access_key_id.empty() || credentials.secret_access_key.empty()) {
    return absl::InvalidArgumentError(
        "--s3-credentials: the file must have aws_access_key_id and aws_secret_access_key, in [default]");
  }
  return credentials;
}

absl::StatusOr<S3Credentials> S3CredentialSource::ReadFile() const {
  const absl::StatusOr<Fd> fd = OpenFd(file_, O_RDONLY);
  if (!fd.ok()) return absl::FailedPreconditionError("--s3-credentials: the file cannot be read");
  std::string text(kMaxFile, '\0');
  const absl::StatusOr<size_t> size = ReadFully(*fd, text.data(), text.size(), 0);
  if (!size.ok()) return absl::FailedPreconditionError("--s3-credentials: the file cannot be read");
  return ParseS3Credentials(absl::string_view(text).substr(0, *size));
}

absl::StatusOr<S3Credentials> S3CredentialSource::Get() {
  absl::MutexLock lock(&mu_);
  if (file_.empty()) {
    if (!known_) {
      credentials_ = {FromEnvironment("AWS_ACCESS_KEY_ID"), FromEnvironment("AWS_SECRET_ACCESS_KEY"),
                      FromEnvironment("AWS_SESSION_TOKEN")};
      known_ = true;
    }
    if (!credentials_.access_key_id.empty() && !credentials_.secret_access_key.empty()) return credentials_;
    return absl::FailedPreconditionError(
        "no S3 credentials: set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or --s3-credentials=FILE");
  }
  const std::optional<FileVersion> seen = VersionOf(file_);
  const FileVersion version = seen.value_or(FileVersion());
  if (known_ && (!seen || version == version_)) return credentials_;
  absl::StatusOr<S3Credentials> read = ReadFile();
  if (read.ok()) {
    if (known_) spdlog::info("S3: new credentials are in use");
    credentials_ = *std::move(read);
    known_ = true;
    version_ = version;
    return credentials_;
  }
  if (!known_) return read.status();
  if (version != version_) {
    spdlog::error("S3: the credentials of before stay in use: {}", read.status().ToString());
    version_ = version;
  }
  return credentials_;
}

}  // namespace svi::server
