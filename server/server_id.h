// What a server with a shared database is known by, and how it proves itself to it.
#ifndef SVI_SERVER_SERVER_ID_H_
#define SVI_SERVER_SERVER_ID_H_

#include <string>

#include "absl/status/statusor.h"

namespace svi::server {

// The id in `dir`/server.id, which is drawn at random when it is not there: a server that starts again with
// its folder is the same one, and finds its leases at once. UNAVAILABLE: the folder cannot be read or
// written. DATA_LOSS: the file holds no id.
[[nodiscard]] absl::StatusOr<std::string> KeepServerId(const std::string& dir);

// What `path` holds, without a line break at its end. Messages name neither. INVALID_ARGUMENT: it cannot be
// read, is empty, or is larger than 4 KiB.
[[nodiscard]] absl::StatusOr<std::string> ReadPassword(const std::string& path);

}  // namespace svi::server

#endif  // SVI_SERVER_SERVER_ID_H_
