// Text ↔ bytes in the encodings that mojibake passes through.
#ifndef SVI_ENGINE_TEXT_LEGACY_BYTES_H_
#define SVI_ENGINE_TEXT_LEGACY_BYTES_H_

#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>

namespace svi::engine {

// A single-byte encoding over ASCII, one way: characters → bytes.
struct LegacyEncoding {
  // "Sloppy": undefined bytes stand for U+0080 plus their offset, and 1A for U+FFFD (a byte that got lost).
  bool sloppy = false;
  // Whether a space may stand for a hard space. Not in MacRoman, where that is an en dash and a space.
  bool restore_hard_space = true;
  std::unordered_map<char32_t, unsigned char> upper = {};
};

// In the order in which they are tried; the first is Latin-1.
std::span<const LegacyEncoding> LegacyEncodings();

// The bytes, or nothing if a character is not in the encoding.
std::optional<std::string> EncodeLegacy(std::u32string_view text, const LegacyEncoding& encoding);

// Bytes that would be UTF-8 if some spaces were A0 get these A0 back.
std::string RestoreHardSpaces(std::string_view bytes);

// UTF-8 sequences with lost bytes (1A, or one '?') become U+FFFD.
std::string ReplaceLossySequences(std::string_view bytes);

// Strict UTF-8, but surrogate pairs encoded one by one (CESU-8) and C0 80 for U+0000 count. Nothing if it is
// not that.
std::optional<std::u32string> DecodeUtf8Variants(std::string_view bytes);

}  // namespace svi::engine

#endif  // SVI_ENGINE_TEXT_LEGACY_BYTES_H_
