// What is UTF-8 (RFC 3629), for server, worker and client.
#ifndef SVI_CLIENT_UTF8_H_
#define SVI_CLIENT_UTF8_H_

#include <cstddef>

#include "absl/strings/string_view.h"

namespace svi {

// Bytes of the character at the front of `text`, which is not empty; 0 if there is none: an overlong form, a
// surrogate, what is above U+10FFFF or cut off.
[[nodiscard]] size_t Utf8Length(absl::string_view text);

[[nodiscard]] bool IsUtf8(absl::string_view text);

}  // namespace svi

#endif  // SVI_CLIENT_UTF8_H_
