// Private to S3Client: one HTTP exchange, signed, over a libcurl handle.
#ifndef SVI_SERVER_ARTIFACTS_S3_EXCHANGE_H_
#define SVI_SERVER_ARTIFACTS_S3_EXCHANGE_H_

#include <curl/curl.h>

#include <cstdint>
#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "server/artifacts/file_io.h"
#include "server/artifacts/s3_client.h"
#include "server/artifacts/s3_credentials.h"

namespace svi::server {

struct S3Request {
  const char* name = "";    // for logs and metrics
  const char* method = "";  // GET, HEAD, PUT or DELETE
  std::string target;       // "/bucket/key?query", encoded as it is to be signed: parameters sorted
  std::string range;        // "0-99"; empty: all of it
  const Fd* body = nullptr;
  uint64_t body_size = 0;
  std::string body_sha256;  // 32 bytes; of no bytes if there is no body
  uint64_t max_answer = 0;  // a longer answer is an error, if it is a good one
};

struct S3Response {
  int status = 0;
  std::string body;
  std::string content_range;
  uint64_t content_length = 0;

  [[nodiscard]] bool ok() const { return status >= 200 && status < 300; }
};

// Did not get an answer.
struct S3Failure {
  bool timeout = false;
  std::string message;  // libcurl's: without credentials
};

// Sends `request` once, within the options' time-outs. True: `*response` is the answer; false: `*failure`.
[[nodiscard]] bool ExchangeS3(CURL* curl, const S3Options& options, const S3Credentials& credentials,
                              const S3Request& request, S3Response* response, S3Failure* failure);

}  // namespace svi::server

#endif  // SVI_SERVER_ARTIFACTS_S3_EXCHANGE_H_
