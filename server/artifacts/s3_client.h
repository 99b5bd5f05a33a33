// The few requests of the S3 API that artifacts need, over libcurl: signed, bounded in time, tried again.
#ifndef SVI_SERVER_ARTIFACTS_S3_CLIENT_H_
#define SVI_SERVER_ARTIFACTS_S3_CLIENT_H_

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "server/artifacts/file_io.h"

namespace svi::server {

struct S3Options {
  // "https://HOST[:PORT]" or "http://HOST[:PORT]"; empty: AWS's of the region. Buckets are addressed by path.
  std::string endpoint;
  std::string region = "us-east-1";
  std::string bucket;
  // See S3CredentialSource.
  std::string credentials_file;
  // PEM file of the authorities that may vouch for the endpoint; empty: the system's.
  std::string ca_file;
  // Requests at once; more wait for their turn, for wait_timeout at most.
  int max_connections = 32;
  absl::Duration wait_timeout = absl::Seconds(30);
  absl::Duration connect_timeout = absl::Seconds(5);
  // A request of which no byte moves for this long, rounded up to seconds, is broken off.
  absl::Duration stall_timeout = absl::Seconds(15);
  // A request that fails in passing (no connection, broken off, 408, 429, 5xx) is tried again, after a random
  // pause of at most first_pause, twice that, and so on up to longest_pause, as long as retry_for is not
  // over.
  absl::Duration first_pause = absl::Milliseconds(100);
  absl::Duration longest_pause = absl::Seconds(5);
  absl::Duration retry_for = absl::Seconds(30);
  // Told of each try: "put", "get", "head", "delete" or "list"; the HTTP status, "timeout" or "connection".
  std::function<void(const char* request, const std::string& outcome, absl::Duration took)> observe;
};

struct S3Object {
  std::string key;
  uint64_t size = 0;
  absl::Time modified;
};

struct S3Page {
  std::vector<S3Object> objects;  // by key
  std::string next;               // for the next call; empty: that was all
};

struct S3Request;
struct S3Response;

// Thread-safe. Keys are of ArtifactStore's alphabet. Errors hold neither addresses, nor keys, nor
// credentials; what the store said is in the log. UNAVAILABLE from all: it cannot be reached, fails, refuses
// the credentials, or has no such bucket.
class S3Client {
 public:
  // INVALID_ARGUMENT names the flag that is wrong; FAILED_PRECONDITION: no credentials. Nothing is sent yet.
  static absl::StatusOr<std::unique_ptr<S3Client>> Make(S3Options options);
  ~S3Client();

  // The first `size` bytes of `file` become the object, in one step. `sha256`: their hash, 32 bytes, which
  // the store is asked to check.
  [[nodiscard]] absl::Status Put(const std::string& key, const Fd& file, uint64_t size,
                                 const std::string& sha256);
  // `length` > 0 bytes from `offset`; `*total`: the object's size. NOT_FOUND. OUT_OF_RANGE: it ends before.
  [[nodiscard]] absl::StatusOr<std::string> Get(const std::string& key, uint64_t offset, uint64_t length,
                                                uint64_t* total);
  // The object's size. NOT_FOUND.
  [[nodiscard]] absl::StatusOr<uint64_t> Size(const std::string& key);
  // OK, too, if there is none.
  [[nodiscard]] absl::Status Delete(const std::string& key);
  // At most `limit` objects (1..1000) whose keys start with `prefix`; `from`: S3Page::next, or empty.
  [[nodiscard]] absl::StatusOr<S3Page> List(const std::string& prefix, const std::string& from, int limit);

 private:
  class Pool;

  explicit S3Client(S3Options options);
  // Any HTTP status is an answer, unless it is one to be tried again.
  [[nodiscard]] absl::StatusOr<S3Response> Send(const S3Request& request);
  std::string PathOf(absl::string_view key) const;

  const S3Options options_;
  const std::unique_ptr<Pool> pool_;
};

}  // namespace svi::server

#endif  // SVI_SERVER_ARTIFACTS_S3_CLIENT_H_
