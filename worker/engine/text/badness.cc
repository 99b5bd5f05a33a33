#include "worker/engine/text/badness.h"

#include <algorithm>
#include <cstdint>
#include <string_view>
#include <vector>

#include "worker/engine/text/tables/mojibake_chars.h"
#include "worker/engine/text/unicode.h"
#include "worker/engine/text/whitespace.h"

namespace svi::engine {
namespace {

// Kinds beside those of MojibakeKind, found by rule.
constexpr uint32_t kAsciiLower = 1u << 24;
constexpr uint32_t kAsciiUpper = 1u << 25;
constexpr uint32_t kNotAsciiLetter = 1u << 26;
constexpr uint32_t kSpace = 1u << 27;
constexpr uint32_t kWord = 1u << 28;
constexpr uint32_t kNotNewline = 1u << 29;

// One place of a rule: a character of any of the kinds, or one of `others`.
struct Place {
  uint32_t kinds = 0;
  std::u32string_view others = {};
};

struct Rule {
  std::vector<Place> places;
  bool only_at_start = false;
};

constexpr uint32_t kAccented = kLowerAccented | kUpperAccented;
constexpr uint32_t kPunctuation = kStart | kEnd;
constexpr uint32_t kBesideBad = kAccented | kBox | kPunctuation | kCurrency | kNumeric | kLaw;
constexpr uint32_t kAsciiLetter = kAsciiLower | kAsciiUpper;

// Neighbours that betray mojibake by their kinds alone.
std::vector<Rule> RulesByKind() {
  return {
      {{{kC1}}},
      {{{kBad | kBesideBad}, {kBad}}},
      {{{kAsciiLetter}, {kLowerCommon | kUpperCommon}, {kBad}}},
      {{{kBad}, {kBesideBad}}},
      {{{kLowerAccented | kLowerCommon | kBox | kEnd | kCurrency | kNumeric}, {kUpperAccented}}},
      {{{kBox | kEnd | kCurrency | kNumeric}, {kLowerAccented}}},
      {{{kLowerAccented | kBox | kEnd}, {kCurrency}}},
      {{{kSpace}, {kUpperAccented}, {kCurrency}}},
      {{{kUpperAccented | kBox}, {kNumeric | kLaw}}},
      {{{kAccented | kBox | kCurrency | kEnd}, {kStart}, {kNumeric}}},
      {{{kAccented | kCurrency | kNumeric | kBox | kLaw}, {kEnd}, {kStart}}},
      {{{kCurrency | kNumeric | kBox}, {kStart}}},
      {{{kAsciiLower}, {kUpperAccented}, {kStart | kCurrency}}},
      {{{kBox}, {kKaomoji}}},
      {{{kAccented | kCurrency | kNumeric | kPunctuation | kLaw}, {kBox}}},
      {{{kBox}, {kEnd}}},
      {{{kAccented}, {kPunctuation}, {kWord}}},
  };
}

// What UTF-8 read in one particular code page looks like.
std::vector<Rule> RulesByCodePage() {
  const Place arabic_lead{0, U"ØÙ"};
  const Place arabic_follow{kCommon | kCurrency | kBad | kNumeric | kStart, U"ŸŠ®°µ»"};
  const Place cyrillic_lead{0, U"ВГРС"};
  const Place greek_lead{0, U"ΒΓΞΟ"};
  constexpr uint32_t kBetweenLeads = kC1 | kBad | kPunctuation | kCurrency;
  const Place capital_a{0, U"ÃÂ"};
  return {
      // A ligature that is not inside a word, and a degree sign after a capital.
      {{{0, U"Œœ"}, {kNotAsciiLetter}}},
      {{{kUpperAccented}, {0, U"°"}}},
      // Windows-1252: two-byte sequences, Arabic words, South Asian alphabets, and 'à', 'á' and the hard
      // space.
      {{{0, U"ÂÃÎÐ"}, {kPunctuation, U"€œŠš¢£Ÿž\u00a0\u00ad®©°·»–—´"}}},
      {{{0, U"×"}, {0, U"²³"}}},
      {{arabic_lead, arabic_follow, arabic_lead, arabic_follow}},
      {{{0, U"à"}, {0, U"²µ¹¼½¾"}}},
      {{{0, U"Ã"}, {0, U"\u00a0¡"}}},
      {{{kAsciiLower}, capital_a, {0, U" "}}},
      {{{kAsciiLower}, {kSpace}, capital_a, {0, U" "}}},
      {{capital_a, {0, U" "}}, /*only_at_start=*/true},
      {{{kAsciiLower | kEnd, U".,?!"}, {0, U"Â"}, {kPunctuation, U" "}}},
      // MacRoman.
      {{{0, U"√"}, {0, U"±∂†≠®™´≤≥¥µø"}}},
      {{{0, U"≈"}, {0, U"°¢"}}},
      {{{0, U"‚"}, {0, U"Ä"}, {0, U"ìîïòôúùû†°¢π"}}},
      {{{0, U"‚"}, {0, U"âó"}, {0, U"àä°ê"}}},
      // Windows-1251; the long one is Windows-1251 over Latin-1 over Windows-1252.
      {{{0, U"в"}, {0, U"Ђ"}}},
      {{cyrillic_lead, {kBetweenLeads, U"°µ"}, cyrillic_lead}},
      {{{0, U"Г"}, {0, U"ў"}, {0, U"В"}, {0, U"Ђ"}, {0, U"В"}, {kNotNewline}, {kAsciiLetter, U" "}}},
      // Windows-1253.
      {{{0, U"β"}, {0, U"€"}, {0, U"™\u00a0Ά\u00ad®°"}}},
      {{greek_lead, {kBetweenLeads, U"°"}, greek_lead}},
      // Windows-1257.
      {{{0, U"ā"}, {0, U"€"}}},
  };
}

const std::vector<Rule>& Rules() {
  static const auto& rules = *new std::vector<Rule>([] {
    std::vector<Rule> all = RulesByKind();
    for (Rule& rule : RulesByCodePage()) all.push_back(std::move(rule));
    return all;
  }());
  return rules;
}

uint32_t KindsOf(char32_t c) {
  uint32_t kinds = MojibakeKinds(c);
  if (c >= 'a' && c <= 'z') kinds |= kAsciiLower;
  if (c >= 'A' && c <= 'Z') kinds |= kAsciiUpper;
  if ((kinds & kAsciiLetter) == 0) kinds |= kNotAsciiLetter;
  if (IsPythonSpace(c)) kinds |= kSpace;
  if (IsWordCharacter(c)) kinds |= kWord;
  if (c != '\n') kinds |= kNotNewline;
  return kinds;
}

}  // namespace

bool IsBad(std::u32string_view text) {
  std::vector<uint32_t> kinds(text.size());
  std::transform(text.begin(), text.end(), kinds.begin(), KindsOf);
  const auto matches = [&](const Rule& rule, size_t at) {
    if (at + rule.places.size() > text.size() || (rule.only_at_start && at != 0)) return false;
    for (size_t i = 0; i < rule.places.size(); ++i) {
      const Place& place = rule.places[i];
      const bool fits =
          (kinds[at + i] & place.kinds) != 0 || place.others.find(text[at + i]) != place.others.npos;
      if (!fits) return false;
    }
    return true;
  };
  for (size_t at = 0; at < text.size(); ++at) {
    for (const Rule& rule : Rules()) {
      if (matches(rule, at)) return true;
    }
  }
  return false;
}

}  // namespace svi::engine
