// The keys that requests to an S3-compatible store are signed with.
#ifndef SVI_SERVER_ARTIFACTS_S3_CREDENTIALS_H_
#define SVI_SERVER_ARTIFACTS_S3_CREDENTIALS_H_

#include <string>

#include "absl/base/thread_annotations.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/synchronization/mutex.h"
#include "server/artifacts/file_version.h"

namespace svi::server {

// Never to be logged, nor any part of it.
struct S3Credentials {
  std::string access_key_id;
  std::string secret_access_key;
  std::string session_token;  // empty: none
};

// Reads the section [default] (or, if it has no sections, all) of a file in the form of AWS's shared
// credentials file: lines of `aws_access_key_id = …`, `aws_secret_access_key = …` and, if wanted,
// `aws_session_token = …`. INVALID_ARGUMENT if one of the first two is missing.
[[nodiscard]] absl::StatusOr<S3Credentials> ParseS3Credentials(absl::string_view text);

// From a file, which is read again whenever it has changed, or from the environment. Thread-safe.
class S3CredentialSource {
 public:
  // `file` empty: AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and AWS_SESSION_TOKEN.
  explicit S3CredentialSource(std::string file) : file_(std::move(file)) {}

  // FAILED_PRECONDITION, INVALID_ARGUMENT: there are none; the message says where they should be. While the
  // file cannot be read or is damaged, those of before go on to be given.
  [[nodiscard]] absl::StatusOr<S3Credentials> Get() ABSL_LOCKS_EXCLUDED(mu_);

 private:
  [[nodiscard]] absl::StatusOr<S3Credentials> ReadFile() const;

  const std::string file_;
  absl::Mutex mu_;
  bool known_ ABSL_GUARDED_BY(mu_) = false;
  FileVersion version_ ABSL_GUARDED_BY(mu_);
  S3Credentials credentials_ ABSL_GUARDED_BY(mu_);
};

}  // namespace svi::server

#endif  // SVI_SERVER_ARTIFACTS_S3_CREDENTIALS_H_
