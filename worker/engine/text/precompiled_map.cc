#include "worker/engine/text/precompiled_map.h"

#include <unicode/brkiter.h>
#include <unicode/unistr.h>

#include <algorithm>
#include <memory>
#include <stdexcept>

#include "worker/engine/text/unicode.h"

namespace svi::engine {
namespace {

constexpr size_t kLongestWholeGrapheme = 5;

uint32_t ReadUint32(std::string_view bytes, size_t at) {
  uint32_t value = 0;
  for (size_t i = 4; i-- > 0;) value = value << 8 | static_cast<unsigned char>(bytes[at + i]);
  return value;
}

// The fields of a darts-clone unit.
constexpr uint32_t kValueBit = 1u << 31;
uint32_t Label(uint32_t unit) { return unit & (kValueBit | 0xFF); }
bool HasLeaf(uint32_t unit) { return (unit >> 8 & 1) != 0; }
uint32_t Offset(uint32_t unit) { return (unit >> 10) << ((unit & (1u << 9)) >> 6); }

// Calls `visit` with each grapheme cluster.
template <typename Visit>
void ForEachGrapheme(std::string_view utf8, Visit visit) {
  UErrorCode status = U_ZERO_ERROR;
  const std::unique_ptr<icu::BreakIterator> breaks(
      icu::BreakIterator::createCharacterInstance(icu::Locale::getRoot(), status));
  if (U_FAILURE(status)) throw std::runtime_error("ICU has no grapheme rules");
  const auto text =
      icu::UnicodeString::fromUTF8(icu::StringPiece(utf8.data(), static_cast<int32_t>(utf8.size())));
  breaks->setText(text);
  int32_t begin = breaks->first();
  for (int32_t end = breaks->next(); end != icu::BreakIterator::DONE; begin = end, end = breaks->next()) {
    std::string grapheme;
    text.tempSubStringBetween(begin, end).toUTF8String(grapheme);
    visit(std::string_view(grapheme));
  }
}

}  // namespace

std::optional<std::string> DecodeBase64(std::string_view text) {
  constexpr std::string_view kAlphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  if (text.size() % 4 != 0) return std::nullopt;
  size_t padding = 0;
  while (padding < 2 && padding < text.size() && text[text.size() - 1 - padding] == '=') ++padding;
  text.remove_suffix(padding);
  std::string out;
  out.reserve(text.size() * 3 / 4);
  uint32_t bits = 0;
  int count = 0;
  for (const char c : text) {
    const size_t digit = kAlphabet.find(c);
    if (digit == std::string_view::npos) return std::nullopt;
    bits = (bits << 6 | static_cast<uint32_t>(digit)) & 0xFFFFFF;
    count += 6;
    if (count >= 8) {
      count -= 8;
      out.push_back(static_cast<char>(bits >> count & 0xFF));
    }
  }
  return out;
}

PrecompiledMap::PrecompiledMap(std::string_view blob) {
  if (blob.empty()) return;
  if (blob.size() < 4) throw std::invalid_argument("precompiled_charsmap is truncated");
  const uint32_t trie_size = ReadUint32(blob, 0);
  if (trie_size % 4 != 0 || trie_size > blob.size() - 4) {
    throw std::invalid_argument("precompiled_charsmap has a trie of an impossible size");
  }
  for (size_t at = 4; at < 4 + trie_size; at += 4) units_.push_back(ReadUint32(blob, at));
  replacements_ = blob.substr(4 + trie_size);
  if (!IsValidUtf8(replacements_))
    throw std::invalid_argument("precompiled_charsmap has replacements that are not UTF-8");
  for (const uint32_t unit : units_) {
    if ((unit & kValueBit) == 0) continue;
    const size_t offset = unit & ~kValueBit;
    const bool inside = offset < replacements_.size() && (replacements_[offset] & 0xC0) != 0x80;
    if (!inside) throw std::invalid_argument("precompiled_charsmap has a value outside of its replacements");
  }
}

std::string_view PrecompiledMap::Replacement(size_t offset) const {
  const std::string_view rest =
      std::string_view(replacements_).substr(std::min(offset, replacements_.size()));
  return rest.substr(0, rest.find('\0'));
}

std::optional<PrecompiledMap::Match> PrecompiledMap::Walk(std::string_view text, bool longest) const {
  std::optional<Match> match;
  if (units_.empty()) return match;
  size_t node = Offset(units_[0]);
  for (size_t i = 0; i < text.size() && text[i] != '\0'; ++i) {
    const auto byte = static_cast<unsigned char>(text[i]);
    node ^= byte;
    if (node >= units_.size() || Label(units_[node]) != byte) break;
    const uint32_t unit = units_[node];
    node ^= Offset(unit);
    if (!HasLeaf(unit)) continue;
    if (node >= units_.size()) break;
    match = Match{Replacement(units_[node] & ~kValueBit), i + 1};
    if (!longest) break;
  }
  return match;
}

std::optional<PrecompiledMap::Match> PrecompiledMap::Longest(std::string_view text) const {
  return Walk(text, true);
}

std::string PrecompiledMap::NormalizeByGrapheme(std::string_view utf8) const {
  std::string out;
  out.reserve(utf8.size());
  ForEachGrapheme(utf8, [&](std::string_view grapheme) {
    if (grapheme.size() <= kLongestWholeGrapheme) {
      if (const auto match = Walk(grapheme, false)) {
        out += match->replacement;
        return;
      }
    }
    for (size_t at = 0; at < grapheme.size();) {
      const std::string_view character =
          grapheme.substr(at, Utf8Length(static_cast<unsigned char>(grapheme[at])));
      const auto match = Walk(character, false);
      out += match ? match->replacement : character;
      at += character.size();
    }
  });
  return out;
}

}  // namespace svi::engine
