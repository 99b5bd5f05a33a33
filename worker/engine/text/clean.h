// A prompt as the user wrote it → the text that Wan gives to its tokenizer.
#ifndef SVI_ENGINE_TEXT_CLEAN_H_
#define SVI_ENGINE_TEXT_CLEAN_H_

#include <string>
#include <string_view>

namespace svi::engine {

// The same result as Wan's basic_clean and whitespace_clean: the repair that ftfy 6.3.1 makes with its
// defaults, HTML references undone twice, spaces at the ends removed and every run of spaces made one.
//
// Deviations: normalization, word characters and upper case follow ICU's Unicode version (15 in ICU 72),
// ftfy's those of its Python; they differ only for characters that one of them does not know yet. A numeric
// reference of more than 4300 digits is U+FFFD here and an exception in Python. Bytes that are not UTF-8
// (which Python's str cannot hold) count as U+FFFD.
std::string CleanPrompt(std::string_view utf8);

// The ftfy part alone.
std::u32string FixText(std::u32string_view text);

}  // namespace svi::engine

#endif  // SVI_ENGINE_TEXT_CLEAN_H_
