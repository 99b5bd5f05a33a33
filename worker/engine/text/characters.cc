#include "worker/engine/text/characters.h"

#include <algorithm>
#include <unordered_map>

#include "worker/engine/text/mojibake.h"
#include "worker/engine/text/unicode.h"

namespace svi::engine {
namespace {

using Replacements = std::unordered_map<char32_t, std::u32string>;

// The Latin ligatures, and the digraphs that legacy encodings have as one letter.
void AddLigatures(Replacements& to) {
  to.insert({{0x132, U"IJ"},       {0x133, U"ij"},  {0x149, U"\u02BCn"}, {0x1F1, U"DZ"},
             {0x1F2, U"Dz"},       {0x1F3, U"dz"},  {0x1C4, U"D\u017D"}, {0x1C5, U"D\u017E"},
             {0x1C6, U"d\u017E"},  {0x1C7, U"LJ"},  {0x1C8, U"Lj"},      {0x1C9, U"lj"},
             {0x1CA, U"NJ"},       {0x1CB, U"Nj"},  {0x1CC, U"nj"},      {0xFB00, U"ff"},
             {0xFB01, U"fi"},      {0xFB02, U"fl"}, {0xFB03, U"ffi"},    {0xFB04, U"ffl"},
             {0xFB05, U"\u017Ft"}, {0xFB06, U"st"}});
}

// The block of half- and full-width forms, and the ideographic space.
void AddWidths(Replacements& to) {
  to.insert({0x3000, std::u32string(1, U' ')});
  for (char32_t c = 0xFF01; c < 0xFFF0; ++c) {
    const std::u32string form(1, c);
    std::u32string ordinary = Normalize(form, NormalizationForm::kNfkc);
    if (ordinary != form) to[c] = std::move(ordinary);
  }
}

std::u32string Replace(std::u32string_view text, const Replacements& replacements) {
  std::u32string out;
  out.reserve(text.size());
  for (const char32_t c : text) {
    const auto found = replacements.find(c);
    if (found == replacements.end()) {
      out.push_back(c);
    } else {
      out += found->second;
    }
  }
  return out;
}

char32_t Uncurl(char32_t c) {
  if (c >= 0x201C && c <= 0x201F) return '"';
  return c == 0x2BC || (c >= 0x2018 && c <= 0x201B) ? U'\'' : c;
}

std::u32string FixLineBreaks(std::u32string_view text) {
  std::u32string out;
  out.reserve(text.size());
  for (size_t i = 0; i < text.size(); ++i) {
    const char32_t c = text[i];
    if (c == '\r' && text.substr(i + 1, 1) == U"\n") continue;
    out.push_back(c == '\r' || c == 0x2028 || c == 0x2029 || c == 0x85 ? U'\n' : c);
  }
  return out;
}

std::u32string JoinSurrogates(std::u32string_view text) {
  const auto is_high = [](char32_t c) { return c >= 0xD800 && c <= 0xDBFF; };
  const auto is_low = [](char32_t c) { return c >= 0xDC00 && c <= 0xDFFF; };
  std::u32string out;
  out.reserve(text.size());
  for (size_t i = 0; i < text.size(); ++i) {
    if (is_high(text[i]) && i + 1 < text.size() && is_low(text[i + 1])) {
      out.push_back(0x10000 + (text[i] - 0xD800) * 0x400 + (text[i + 1] - 0xDC00));
      ++i;
    } else {
      out.push_back(is_high(text[i]) || is_low(text[i]) ? char32_t{0xFFFD} : text[i]);
    }
  }
  return out;
}

// ESC '[', decimal digits (of any script, as in Python) and ';', one ASCII letter.
std::u32string RemoveTerminalEscapes(std::u32string_view text) {
  std::u32string out;
  out.reserve(text.size());
  for (size_t i = 0; i < text.size();) {
    if (text.substr(i, 2) == U"\x1B[") {
      size_t end = i + 2;
      while (end < text.size() && (text[end] == ';' || IsDecimalDigit(text[end]))) ++end;
      const bool letter = end < text.size() && (text[end] | 0x20) >= 'a' && (text[end] | 0x20) <= 'z';
      if (letter) {
        i = end + 1;
        continue;
      }
    }
    out.push_back(text[i++]);
  }
  return out;
}

bool IsUselessControl(char32_t c) {
  const auto between = [c](char32_t low, char32_t high) { return c >= low && c <= high; };
  return c <= 0x08 || c == 0x0B || between(0x0E, 0x1F) || c == 0x7F || between(0x206A, 0x206F) ||
         c == 0xFEFF || between(0xFFF9, 0xFFFC);
}

const Replacements& Ligatures() {
  static const auto& ligatures = *new Replacements([] {
    Replacements made;
    AddLigatures(made);
    return made;
  }());
  return ligatures;
}

const Replacements& Widths() {
  static const auto& widths = *new Replacements([] {
    Replacements made;
    AddWidths(made);
    return made;
  }());
  return widths;
}

}  // namespace

std::u32string FixCharacters(std::u32string text) {
  text = ReplaceC1Controls(std::move(text));
  text = Replace(text, Ligatures());
  text = Replace(text, Widths());
  std::transform(text.begin(), text.end(), text.begin(), Uncurl);
  text = FixLineBreaks(text);
  text = JoinSurrogates(text);
  text = RemoveTerminalEscapes(text);
  std::erase_if(text, IsUselessControl);
  return Normalize(text, NormalizationForm::kNfc);
}

}  // namespace svi::engine
