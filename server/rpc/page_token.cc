#include "server/rpc/page_token.h"

#include <openssl/sha.h>

#include <algorithm>
#include <vector>

#include "absl/strings/escaping.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "server/rpc/status.h"

namespace svi::server {
namespace {

constexpr size_t kChecksumBytes = 9;

// Keeps callers from taking the inside of a token for an interface; it guards no secret.
std::string Checksum(absl::string_view place, absl::string_view filter) {
  const std::string text = absl::StrCat("svi page token 1\n", place.size(), "\n", place, "\n", filter);
  unsigned char digest[SHA256_DIGEST_LENGTH];
  SHA256(reinterpret_cast<const unsigned char*>(text.data()), text.size(), digest);
  return std::string(reinterpret_cast<const char*>(digest), kChecksumBytes);
}

}  // namespace

std::string MakePageToken(const PagePlace& place, absl::string_view filter) {
  const std::string text = absl::StrCat(place.first, ":", place.second);
  return absl::WebSafeBase64Escape(absl::StrCat(Checksum(text, filter), text));
}

absl::StatusOr<PagePlace> ParsePageToken(absl::string_view token, absl::string_view filter) {
  const absl::Status wrong = InvalidFields(
      {{"page_token",
        "is not a next_page_token of this list with these filters; leave it empty to start over"}});
  std::string bytes;
  if (token.size() > 512 || !absl::WebSafeBase64Unescape(token, &bytes) || bytes.size() <= kChecksumBytes)
    return wrong;
  const absl::string_view text = absl::string_view(bytes).substr(kChecksumBytes);
  if (Checksum(text, filter) != absl::string_view(bytes).substr(0, kChecksumBytes)) return wrong;
  const std::vector<std::string> parts = absl::StrSplit(text, absl::MaxSplits(':', 1));
  PagePlace place;
  if (parts.size() != 2 || !absl::SimpleAtoi(parts[0], &place.first)) return wrong;
  place.second = parts[1];
  return place;
}

absl::StatusOr<PageRange> ParsePage(int page_size, const std::string& page_token, absl::string_view filter) {
  PageRange range;
  range.limit = page_size == 0 ? kDefaultPageSize : std::min(page_size, kMaxPageSize);
  if (page_token.empty()) return range;
  auto place = ParsePageToken(page_token, filter);
  if (!place.ok()) return place.status();
  range.after = *std::move(place);
  return range;
}

std::string StatesFilter(const std::set<int>& states) {
  std::string text;
  for (const int state : states) absl::StrAppend(&text, state, ",");
  return text;
}

}  // namespace svi::server
