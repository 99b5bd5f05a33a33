#include "worker/engine/text/mojibake.h"

#include <algorithm>
#include <optional>

#include "worker/engine/text/badness.h"
#include "worker/engine/text/legacy_bytes.h"
#include "worker/engine/text/tables/codepages.h"
#include "worker/engine/text/tables/mojibake_chars.h"
#include "worker/engine/text/unicode.h"

namespace svi::engine {
namespace {

bool IsC1(char32_t c) { return c >= 0x80 && c <= 0x9F; }

// The whole text through one encoding, if its bytes are UTF-8 or close to it.
std::optional<std::u32string> DecodeThrough(std::u32string_view text, const LegacyEncoding& encoding) {
  std::optional<std::string> bytes = EncodeLegacy(text, encoding);
  if (!bytes) return std::nullopt;
  if (encoding.restore_hard_space) bytes = RestoreHardSpaces(*bytes);
  if (encoding.sloppy) bytes = ReplaceLossySequences(*bytes);
  const bool variants = bytes->find('\xED') != std::string::npos || bytes->find('\xC0') != std::string::npos;
  if (variants) return DecodeUtf8Variants(*bytes);
  if (!IsValidUtf8(*bytes)) return std::nullopt;
  return DecodeUtf8(*bytes);
}

// Length of the run of characters from `at` on that look like UTF-8 sequences; 0 if there is none.
size_t SequencesAt(std::u32string_view text, size_t at) {
  if (at > 0 && (MojibakeKinds(text[at - 1]) & kContinuationStrict) != 0) return 0;
  size_t end = at;
  while (end < text.size()) {
    const uint32_t kinds = MojibakeKinds(text[end]);
    const size_t length = (kinds & kFirstOf2) != 0   ? 2
                          : (kinds & kFirstOf3) != 0 ? 3
                          : (kinds & kFirstOf4) != 0 ? 4
                                                     : 0;
    if (length == 0 || end + length > text.size()) break;
    const auto continues = [](char32_t c) { return (MojibakeKinds(c) & kContinuation) != 0; };
    if (!std::all_of(text.begin() + static_cast<std::ptrdiff_t>(end + 1),
                     text.begin() + static_cast<std::ptrdiff_t>(end + length), continues)) {
      break;
    }
    end += length;
  }
  return end - at;
}

// Repairs the parts that look like UTF-8 each by itself. A part must be shorter than the text, or this would
// not end.
std::u32string FixParts(std::u32string_view text) {
  std::u32string out;
  for (size_t at = 0; at < text.size();) {
    const size_t length = SequencesAt(text, at);
    if (length == 0) {
      out.push_back(text[at++]);
      continue;
    }
    const std::u32string_view part = text.substr(at, length);
    out +=
        part.size() < text.size() && IsBad(part) ? FixEncoding(std::u32string(part)) : std::u32string(part);
    at += length;
  }
  return out;
}

// Latin-1 read as Windows-1252; nothing if it has a byte that is undefined there, or other characters.
std::optional<std::u32string> ReadAsWindows1252(std::u32string_view text) {
  std::u32string out(text);
  for (char32_t& c : out) {
    if (c > 0xFF) return std::nullopt;
    if (c < 0x80) continue;
    c = UpperHalf(CodePage::kCp1252)[c - 0x80];
    if (c == 0) return std::nullopt;
  }
  return out;
}

std::u32string FixEncodingOnce(const std::u32string& text) {
  const auto ascii = [](char32_t c) { return c < 0x80; };
  if (std::all_of(text.begin(), text.end(), ascii) || !IsBad(text)) return text;
  for (const LegacyEncoding& encoding : LegacyEncodings()) {
    if (auto fixed = DecodeThrough(text, encoding)) return *std::move(fixed);
  }
  std::u32string parts = FixParts(text);
  if (parts != text) return parts;
  if (auto fixed = ReadAsWindows1252(text); fixed && *fixed != text) return *std::move(fixed);
  return ReplaceC1Controls(text);
}

}  // namespace

std::u32string ReplaceC1Controls(std::u32string text) {
  for (char32_t& c : text) {
    if (!IsC1(c)) continue;
    const char16_t windows = UpperHalf(CodePage::kCp1252)[c - 0x80];
    if (windows != 0) c = windows;
  }
  return text;
}

std::u32string FixEncoding(std::u32string text) {
  for (;;) {
    std::u32string fixed = FixEncodingOnce(text);
    if (fixed == text) return fixed;
    text = std::move(fixed);
  }
}

}  // namespace svi::engine
