// Opaque page tokens: a place in a list, bound by a checksum to the filter it was made for.
#ifndef SVI_SERVER_RPC_PAGE_TOKEN_H_
#define SVI_SERVER_RPC_PAGE_TOKEN_H_

#include <cstdint>
#include <optional>
#include <set>
#include <string>
#include <utility>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace svi::server {

inline constexpr int kDefaultPageSize = 50;
inline constexpr int kMaxPageSize = 1000;

// (create time in µs, id) of the last resource on the page before.
using PagePlace = std::pair<int64_t, std::string>;

// `filter`: any text that is equal for requests which may share a token.
std::string MakePageToken(const PagePlace& place, absl::string_view filter);
// INVALID_ARGUMENT with a violation of `page_token`: not ours, damaged, or of another filter.
absl::StatusOr<PagePlace> ParsePageToken(absl::string_view token, absl::string_view filter);

// Which part of a list is asked for.
struct PageRange {
  int limit = 0;
  std::optional<PagePlace> after;  // nullopt: from the beginning
};
// `page_size`, which is not negative: 0 is kDefaultPageSize, more than kMaxPageSize is cut. Errors as
// ParsePageToken.
absl::StatusOr<PageRange> ParsePage(int page_size, const std::string& page_token, absl::string_view filter);
// A filter by states, whatever their order.
std::string StatesFilter(const std::set<int>& states);

}  // namespace svi::server

#endif  // SVI_SERVER_RPC_PAGE_TOKEN_H_
