#include "server/artifacts/s3_client.h"

#include <curl/curl.h>
#include <spdlog/spdlog.h>

#include <algorithm>
#include <mutex>
#include <pugixml.hpp>
#include <random>
#include <utility>

#include "absl/base/thread_annotations.h"
#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/clock.h"
#include "client/sha256.h"
#include "server/artifacts/s3_credentials.h"
#include "server/artifacts/s3_exchange.h"

namespace svi::server {
namespace {

constexpr uint64_t kMaxListing = 4 << 20;
constexpr size_t kMaxBucket = 63;

struct FreeCurl {
  void operator()(CURL* curl) const { curl_easy_cleanup(curl); }
};
using Curl = std::unique_ptr<CURL, FreeCurl>;

void InitCurl() {
  static std::once_flag once;
  std::call_once(once, [] { curl_global_init(CURL_GLOBAL_DEFAULT); });
}

// A value of a query's parameter, as SigV4 wants it.
std::string Escape(absl::string_view value) {
  std::string escaped;
  for (const char c : value) {
    if (absl::ascii_isalnum(c) || absl::StrContains("-_.~", absl::string_view(&c, 1))) {
      escaped.push_back(c);
    } else {
      absl::StrAppend(&escaped, "%",
                      absl::AsciiStrToUpper(absl::StrCat(absl::Hex(uint8_t(c), absl::kZeroPad2))));
    }
  }
  return escaped;
}

// Without a body.
S3Request MakeRequest(const char* name, const char* method, std::string target) {
  S3Request request;
  request.name = name;
  request.method = method;
  request.target = std::move(target);
  request.body_sha256 = Sha256::Of("");
  return request;
}

bool IsPassing(int status) { return status == 408 || status == 429 || status >= 500; }

// The <Code> of an error, e.g. "NoSuchKey"; only what such a code may have.
std::string CodeOf(const S3Response& response) {
  pugi::xml_document document;
  if (!document.load_buffer(response.body.data(), response.body.size())) return "";
  std::string code = document.child("Error").child("Code").text().as_string();
  std::erase_if(code, [](char c) { return !absl::ascii_isalnum(c); });
  return code.substr(0, 64);
}

// What an answer that is no good means.
absl::Status ErrorOf(const S3Request& request, const S3Response& response) {
  const std::string code = CodeOf(response);
  if (response.status == 404 && code != "NoSuchBucket") {
    return absl::NotFoundError("the artifact is not in the storage");
  }
  if (response.status == 416) return absl::OutOfRangeError("the artifact ends before");
  spdlog::error("S3: {} is answered with {} {}", request.name, response.status, code);
  if (response.status == 507 || absl::StrContains(code, "Quota") || absl::StrContains(code, "StorageFull")) {
    return absl::UnavailableError("the artifact storage is full");
  }
  if (code == "NoSuchBucket") return absl::UnavailableError("the artifact storage has no such bucket");
  if (response.status == 401 || response.status == 403) {
    return absl::UnavailableError("the artifact storage refuses access");
  }
  if (response.status >= 300 && response.status < 400) {
    return absl::UnavailableError("the artifact storage is elsewhere: region or endpoint are wrong");
  }
  return absl::UnavailableError(absl::StrCat("the artifact storage answers with ", response.status));
}

absl::Status CheckOptions(const S3Options& options) {
  const absl::string_view endpoint = options.endpoint;
  const bool http = absl::StartsWith(endpoint, "http://") || absl::StartsWith(endpoint, "https://");
  const absl::string_view host = endpoint.substr(std::min(endpoint.size(), endpoint.find("//") + 2));
  if (!http || host.empty() || host.find_first_of("/?#@ ") != absl::string_view::npos) {
    return absl::InvalidArgumentError("--s3-endpoint: must be http://HOST[:PORT] or https://HOST[:PORT]");
  }
  const auto plain = [](char c) {
    return absl::ascii_islower(c) || absl::ascii_isdigit(c) || c == '-' || c == '.';
  };
  if (options.bucket.empty() || options.bucket.size() > kMaxBucket ||
      !std::all_of(options.bucket.begin(), options.bucket.end(), plain)) {
    return absl::InvalidArgumentError("--artifacts: the bucket must have 1..63 characters of [a-z0-9.-]");
  }
  if (options.region.empty() || !std::all_of(options.region.begin(), options.region.end(), plain)) {
    return absl::InvalidArgumentError("--s3-region: must have characters of [a-z0-9-]");
  }
  return absl::OkStatus();
}

}  // namespace

// Handles with their open connections, and what the client needs to be thread-safe.
class S3Client::Pool {
 public:
  explicit Pool(const S3Options& options)
      : credentials(options.credentials_file),
        free_(options.max_connections),
        random_(std::random_device()()) {}

  // Null if none becomes free in time.
  Curl Take(absl::Duration timeout) ABSL_LOCKS_EXCLUDED(mu_) {
    absl::MutexLock lock(&mu_);
    const auto any_free = [](int* free) { return *free > 0; };
    if (!mu_.AwaitWithTimeout(absl::Condition(+any_free, &free_), timeout)) return nullptr;
    if (idle_.empty()) {
      Curl made(curl_easy_init());
      if (made != nullptr) --free_;
      return made;
    }
    --free_;
    Curl curl = std::move(idle_.back());
    idle_.pop_back();
    return curl;
  }
  void Return(Curl curl) ABSL_LOCKS_EXCLUDED(mu_) {
    absl::MutexLock lock(&mu_);
    ++free_;
    idle_.push_back(std::move(curl));
  }
  // 0..`most`, any of it as likely as any other.
  absl::Duration RandomUpTo(absl::Duration most) ABSL_LOCKS_EXCLUDED(mu_) {
    absl::MutexLock lock(&mu_);
    return most * std::uniform_real_distribution<double>(0, 1)(random_);
  }

  S3CredentialSource credentials;

 private:
  absl::Mutex mu_;
  int free_ ABSL_GUARDED_BY(mu_);
  std::vector<Curl> idle_ ABSL_GUARDED_BY(mu_);
  std::mt19937_64 random_ ABSL_GUARDED_BY(mu_);
};

absl::StatusOr<std::unique_ptr<S3Client>> S3Client::Make(S3Options options) {
  if (options.endpoint.empty())
    options.endpoint = absl::StrCat("https://s3.", options.region, ".amazonaws.com");
  while (absl::EndsWith(options.endpoint, "/")) options.endpoint.pop_back();
  if (absl::Status status = CheckOptions(options); !status.ok()) return status;
  InitCurl();
  std::unique_ptr<S3Client> client(new S3Client(std::move(options)));
  if (const auto credentials = client->pool_->credentials.Get(); !credentials.ok())
    return credentials.status();
  return client;
}

S3Client::S3Client(S3Options options)
    : options_(std::move(options)), pool_(std::make_unique<Pool>(options_)) {}

S3Client::~S3Client() = default;

std::string S3Client::PathOf(absl::string_view key) const {
  return absl::StrCat("/", options_.bucket, "/", key);
}

absl::StatusOr<S3Response> S3Client::Send(const S3Request& request) {
  Curl curl = pool_->Take(options_.wait_timeout);
  if (curl == nullptr)
    return absl::UnavailableError("too many requests to the artifact storage are under way");
  const absl::Time give_up = absl::Now() + options_.retry_for;
  absl::StatusOr<S3Response> result = absl::UnavailableError("the artifact storage does not answer");
  absl::Duration most_pause = options_.first_pause;
  while (true) {
    const absl::StatusOr<S3Credentials> credentials = pool_->credentials.Get();
    if (!credentials.ok()) {
      result = absl::UnavailableError("the artifact storage's credentials cannot be read");
      break;
    }
    const absl::Time start = absl::Now();
    S3Response response;
    S3Failure failure;
    const bool answered = ExchangeS3(curl.get(), options_, *credentials, request, &response, &failure);
    if (options_.observe) {
      const std::string outcome = answered          ? absl::StrCat(response.status)
                                  : failure.timeout ? "timeout"
                                                    : "connection";
      options_.observe(request.name, outcome, absl::Now() - start);
    }
    if (answered && !IsPassing(response.status)) {
      result = std::move(response);
      break;
    }
    const std::string why = answered ? absl::StrCat(response.status, " ", CodeOf(response)) : failure.message;
    const absl::Duration pause = pool_->RandomUpTo(most_pause);
    most_pause = std::min(2 * most_pause, options_.longest_pause);
    if (absl::Now() + pause >= give_up) {
      spdlog::error("S3: {} failed for good: {}", request.name, why);
      // The last answer, e.g. "507 full", says more than "does not answer".
      if (answered) result = std::move(response);
      break;
    }
    spdlog::warn("S3: {} is tried again: {}", request.name, why);
    absl::SleepFor(pause);
  }
  pool_->Return(std::move(curl));
  return result;
}

absl::Status S3Client::Put(const std::string& key, const Fd& file, uint64_t size, const std::string& sha256) {
  S3Request request = MakeRequest("put", "PUT", PathOf(key));
  request.body = &file;
  request.body_size = size;
  request.body_sha256 = sha256;
  request.max_answer = kMaxListing;
  const absl::StatusOr<S3Response> response = Send(request);
  if (!response.ok()) return response.status();
  if (response->ok()) return absl::OkStatus();
  const absl::Status error = ErrorOf(request, *response);
  return absl::IsUnavailable(error) ? error : absl::UnavailableError("the artifact storage does not take it");
}

absl::StatusOr<std::string> S3Client::Get(const std::string& key, uint64_t offset, uint64_t length,
                                          uint64_t* total) {
  S3Request request = MakeRequest("get", "GET", PathOf(key));
  request.range = absl::StrCat(offset, "-", offset + length - 1);
  request.max_answer = length;
  absl::StatusOr<S3Response> response = Send(request);
  if (!response.ok()) return response.status();
  if (!response->ok()) return ErrorOf(request, *response);
  // "bytes 0-99/1234"; some servers send it with 200 instead of 206.
  const std::pair<absl::string_view, absl::string_view> range =
      absl::StrSplit(response->content_range, absl::MaxSplits('/', 1));
  if (!absl::StartsWith(range.first, absl::StrCat("bytes ", offset, "-")) ||
      !absl::SimpleAtoi(range.second, total)) {
    spdlog::error("S3: the server does not answer with the range that was asked for");
    return absl::UnavailableError("the artifact storage cannot read in pieces");
  }
  return std::move(response->body);
}

absl::StatusOr<uint64_t> S3Client::Size(const std::string& key) {
  S3Request request = MakeRequest("head", "HEAD", PathOf(key));
  const absl::StatusOr<S3Response> response = Send(request);
  if (!response.ok()) return response.status();
  if (!response->ok()) return ErrorOf(request, *response);
  return response->content_length;
}

absl::Status S3Client::Delete(const std::string& key) {
  S3Request request = MakeRequest("delete", "DELETE", PathOf(key));
  request.max_answer = kMaxListing;
  const absl::StatusOr<S3Response> response = Send(request);
  if (!response.ok()) return response.status();
  if (response->ok()) return absl::OkStatus();
  const absl::Status error = ErrorOf(request, *response);
  return absl::IsNotFound(error) ? absl::OkStatus() : error;
}

absl::StatusOr<S3Page> S3Client::List(const std::string& prefix, const std::string& from, int limit) {
  // Sorted, as it is signed.
  const std::string query = absl::StrCat(
      from.empty() ? "" : absl::StrCat("continuation-token=", Escape(from), "&"),
      "list-type=2&max-keys=", limit, prefix.empty() ? "" : absl::StrCat("&prefix=", Escape(prefix)));
  S3Request request = MakeRequest("list", "GET", absl::StrCat("/", options_.bucket, "?", query));
  request.max_answer = kMaxListing;
  const absl::StatusOr<S3Response> response = Send(request);
  if (!response.ok()) return response.status();
  if (!response->ok()) return ErrorOf(request, *response);
  pugi::xml_document document;
  const pugi::xml_parse_result parsed = document.load_buffer(response->body.data(), response->body.size());
  const pugi::xml_node listing = document.child("ListBucketResult");
  if (!parsed || !listing) return absl::UnavailableError("the artifact storage's list cannot be read");
  S3Page page;
  for (const pugi::xml_node& entry : listing.children("Contents")) {
    S3Object object;
    object.key = entry.child("Key").text().as_string();
    object.size = entry.child("Size").text().as_ullong();
    if (!absl::ParseTime(absl::RFC3339_full, entry.child("LastModified").text().as_string(), &object.modified,
                         nullptr)) {
      return absl::UnavailableError("the artifact storage's list cannot be read");
    }
    page.objects.push_back(std::move(object));
  }
  if (listing.child("IsTruncated").text().as_bool()) {
    page.next = listing.child("NextContinuationToken").text().as_string();
  }
  return page;
}

}  // namespace svi::server
