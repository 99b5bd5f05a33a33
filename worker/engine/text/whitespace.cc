#include "worker/engine/text/whitespace.h"

#include "worker/engine/text/unicode.h"

namespace svi::engine {

bool IsPythonSpace(char32_t c) { return IsWhiteSpace(c) || (c >= 0x1C && c <= 0x1F); }

std::u32string_view StripSpace(std::u32string_view text) {
  while (!text.empty() && IsPythonSpace(text.front())) text.remove_prefix(1);
  while (!text.empty() && IsPythonSpace(text.back())) text.remove_suffix(1);
  return text;
}

std::u32string CollapseSpace(std::u32string_view text) {
  std::u32string out;
  out.reserve(text.size());
  bool in_space = false;
  for (const char32_t c : text) {
    const bool space = IsWhiteSpace(c);
    if (!space) out.push_back(c);
    if (space && !in_space) out.push_back(' ');
    in_space = space;
  }
  return out;
}

}  // namespace svi::engine
