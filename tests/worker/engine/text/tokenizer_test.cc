#include "worker/engine/text/tokenizer.h"

#include <gtest/gtest.h>

#include <vector>

#include "tests/worker/engine/text/text_test_util.h"

namespace svi::engine {
namespace {

using Ids = std::vector<int64_t>;

// Columns of cases.json.
enum Column : size_t { kText, kWithoutBytes, kWithBytes, kSentencePiece };

class TokenizerTest : public testing::TestWithParam<const char*> {
 protected:
  std::string Folder() const { return std::string("text/") + GetParam(); }
  nlohmann::json Spec() const { return ReadGoldenJson(Folder() + "/tokenizer.json"); }

  void ExpectCases(const Tokenizer& tokenizer, Column column) const {
    const auto cases = ReadGoldenJson(Folder() + "/cases.json");
    ASSERT_GE(cases.size(), 300u);
    for (const auto& row : cases) {
      EXPECT_EQ(tokenizer.Encode(row[kText].get<std::string>()), row[column].get<Ids>())
          << "text: " << row[kText];
    }
  }
};

TEST_P(TokenizerTest, EqualsTokenizersWithoutByteFallback) {
  auto spec = Spec();
  spec["model"]["byte_fallback"] = false;
  ExpectCases(*Tokenizer::FromJson(spec.dump()), kWithoutBytes);
}

TEST_P(TokenizerTest, EqualsTokenizersWithByteFallback) {
  auto spec = Spec();
  spec["model"]["byte_fallback"] = true;
  ExpectCases(*Tokenizer::FromJson(spec.dump()), kWithBytes);
}

TEST_P(TokenizerTest, SpieceModelAloneEqualsSentencepiece) {
  const TempFolder folder;
  folder.Write("spiece.model", ReadGolden(Folder() + "/spiece.model"));
  ExpectCases(*Tokenizer::Load(folder.path()), kSentencePiece);
}

TEST_P(TokenizerTest, LoadPrefersTokenizerJson) {
  ExpectCases(*Tokenizer::Load(GoldenPath(Folder())), kWithoutBytes);
}

TEST_P(TokenizerTest, NoCaseNeedsMoreIdsThanVocabSize) {
  const auto tokenizer = Tokenizer::Load(GoldenPath(Folder()));
  EXPECT_EQ(tokenizer->vocab_size(), static_cast<int64_t>(Spec()["model"]["vocab"].size()));
}

INSTANTIATE_TEST_SUITE_P(Models, TokenizerTest, testing::Values("tokenizer_a", "tokenizer_b"),
                         [](const auto& info) { return std::string(info.param); });

TEST(TokenizerSpellingTest, OlderMetaspaceGivesTheSameIds) {
  auto spec = ReadGoldenJson("text/tokenizer_a/tokenizer.json");
  const auto newer = Tokenizer::FromJson(spec.dump());
  spec["pre_tokenizer"] = {{"type", "Metaspace"}, {"replacement", "\u2581"}, {"add_prefix_space", true}};
  const auto older = Tokenizer::FromJson(spec.dump());
  spec["pre_tokenizer"]["add_prefix_space"] = false;
  const auto without = Tokenizer::FromJson(spec.dump());
  EXPECT_EQ(older->Encode("red ball"), newer->Encode("red ball"));
  EXPECT_NE(without->Encode("red ball"), newer->Encode("red ball"));
}

TEST(TokenizerTruncationTest, KeepsTheClosingToken) {
  const auto tokenizer = Tokenizer::Load(GoldenPath("text/tokenizer_a"));
  std::string text;
  for (int i = 0; i < 700; ++i) text += "red ";
  const Ids all = tokenizer->Encode(text, 10'000);
  const Ids cut = tokenizer->Encode(text, 512);
  ASSERT_GT(all.size(), 512u);
  ASSERT_EQ(cut.size(), 512u);
  EXPECT_EQ(Ids(cut.begin(), cut.end() - 1), Ids(all.begin(), all.begin() + 511));
  EXPECT_EQ(cut.back(), 1);
  EXPECT_EQ(tokenizer->Encode("red", 1), Ids{1});
  EXPECT_EQ(tokenizer->Encode(""), Ids{1});
}

// Options of added tokens that umT5's files do not use.
TEST(TokenizerAddedTokenTest, ObeysItsFlags) {
  auto spec = ReadGoldenJson("text/tokenizer_a/tokenizer.json");
  spec["added_tokens"].push_back(
      {{"id", 900}, {"content", "cut"}, {"single_word", true}, {"normalized", false}});
  spec["added_tokens"].push_back(
      {{"id", 901}, {"content", "[M]"}, {"lstrip", true}, {"rstrip", true}, {"normalized", false}});
  spec["added_tokens"].push_back({{"id", 902}, {"content", "ＷＩＤＥ"}, {"normalized", true}});
  const auto tokenizer = Tokenizer::FromJson(spec.dump());
  EXPECT_EQ(tokenizer->Encode("cut"), (Ids{900, 1}));
  const Ids inside = tokenizer->Encode("cuts");
  EXPECT_EQ(std::count(inside.begin(), inside.end(), 900), 0);
  EXPECT_EQ(tokenizer->Encode("cut  [M] \t [M]cut"), (Ids{900, 901, 901, 900, 1}));
  EXPECT_EQ(tokenizer->Encode("WIDE"), (Ids{902, 1}));
  EXPECT_EQ(tokenizer->vocab_size(), 903);
}

}  // namespace
}  // namespace svi::engine
