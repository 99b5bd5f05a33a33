// Repairs of single characters.
#ifndef SVI_ENGINE_TEXT_CHARACTERS_H_
#define SVI_ENGINE_TEXT_CHARACTERS_H_

#include <string>

namespace svi::engine {

// In this order, as ftfy: C1 controls as Windows-1252, Latin ligatures taken apart, full- and half-width
// forms made ordinary, curly quotes straight, every line break '\n', surrogate pairs joined (lone ones
// U+FFFD), terminal escapes
// ("ESC [ 1 ; 31 m") and control characters removed, NFC.
std::u32string FixCharacters(std::u32string text);

}  // namespace svi::engine

#endif  // SVI_ENGINE_TEXT_CHARACTERS_H_
