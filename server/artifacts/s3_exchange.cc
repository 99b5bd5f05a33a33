#include "server/artifacts/s3_exchange.h"

#include <algorithm>
#include <cstdio>
#include <memory>

#include "absl/strings/ascii.h"
#include "absl/strings/escaping.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"

namespace svi::server {
namespace {

constexpr uint64_t kMaxErrorAnswer = 64 << 10;
// Beside the stall time-out, for requests whose answers are small.
constexpr long kSmallAnswerSeconds = 120;

// What the callbacks of one exchange work on.
struct Transfer {
  CURL* curl = nullptr;
  const S3Request* request = nullptr;
  S3Response* response = nullptr;
  uint64_t sent = 0;
};

size_t OnRead(char* buffer, size_t size, size_t count, void* data) {
  auto& transfer = *static_cast<Transfer*>(data);
  const uint64_t left = transfer.request->body_size - transfer.sent;
  const absl::StatusOr<size_t> got =
      ReadFully(*transfer.request->body, buffer, std::min<uint64_t>(left, size * count), transfer.sent);
  if (!got.ok()) return CURL_READFUNC_ABORT;
  transfer.sent += *got;
  return *got;
}

int OnSeek(void* data, curl_off_t offset, int origin) {
  if (origin != SEEK_SET) return CURL_SEEKFUNC_CANTSEEK;
  static_cast<Transfer*>(data)->sent = static_cast<uint64_t>(offset);
  return CURL_SEEKFUNC_OK;
}

size_t OnWrite(char* bytes, size_t size, size_t count, void* data) {
  auto& transfer = *static_cast<Transfer*>(data);
  long status = 0;
  curl_easy_getinfo(transfer.curl, CURLINFO_RESPONSE_CODE, &status);
  const uint64_t limit = status < 300 ? transfer.request->max_answer : kMaxErrorAnswer;
  if (transfer.response->body.size() + size * count > limit) return 0;
  transfer.response->body.append(bytes, size * count);
  return size * count;
}

size_t OnHeader(char* bytes, size_t size, size_t count, void* data) {
  auto& transfer = *static_cast<Transfer*>(data);
  const absl::string_view line(bytes, size * count);
  constexpr absl::string_view kRange = "content-range:";
  constexpr absl::string_view kLength = "content-length:";
  // The last answer counts: "100 Continue" has headers of its own.
  if (absl::StartsWith(line, "HTTP/")) {
    transfer.response->content_range.clear();
    transfer.response->content_length = 0;
  } else if (absl::StartsWithIgnoreCase(line, kRange)) {
    transfer.response->content_range = std::string(absl::StripAsciiWhitespace(line.substr(kRange.size())));
  } else if (absl::StartsWithIgnoreCase(line, kLength)) {
    (void)absl::SimpleAtoi(line.substr(kLength.size()), &transfer.response->content_length);
  }
  return size * count;
}

struct FreeList {
  void operator()(curl_slist* list) const { curl_slist_free_all(list); }
};
using HeaderList = std::unique_ptr<curl_slist, FreeList>;

void AddHeader(HeaderList& headers, const std::string& line) {
  headers.reset(curl_slist_append(headers.release(), line.c_str()));
}

void SetMethod(CURL* curl, const S3Request& request, Transfer* transfer) {
  if (request.body != nullptr) {
    curl_easy_setopt(curl, CURLOPT_UPLOAD, 1L);
    curl_easy_setopt(curl, CURLOPT_INFILESIZE_LARGE, static_cast<curl_off_t>(request.body_size));
    curl_easy_setopt(curl, CURLOPT_READFUNCTION, OnRead);
    curl_easy_setopt(curl, CURLOPT_READDATA, transfer);
    curl_easy_setopt(curl, CURLOPT_SEEKFUNCTION, OnSeek);
    curl_easy_setopt(curl, CURLOPT_SEEKDATA, transfer);
    return;
  }
  if (absl::string_view(request.method) == "HEAD") curl_easy_setopt(curl, CURLOPT_NOBODY, 1L);
  if (absl::string_view(request.method) == "DELETE") {
    curl_easy_setopt(curl, CURLOPT_CUSTOMREQUEST, request.method);
  }
  curl_easy_setopt(curl, CURLOPT_TIMEOUT, kSmallAnswerSeconds);
}

void SetLimits(CURL* curl, const S3Options& options) {
  curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
  curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "http,https");
  curl_easy_setopt(curl, CURLOPT_FOLLOWLOCATION, 0L);
  curl_easy_setopt(curl, CURLOPT_SSL_VERIFYPEER, 1L);
  curl_easy_setopt(curl, CURLOPT_SSL_VERIFYHOST, 2L);
  curl_easy_setopt(curl, CURLOPT_SSLVERSION, static_cast<long>(CURL_SSLVERSION_TLSv1_2));
  if (!options.ca_file.empty()) curl_easy_setopt(curl, CURLOPT_CAINFO, options.ca_file.c_str());
  curl_easy_setopt(curl, CURLOPT_CONNECTTIMEOUT_MS,
                   static_cast<long>(absl::ToInt64Milliseconds(options.connect_timeout)));
  curl_easy_setopt(curl, CURLOPT_LOW_SPEED_LIMIT, 1L);
  curl_easy_setopt(
      curl, CURLOPT_LOW_SPEED_TIME,
      static_cast<long>(absl::ToInt64Seconds(absl::Ceil(options.stall_timeout, absl::Seconds(1)))));
}

}  // namespace

bool ExchangeS3(CURL* curl, const S3Options& options, const S3Credentials& credentials,
                const S3Request& request, S3Response* response, S3Failure* failure) {
  curl_easy_reset(curl);  // open connections stay
  *response = S3Response();
  Transfer transfer{curl, &request, response};
  HeaderList headers;
  // libcurl 7.88 signs what is set here, and takes the body's hash from here; it does not compute it for
  // files.
  AddHeader(headers, absl::StrCat("x-amz-content-sha256: ", absl::BytesToHexString(request.body_sha256)));
  if (!credentials.session_token.empty()) {
    AddHeader(headers, absl::StrCat("x-amz-security-token: ", credentials.session_token));
  }
  SetLimits(curl, options);
  SetMethod(curl, request, &transfer);
  const std::string url = options.endpoint + request.target;
  const std::string signing = absl::StrCat("aws:amz:", options.region, ":s3");
  char error[CURL_ERROR_SIZE] = "";
  curl_easy_setopt(curl, CURLOPT_URL, url.c_str());
  curl_easy_setopt(curl, CURLOPT_AWS_SIGV4, signing.c_str());
  curl_easy_setopt(curl, CURLOPT_USERNAME, credentials.access_key_id.c_str());
  curl_easy_setopt(curl, CURLOPT_PASSWORD, credentials.secret_access_key.c_str());
  curl_easy_setopt(curl, CURLOPT_HTTPHEADER, headers.get());
  curl_easy_setopt(curl, CURLOPT_USERAGENT, "svi-server");
  if (!request.range.empty()) curl_easy_setopt(curl, CURLOPT_RANGE, request.range.c_str());
  curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, OnWrite);
  curl_easy_setopt(curl, CURLOPT_WRITEDATA, &transfer);
  curl_easy_setopt(curl, CURLOPT_HEADERFUNCTION, OnHeader);
  curl_easy_setopt(curl, CURLOPT_HEADERDATA, &transfer);
  curl_easy_setopt(curl, CURLOPT_ERRORBUFFER, error);
  const CURLcode code = curl_easy_perform(curl);
  curl_easy_setopt(curl, CURLOPT_ERRORBUFFER, nullptr);
  long status = 0;
  curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &status);
  response->status = static_cast<int>(status);
  if (code == CURLE_OK) return true;
  failure->timeout = code == CURLE_OPERATION_TIMEDOUT;
  failure->message = error[0] != '\0' ? error : curl_easy_strerror(code);
  return false;
}

}  // namespace svi::server
