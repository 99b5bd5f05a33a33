// UTF-8 and the few Unicode properties that the text code needs.
#ifndef SVI_ENGINE_TEXT_UNICODE_H_
#define SVI_ENGINE_TEXT_UNICODE_H_

#include <string>
#include <string_view>

namespace svi::engine {

// Code points of UTF-8. A surrogate encoded on its own (ED A0..BF xx) gives that surrogate, every other
// malformed byte U+FFFD, so nothing throws.
std::u32string DecodeUtf8(std::string_view utf8);

// The opposite; surrogates and values above U+10FFFF become U+FFFD.
std::string EncodeUtf8(std::u32string_view text);
void AppendUtf8(char32_t c, std::string& out);

// Strict UTF-8: no surrogates, no overlong forms.
bool IsValidUtf8(std::string_view utf8);

// Length in bytes of the character that starts at `lead` of valid UTF-8.
constexpr size_t Utf8Length(unsigned char lead) {
  return lead < 0x80 ? 1 : lead < 0xE0 ? 2 : lead < 0xF0 ? 3 : 4;
}

// The Unicode property White_Space.
bool IsWhiteSpace(char32_t c);
// Letters, numbers of any kind and '_': what Python's \w means.
bool IsWordCharacter(char32_t c);

// Decimal digits of any script (general category Nd).
bool IsDecimalDigit(char32_t c);

enum class NormalizationForm { kNfc, kNfd, kNfkc, kNfkd };
std::u32string Normalize(std::u32string_view text, NormalizationForm form);
std::string NormalizeUtf8(std::string_view utf8, NormalizationForm form);

}  // namespace svi::engine

#endif  // SVI_ENGINE_TEXT_UNICODE_H_
