#include "worker/engine/text/legacy_bytes.h"

#include <algorithm>
#include <array>
#include <cstdint>
#include <utility>
#include <vector>

#include "worker/engine/text/tables/codepages.h"
#include "worker/engine/text/unicode.h"

namespace svi::engine {
namespace {

LegacyEncoding Latin1() {
  LegacyEncoding encoding;
  for (int byte = 0x80; byte < 0x100; ++byte) encoding.upper[byte] = static_cast<unsigned char>(byte);
  encoding.upper[0x1A] = 0x1A;
  return encoding;
}

LegacyEncoding FromCodePage(CodePage page, bool sloppy) {
  LegacyEncoding encoding;
  encoding.sloppy = sloppy;
  encoding.restore_hard_space = page != CodePage::kMacroman;
  for (int byte = 0x80; byte < 0x100; ++byte) {
    const char16_t c = UpperHalf(page)[byte - 0x80];
    if (c != 0 || sloppy) encoding.upper[c != 0 ? c : byte] = static_cast<unsigned char>(byte);
  }
  encoding.upper[sloppy ? 0xFFFD : 0x1A] = 0x1A;
  return encoding;
}

// A byte pattern: for each byte the ranges that it may be in.
using BytePattern = std::vector<std::vector<std::pair<unsigned char, unsigned char>>>;

bool MatchesAt(const BytePattern& pattern, std::string_view bytes, size_t at) {
  if (at + pattern.size() > bytes.size()) return false;
  for (size_t i = 0; i < pattern.size(); ++i) {
    const auto byte = static_cast<unsigned char>(bytes[at + i]);
    const auto in = [byte](const auto& range) { return byte >= range.first && byte <= range.second; };
    if (std::none_of(pattern[i].begin(), pattern[i].end(), in)) return false;
  }
  return true;
}

// The first pattern that matches at this place; they are alternatives in order.
const BytePattern* FirstMatch(const std::vector<BytePattern>& patterns, std::string_view bytes, size_t at) {
  const auto found =
      std::find_if(patterns.begin(), patterns.end(), [&](const auto& p) { return MatchesAt(p, bytes, at); });
  return found == patterns.end() ? nullptr : &*found;
}

// Sequences where a space may be a hard space. Leads are limited to those whose character then is a likely
// one: after C2, C3, C5, CE, D0, D9 alone; E2, E3 before it; E0..E3 at the end; F0 anywhere.
const std::vector<BytePattern>& SpacedSequences() {
  static const auto& patterns = *new std::vector<BytePattern>([] {
    const BytePattern::value_type space{{0x20, 0x20}};
    const BytePattern::value_type next{{0x80, 0xBF}};
    // Neither 85 nor A0: those are not what a space replaces here.
    const BytePattern::value_type likely{{0x80, 0x84}, {0x86, 0x9F}, {0xA1, 0xBF}};
    const BytePattern::value_type lead2{{0xC2, 0xC3}, {0xC5, 0xC5}, {0xCE, 0xCE}, {0xD0, 0xD0}, {0xD9, 0xD9}};
    return std::vector<BytePattern>{
        {lead2, space},
        {{{0xE2, 0xE3}}, space, likely},
        {{{0xE0, 0xE3}}, likely, space},
        {{{0xF0, 0xF0}}, space, next, next},
        {{{0xF0, 0xF0}}, next, space, next},
        {{{0xF0, 0xF0}}, next, next, space},
    };
  }());
  return patterns;
}

// Sequences with lost bytes.
const std::vector<BytePattern>& LossySequences() {
  static const auto& patterns = *new std::vector<BytePattern>([] {
    const BytePattern::value_type lost{{0x1A, 0x1A}};
    const BytePattern::value_type lost_or_question{{0x1A, 0x1A}, {'?', '?'}};
    const BytePattern::value_type next{{0x1A, 0x1A}, {0x80, 0xBF}};
    const BytePattern::value_type any{{0x1A, 0x1A}, {'?', '?'}, {0x80, 0xBF}};
    const BytePattern::value_type ed{{0xED, 0xED}}, high{{0xA0, 0xAF}}, low{{0xB0, 0xBF}};
    const BytePattern::value_type lead3{{0xE0, 0xEF}}, lead4{{0xF0, 0xF4}};
    return std::vector<BytePattern>{
        {{{0xC2, 0xDF}}, lost},
        {{{0xC2, 0xC3}}, {{'?', '?'}}},
        {ed, high, lost_or_question, ed, low, any},
        {ed, high, any, ed, low, lost_or_question},
        {lead3, lost_or_question, next},
        {lead3, next, lost_or_question},
        {lead4, lost_or_question, next, next},
        {lead4, next, lost_or_question, next},
        {lead4, next, next, lost_or_question},
        {lost},
    };
  }());
  return patterns;
}

// "Ã " alone is most often "à" whose hard space merged with the space after it: gives it its own. Not before
// a second space, and not in the Portuguese contractions of "a" and "aquele", "aquela", "aquilo", "as".
std::string RestoreGraveWords(std::string_view bytes) {
  constexpr std::array<std::string_view, 5> kExceptions = {" ", "quele", "quela", "quilo", "s "};
  std::string out;
  for (size_t i = 0; i < bytes.size(); ++i) {
    out.push_back(bytes[i]);
    if (bytes.substr(i, 2) != "\xC3 ") continue;
    const std::string_view rest = bytes.substr(i + 2);
    const auto starts = [rest](std::string_view word) { return rest.starts_with(word); };
    if (std::none_of(kExceptions.begin(), kExceptions.end(), starts)) {
      out += "\xA0 ";
      ++i;
    }
  }
  return out;
}

}  // namespace

std::span<const LegacyEncoding> LegacyEncodings() {
  static const auto& encodings = *new std::vector<LegacyEncoding>{
      Latin1(),
      FromCodePage(CodePage::kCp1252, true),
      FromCodePage(CodePage::kCp1251, true),
      FromCodePage(CodePage::kCp1250, true),
      FromCodePage(CodePage::kCp1253, true),
      FromCodePage(CodePage::kCp1254, true),
      FromCodePage(CodePage::kCp1257, true),
      FromCodePage(CodePage::kIso88592, false),
      FromCodePage(CodePage::kMacroman, false),
      FromCodePage(CodePage::kCp437, false),
  };
  return encodings;
}

std::optional<std::string> EncodeLegacy(std::u32string_view text, const LegacyEncoding& encoding) {
  std::string bytes;
  bytes.reserve(text.size());
  for (const char32_t c : text) {
    if (c < 0x80 && c != 0x1A) {
      bytes.push_back(static_cast<char>(c));
      continue;
    }
    const auto found = encoding.upper.find(c);
    if (found == encoding.upper.end()) return std::nullopt;
    bytes.push_back(static_cast<char>(found->second));
  }
  return bytes;
}

std::string RestoreHardSpaces(std::string_view bytes) {
  const auto& patterns = SpacedSequences();
  bool any = false;
  for (size_t i = 0; i < bytes.size() && !any; ++i) any = FirstMatch(patterns, bytes, i) != nullptr;
  if (!any) return std::string(bytes);
  std::string out = RestoreGraveWords(bytes);
  for (size_t i = 0; i < out.size();) {
    const BytePattern* match = FirstMatch(patterns, out, i);
    if (match == nullptr) {
      ++i;
      continue;
    }
    const auto begin = out.begin() + static_cast<std::ptrdiff_t>(i);
    std::replace(begin, begin + static_cast<std::ptrdiff_t>(match->size()), ' ', '\xA0');
    i += match->size();
  }
  return out;
}

std::string ReplaceLossySequences(std::string_view bytes) {
  std::string out;
  for (size_t i = 0; i < bytes.size();) {
    if (const BytePattern* match = FirstMatch(LossySequences(), bytes, i)) {
      out += "\xEF\xBF\xBD";
      i += match->size();
    } else {
      out.push_back(bytes[i++]);
    }
  }
  return out;
}

std::optional<std::u32string> DecodeUtf8Variants(std::string_view bytes) {
  const auto byte = [&](size_t i) { return static_cast<unsigned char>(bytes[i]); };
  const auto in = [&](size_t i, unsigned char low, unsigned char high) {
    return i < bytes.size() && byte(i) >= low && byte(i) <= high;
  };
  const size_t size = bytes.size();
  std::u32string out;
  for (size_t i = 0; i < size;) {
    // ftfy's patterns end in '$', which also matches before a last newline: so a C0 there swallows it, and a
    // pair whose last byte is that newline counts.
    const bool newline_last = byte(size - 1) == '\n';
    if (byte(i) == 0xC0 && (in(i + 1, 0x80, 0x80) || (i + 2 == size && newline_last))) {
      out.push_back(0);
      i += 2;
    } else if (byte(i) == 0xED && in(i + 1, 0xA0, 0xAF) && in(i + 2, 0x80, 0xBF) && in(i + 3, 0xED, 0xED) &&
               in(i + 4, 0xB0, 0xBF) && (in(i + 5, 0x80, 0xBF) || (i + 6 == size && newline_last))) {
      out.push_back(0x10000u + ((byte(i + 1) & 0x0Fu) << 16) + ((byte(i + 2) & 0x3Fu) << 10) +
                    ((byte(i + 4) & 0x0Fu) << 6) + (byte(i + 5) & 0x3Fu));
      i += 6;
    } else {
      const size_t length = byte(i) < 0x80 ? 1 : Utf8Length(byte(i));
      const std::string_view one = bytes.substr(i, length);
      if (!IsValidUtf8(one)) return std::nullopt;
      out += DecodeUtf8(one);
      i += length;
    }
  }
  return out;
}

}  // namespace svi::engine
