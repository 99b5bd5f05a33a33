// How svi-server and svi-worker log: to stderr, as text or one JSON object a line.
#ifndef SVI_CLIENT_LOG_H_
#define SVI_CLIENT_LOG_H_

#include <string>

#include "absl/status/status.h"

namespace svi {

// Sets spdlog's default logger. level: trace, debug, info, warn or error; format: text or json.
// INVALID_ARGUMENT names the flag that is wrong.
[[nodiscard]] absl::Status SetUpLog(const std::string& name, const std::string& level,
                                    const std::string& format);

}  // namespace svi

#endif  // SVI_CLIENT_LOG_H_
