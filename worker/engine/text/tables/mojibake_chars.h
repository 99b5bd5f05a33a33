// The kinds of characters by which mojibake is told from ordinary text.
#ifndef SVI_ENGINE_TEXT_TABLES_MOJIBAKE_CHARS_H_
#define SVI_ENGINE_TEXT_TABLES_MOJIBAKE_CHARS_H_

#include <cstdint>

namespace svi::engine {

// Bits; a character can be of several kinds. Which character is of which kind is data of ftfy 6.3.1
// (Apache-2.0, Copyright Robyn Speer), without which its verdicts could not be met.
enum MojibakeKind : uint32_t {
  kCommon = 1u << 0,  // in ordinary text too
  kC1 = 1u << 1,      // control characters U+0080..U+009F
  kBad = 1u << 2,     // hardly ever meant
  kLaw = 1u << 3,     // § and ¶
  kCurrency = 1u << 4,
  kStart = 1u << 5,  // punctuation before words
  kEnd = 1u << 6,    // punctuation after words
  kNumeric = 1u << 7,
  kKaomoji = 1u << 8,  // letters that draw faces
  kUpperAccented = 1u << 9,
  kLowerAccented = 1u << 10,
  kUpperCommon = 1u << 11,  // capitals of other alphabets
  kLowerCommon = 1u << 12,
  kBox = 1u << 13,       // box drawing
  kFirstOf2 = 1u << 14,  // what the first byte of a UTF-8 sequence of two becomes in some code page
  kFirstOf3 = 1u << 15,
  kFirstOf4 = 1u << 16,
  kContinuation = 1u << 17,        // what a continuation byte becomes, a space included
  kContinuationStrict = 1u << 18,  // the same without what is frequent in ordinary text
};

// The union of the kinds that `c` is of.
uint32_t MojibakeKinds(char32_t c);

}  // namespace svi::engine

#endif  // SVI_ENGINE_TEXT_TABLES_MOJIBAKE_CHARS_H_
