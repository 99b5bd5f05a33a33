#include "worker/engine/text/clean.h"

#include <algorithm>

#include "worker/engine/text/characters.h"
#include "worker/engine/text/html_unescape.h"
#include "worker/engine/text/mojibake.h"
#include "worker/engine/text/unicode.h"
#include "worker/engine/text/whitespace.h"

namespace svi::engine {
namespace {

// ftfy repairs line by line, and longer lines in pieces of this many code points.
constexpr size_t kMaxSegment = 1'000'000;

// Repairs one line until nothing changes any more: one repair can uncover the next ("&amp;eacute;").
std::u32string FixSegment(std::u32string text, bool unescape) {
  for (;;) {
    std::u32string fixed = unescape ? UnescapeHtmlStrictly(text) : text;
    fixed = FixEncoding(std::move(fixed));
    fixed = FixCharacters(std::move(fixed));
    if (fixed == text) return fixed;
    text = std::move(fixed);
  }
}

}  // namespace

std::u32string FixText(std::u32string_view text) {
  std::u32string out;
  // A '<' says that this is HTML on purpose, from its line on.
  bool unescape = true;
  while (!text.empty()) {
    const size_t newline = text.find(U'\n');
    const size_t line = newline == std::u32string_view::npos ? text.size() : newline + 1;
    const std::u32string segment(text.substr(0, std::min(line, kMaxSegment)));
    text.remove_prefix(segment.size());
    if (segment.find(U'<') != std::u32string::npos) unescape = false;
    out += FixSegment(segment, unescape);
  }
  return out;
}

std::string CleanPrompt(std::string_view utf8) {
  std::u32string text = FixText(DecodeUtf8(utf8));
  text = UnescapeHtml(UnescapeHtml(text));
  text = CollapseSpace(StripSpace(text));
  return EncodeUtf8(StripSpace(text));
}

}  // namespace svi::engine
