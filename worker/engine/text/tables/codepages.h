// The single-byte encodings that mojibake comes from.
#ifndef SVI_ENGINE_TEXT_TABLES_CODEPAGES_H_
#define SVI_ENGINE_TEXT_TABLES_CODEPAGES_H_

#include <array>

namespace svi::engine {

enum class CodePage { kCp1252, kCp1251, kCp1250, kCp1253, kCp1254, kCp1257, kIso88592, kMacroman, kCp437 };

// What the bytes 0x80..0xFF mean; 0 where the code page leaves one undefined.
using CodePageHalf = std::array<char16_t, 128>;
const CodePageHalf& UpperHalf(CodePage page);

}  // namespace svi::engine

#endif  // SVI_ENGINE_TEXT_TABLES_CODEPAGES_H_
