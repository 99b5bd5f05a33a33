// Opaque page tokens: a place in a list, bound by a checksum to the filter it was made for.
#ifndef SVI_SERVER_RPC_PAGE_TOKEN_H_
#define SVI_SERVER_RPC_PAGE_TOKEN_H_

#include <cstdint>
#include <string>
#include <utility>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace svi::server {

// (create time in µs, id) of the last resource on the page before.
using PagePlace = std::pair<int64_t, std::string>;

// `filter`: any text that is equal for requests which may share a token.
std::string MakePageToken(const PagePlace& place, absl::string_view filter);
// INVALID_ARGUMENT with a violation of `page_token`: not ours, damaged, or of another filter.
absl::StatusOr<PagePlace> ParsePageToken(absl::string_view token, absl::string_view filter);

}  // namespace svi::server

#endif  // SVI_SERVER_RPC_PAGE_TOKEN_H_
