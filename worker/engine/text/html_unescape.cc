#include "worker/engine/text/html_unescape.h"

#include <unicode/locid.h>
#include <unicode/unistr.h>

#include <algorithm>
#include <optional>
#include <string>
#include <unordered_map>

#include "worker/engine/text/tables/codepages.h"
#include "worker/engine/text/tables/html_entities.h"
#include "worker/engine/text/unicode.h"

namespace svi::engine {
namespace {

constexpr size_t kLongestName = 32;
constexpr size_t kLongestStrictName = 24;

bool IsDigit(char32_t c) { return c >= '0' && c <= '9'; }
bool IsHexDigit(char32_t c) { return IsDigit(c) || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F'); }
bool IsAlphanumeric(char32_t c) { return IsDigit(c) || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); }

std::u32string Value(const HtmlEntity& entity) {
  std::u32string out(1, entity.first);
  if (entity.second != 0) out.push_back(entity.second);
  return out;
}

const HtmlEntity* Find(std::string_view name) {
  const auto all = HtmlEntities();
  const auto at = std::lower_bound(all.begin(), all.end(), name,
                                   [](const HtmlEntity& e, std::string_view n) { return e.name < n; });
  return at != all.end() && at->name == name ? &*at : nullptr;
}

// What a numeric reference means; empty for characters that a document must not hold.
std::u32string NumericValue(uint32_t number) {
  if (number == 0 || number > 0x10FFFF || (number >= 0xD800 && number <= 0xDFFF)) return U"\uFFFD";
  if (number >= 0x80 && number <= 0x9F) {
    const char16_t windows = UpperHalf(CodePage::kCp1252)[number - 0x80];
    return std::u32string(1, windows == 0 ? number : windows);
  }
  if (number == '\t' || number == '\n' || number == '\f' || number == '\r') {
    return std::u32string(1, number);
  }
  const bool control = number < 0x20 || number == 0x7F;
  const bool noncharacter = (number >= 0xFDD0 && number <= 0xFDEF) || (number & 0xFFFE) == 0xFFFE;
  if (control || noncharacter) return U"";
  return std::u32string(1, number);
}

// A reference at the beginning of `text`: what replaces how much of it.
struct Reference {
  std::u32string value;
  size_t length;
};

std::optional<Reference> ReadNumeric(std::u32string_view text) {
  const bool hex = text.size() > 2 && (text[2] == 'x' || text[2] == 'X');
  size_t at = hex ? 3 : 2;
  const size_t begin = at;
  uint32_t number = 0;
  for (; at < text.size() && (hex ? IsHexDigit(text[at]) : IsDigit(text[at])); ++at) {
    const char32_t c = text[at];
    const uint32_t digit = IsDigit(c) ? c - '0' : (c | 0x20) - 'a' + 10;
    number = std::min<uint32_t>(number * (hex ? 16 : 10) + digit, 0x110000);
  }
  if (at == begin) return std::nullopt;
  if (at < text.size() && text[at] == ';') ++at;
  return Reference{NumericValue(number), at};
}

std::optional<Reference> ReadNamed(std::u32string_view text) {
  size_t end = 1;
  while (end < text.size() && end <= kLongestName &&
         std::u32string_view(U"\t\n\f <&#;").find(text[end]) == std::u32string_view::npos) {
    ++end;
  }
  if (end == 1) return std::nullopt;
  if (end < text.size() && text[end] == ';') ++end;
  // The whole, else the longest beginning of at least two characters that is a name. Names are ASCII.
  std::string name;
  for (size_t i = 1; i < end && text[i] < 0x80; ++i) name.push_back(static_cast<char>(text[i]));
  for (; name.size() >= 2; name.pop_back()) {
    if (const HtmlEntity* entity = Find(name)) return Reference{Value(*entity), 1 + name.size()};
  }
  return std::nullopt;
}

std::optional<Reference> ReadReference(std::u32string_view text) {
  if (text.size() < 2) return std::nullopt;
  return text[1] == '#' ? ReadNumeric(text) : ReadNamed(text);
}

std::u32string ToUpper(const std::u32string& text) {
  const std::string utf8 = EncodeUtf8(text);
  std::string out;
  icu::UnicodeString::fromUTF8(utf8).toUpper(icu::Locale::getRoot()).toUTF8String(out);
  return DecodeUtf8(out);
}

// The strict names, ';' included: those of HTML 5 that end in ';', and upper-cased ones that HTML 5 gives no
// meaning.
std::unordered_map<std::string, std::u32string> MakeStrictNames() {
  std::unordered_map<std::string, std::u32string> names;
  for (const HtmlEntity& entity : HtmlEntities()) {
    const std::string name = entity.name;
    if (name.back() != ';') continue;
    names[name] = Value(entity);
    std::string upper = name;
    bool all_lower = true;
    for (char& c : upper) {
      all_lower = all_lower && !(c >= 'A' && c <= 'Z');
      if (c >= 'a' && c <= 'z') c = static_cast<char>(c - 0x20);
    }
    const std::u32string reference = DecodeUtf8(std::string("&").append(upper));
    if (all_lower && UnescapeHtml(reference) == reference) names[upper] = ToUpper(Value(entity));
  }
  return names;
}

std::optional<Reference> ReadStrictReference(std::u32string_view text) {
  static const auto& names = *new std::unordered_map<std::string, std::u32string>(MakeStrictNames());
  const size_t begin = text.size() > 1 && text[1] == '#' ? 2 : 1;
  size_t end = begin;
  while (end < text.size() && end - begin < kLongestStrictName && IsAlphanumeric(text[end])) ++end;
  if (end == begin || end >= text.size() || text[end] != ';') return std::nullopt;
  ++end;
  if (begin == 1) {
    const auto found = names.find(EncodeUtf8(text.substr(1, end - 1)));
    if (found == names.end()) return std::nullopt;
    return Reference{found->second, end};
  }
  auto numeric = ReadNumeric(text.substr(0, end));
  // "&#12ab;" stays as it is, and so does "&#59;", whose meaning is ';' itself.
  if (!numeric || numeric->length != end || numeric->value == U";") return std::nullopt;
  return numeric;
}

template <typename Reader>
std::u32string ReplaceReferences(std::u32string_view text, Reader read) {
  std::u32string out;
  out.reserve(text.size());
  while (!text.empty()) {
    const size_t plain = std::min(text.find(U'&'), text.size());
    out += text.substr(0, plain);
    text.remove_prefix(plain);
    if (text.empty()) break;
    if (const auto reference = read(text)) {
      out += reference->value;
      text.remove_prefix(reference->length);
    } else {
      out.push_back(U'&');
      text.remove_prefix(1);
    }
  }
  return out;
}

}  // namespace

std::u32string UnescapeHtml(std::u32string_view text) { return ReplaceReferences(text, ReadReference); }

std::u32string UnescapeHtmlStrictly(std::u32string_view text) {
  return ReplaceReferences(text, ReadStrictReference);
}

}  // namespace svi::engine
