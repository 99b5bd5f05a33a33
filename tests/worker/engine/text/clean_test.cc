#include "worker/engine/text/clean.h"

#include <gtest/gtest.h>

#include "tests/worker/engine/text/text_test_util.h"
#include "worker/engine/text/html_unescape.h"
#include "worker/engine/text/mojibake.h"
#include "worker/engine/text/unicode.h"

namespace svi::engine {
namespace {

// A prompt of clean.json; those with surrogates are lists of code points, and become UTF-8 with the
// surrogates in it.
std::string Prompt(const nlohmann::json& json) {
  if (json.is_string()) return json.get<std::string>();
  std::string out;
  for (const uint32_t c : json.get<std::vector<uint32_t>>()) {
    if (c < 0xD800 || c > 0xDFFF) {
      AppendUtf8(c, out);
    } else {
      out += {'\xED', static_cast<char>(0x80 | (c >> 6 & 0x3F)), static_cast<char>(0x80 | (c & 0x3F))};
    }
  }
  return out;
}

TEST(CleanTest, EqualsFtfyOnEveryCase) {
  const auto cases = ReadGoldenJson("text/clean.json");
  ASSERT_GE(cases.size(), 1000u);
  for (const auto& row : cases) {
    EXPECT_EQ(CleanPrompt(Prompt(row[0])), row[1].get<std::string>()) << "prompt: " << row[0];
  }
}

TEST(CleanTest, LeavesOrdinaryTextAlone) {
  for (const char* text : {"a red ball rolls", "", "Ein Mädchen läuft", "夕焼けの海辺", "A cat 🐈 on fire"}) {
    EXPECT_EQ(CleanPrompt(text), text);
  }
}

TEST(CleanTest, UndoesDoubleMojibake) { EXPECT_EQ(CleanPrompt("l’humanitÃƒÂ©"), "l'humanité"); }

TEST(CleanTest, KeepsEntitiesInHtmlForFtfyOnlyFromThatLineOn) {
  EXPECT_EQ(FixText(U"&eacute;\n<b>&eacute;\n&eacute;"), U"é\n<b>&eacute;\n&eacute;");
}

TEST(CleanTest, MalformedUtf8IsReplaced) { EXPECT_EQ(CleanPrompt("a\xFF b \xC3"), "a\uFFFD b \uFFFD"); }

TEST(HtmlUnescapeTest, TakesTheLongestKnownBeginning) {
  EXPECT_EQ(UnescapeHtml(U"&notit; &notin; &amp &AMPx &zzz;"), U"¬it; ∉ & &x &zzz;");
}

TEST(HtmlUnescapeTest, StrictNeedsSemicolonAndWholeName) {
  EXPECT_EQ(UnescapeHtmlStrictly(U"&amp &notit; &EACUTE; &#233; &#xe9; &#59;"), U"&amp &notit; É é é &#59;");
}

TEST(MojibakeTest, PartsOfAnotherEncodingAreRepairedAlone) {
  EXPECT_EQ(FixEncoding(U"日本 cafÃ©"), U"日本 café");
  EXPECT_EQ(FixEncoding(U"日本 café"), U"日本 café");
}

}  // namespace
}  // namespace svi::engine
