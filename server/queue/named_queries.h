// Reads a .sql file of named queries.
#ifndef SVI_SERVER_QUEUE_NAMED_QUERIES_H_
#define SVI_SERVER_QUEUE_NAMED_QUERIES_H_

#include <string>

#include "absl/container/flat_hash_map.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace svi::server {

using NamedQueries = absl::flat_hash_map<std::string, std::string>;

// Splits `text` at its lines `-- name: xyz`; what stands before the first one must be comments. Comments and
// empty lines are dropped. INTERNAL: a name twice, a name without a query, a query without a name.
[[nodiscard]] absl::StatusOr<NamedQueries> ParseNamedQueries(absl::string_view text);

}  // namespace svi::server

#endif  // SVI_SERVER_QUEUE_NAMED_QUERIES_H_
