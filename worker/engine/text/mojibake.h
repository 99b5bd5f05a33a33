// Undoes mojibake: UTF-8 that somebody read in another encoding.
#ifndef SVI_ENGINE_TEXT_MOJIBAKE_H_
#define SVI_ENGINE_TEXT_MOJIBAKE_H_

#include <string>
#include <string_view>

namespace svi::engine {

// ftfy 6.3.1's fix_encoding: where a text looks bad, it is turned back to bytes in the first single-byte
// encoding whose bytes are then UTF-8 (hard spaces that became spaces and lost bytes allowed for); where no
// encoding does for the whole text, the parts that look like UTF-8 are repaired alone, and control characters
// U+0080..U+009F read as Windows-1252. Repeats until nothing changes.
std::u32string FixEncoding(std::u32string text);

// U+0080..U+009F → the Windows-1252 characters of these bytes, where it has any.
std::u32string ReplaceC1Controls(std::u32string text);

}  // namespace svi::engine

#endif  // SVI_ENGINE_TEXT_MOJIBAKE_H_
