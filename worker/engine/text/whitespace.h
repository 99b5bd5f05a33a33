// The whitespace steps of cleaning.
#ifndef SVI_ENGINE_TEXT_WHITESPACE_H_
#define SVI_ENGINE_TEXT_WHITESPACE_H_

#include <string>
#include <string_view>

namespace svi::engine {

// What Python's str.isspace takes as space: White_Space and the separators U+001C..U+001F.
bool IsPythonSpace(char32_t c);

// Without the spaces (as Python counts them) at both ends.
std::u32string_view StripSpace(std::u32string_view text);

// Every run of White_Space becomes one ' '.
std::u32string CollapseSpace(std::u32string_view text);

}  // namespace svi::engine

#endif  // SVI_ENGINE_TEXT_WHITESPACE_H_
