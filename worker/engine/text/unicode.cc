#include "worker/engine/text/unicode.h"

#include <unicode/normalizer2.h>
#include <unicode/uchar.h>
#include <unicode/unistr.h>

#include <stdexcept>

namespace svi::engine {
namespace {

constexpr char32_t kReplacement = 0xFFFD;

struct Decoded {
  char32_t value;
  size_t length;
  bool ok;
};

// Reads one code point; surrogates pass as `ok`.
Decoded DecodeOne(std::string_view s, size_t at) {
  const auto byte = [&](size_t i) { return static_cast<unsigned char>(s[i]); };
  const unsigned char lead = byte(at);
  if (lead < 0x80) return {lead, 1, true};
  if (lead < 0xC2 || lead > 0xF4) return {kReplacement, 1, false};
  const size_t length = Utf8Length(lead);
  char32_t value = lead & (0x7F >> length);
  for (size_t i = 1; i < length; ++i) {
    if (at + i >= s.size() || (byte(at + i) & 0xC0) != 0x80) return {kReplacement, i, false};
    value = value << 6 | (byte(at + i) & 0x3F);
  }
  const bool overlong = (length == 3 && value < 0x800) || (length == 4 && value < 0x10000);
  if (overlong || value > 0x10FFFF) return {kReplacement, 1, false};
  return {value, length, true};
}

bool IsSurrogate(char32_t c) { return c >= 0xD800 && c <= 0xDFFF; }

const icu::Normalizer2& Normalizer(NormalizationForm form) {
  UErrorCode status = U_ZERO_ERROR;
  const icu::Normalizer2* normalizer = nullptr;
  switch (form) {
    case NormalizationForm::kNfc:
      normalizer = icu::Normalizer2::getNFCInstance(status);
      break;
    case NormalizationForm::kNfd:
      normalizer = icu::Normalizer2::getNFDInstance(status);
      break;
    case NormalizationForm::kNfkc:
      normalizer = icu::Normalizer2::getNFKCInstance(status);
      break;
    case NormalizationForm::kNfkd:
      normalizer = icu::Normalizer2::getNFKDInstance(status);
      break;
  }
  if (U_FAILURE(status) || normalizer == nullptr) throw std::runtime_error("ICU has no normalization data");
  return *normalizer;
}

}  // namespace

std::u32string DecodeUtf8(std::string_view utf8) {
  std::u32string out;
  out.reserve(utf8.size());
  for (size_t at = 0; at < utf8.size();) {
    const Decoded next = DecodeOne(utf8, at);
    out.push_back(next.value);
    at += next.length;
  }
  return out;
}

void AppendUtf8(char32_t c, std::string& out) {
  if (IsSurrogate(c) || c > 0x10FFFF) c = kReplacement;
  if (c < 0x80) {
    out.push_back(static_cast<char>(c));
  } else if (c < 0x800) {
    out.push_back(static_cast<char>(0xC0 | c >> 6));
    out.push_back(static_cast<char>(0x80 | (c & 0x3F)));
  } else if (c < 0x10000) {
    out.push_back(static_cast<char>(0xE0 | c >> 12));
    out.push_back(static_cast<char>(0x80 | (c >> 6 & 0x3F)));
    out.push_back(static_cast<char>(0x80 | (c & 0x3F)));
  } else {
    out.push_back(static_cast<char>(0xF0 | c >> 18));
    out.push_back(static_cast<char>(0x80 | (c >> 12 & 0x3F)));
    out.push_back(static_cast<char>(0x80 | (c >> 6 & 0x3F)));
    out.push_back(static_cast<char>(0x80 | (c & 0x3F)));
  }
}

std::string EncodeUtf8(std::u32string_view text) {
  std::string out;
  out.reserve(text.size());
  for (const char32_t c : text) AppendUtf8(c, out);
  return out;
}

bool IsValidUtf8(std::string_view utf8) {
  for (size_t at = 0; at < utf8.size();) {
    const Decoded next = DecodeOne(utf8, at);
    if (!next.ok || IsSurrogate(next.value)) return false;
    at += next.length;
  }
  return true;
}

bool IsWhiteSpace(char32_t c) { return u_isUWhiteSpace(static_cast<UChar32>(c)); }

bool IsWordCharacter(char32_t c) {
  const auto point = static_cast<UChar32>(c);
  return c == '_' || (U_GET_GC_MASK(point) & U_GC_L_MASK) != 0 ||
         u_getIntPropertyValue(point, UCHAR_NUMERIC_TYPE) != U_NT_NONE;
}

bool IsDecimalDigit(char32_t c) { return u_charType(static_cast<UChar32>(c)) == U_DECIMAL_DIGIT_NUMBER; }

std::string NormalizeUtf8(std::string_view utf8, NormalizationForm form) {
  UErrorCode status = U_ZERO_ERROR;
  const auto text =
      icu::UnicodeString::fromUTF8(icu::StringPiece(utf8.data(), static_cast<int32_t>(utf8.size())));
  std::string out;
  Normalizer(form).normalize(text, status).toUTF8String(out);
  if (U_FAILURE(status)) throw std::runtime_error("ICU could not normalize the text");
  return out;
}

std::u32string Normalize(std::u32string_view text, NormalizationForm form) {
  return DecodeUtf8(NormalizeUtf8(EncodeUtf8(text), form));
}

}  // namespace svi::engine
