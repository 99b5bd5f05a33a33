// HTML character references → characters.
#ifndef SVI_ENGINE_TEXT_HTML_UNESCAPE_H_
#define SVI_ENGINE_TEXT_HTML_UNESCAPE_H_

#include <string>
#include <string_view>

namespace svi::engine {

// By HTML 5's rules, like Python's html.unescape: "&amp" without ';' counts, and so does the longest known
// beginning of an unknown name ("&notit;" → "¬it;").
std::u32string UnescapeHtml(std::u32string_view text);

// Like ftfy: only references that end in ';' and are known entirely, and the names that are all lower case
// also in all upper case, meaning the upper case ("&EACUTE;" → "É").
std::u32string UnescapeHtmlStrictly(std::u32string_view text);

}  // namespace svi::engine

#endif  // SVI_ENGINE_TEXT_HTML_UNESCAPE_H_
