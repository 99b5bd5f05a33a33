// Text out of somebody's file, fit for a message.
#ifndef SVI_ENGINE_WEIGHTS_PRINTABLE_H_
#define SVI_ENGINE_WEIGHTS_PRINTABLE_H_

#include <string>
#include <string_view>

namespace svi::engine {

inline bool IsPrintable(char c) { return c >= ' ' && c <= '~'; }

// In quotes, at most 120 characters of it, with ? for whatever is not printable ASCII.
inline std::string Printable(std::string_view text) {
  constexpr size_t kLimit = 120;
  std::string result = "\"";
  for (const char c : text.substr(0, kLimit)) result += IsPrintable(c) ? c : '?';
  return result + (text.size() > kLimit ? "...\"" : "\"");
}

}  // namespace svi::engine

#endif  // SVI_ENGINE_WEIGHTS_PRINTABLE_H_
