#include "worker/engine/text/synthetic_tokenizer.h"

#include <gtest/gtest.h>

#include "tests/worker/engine/text/text_test_util.h"
#include "worker/engine/text/tokenizer.h"

namespace svi::engine {
namespace {

TEST(SyntheticTokenizerTest, IsUsableAndTheSameEveryTime) {
  const TempFolder first;
  const TempFolder second;
  const int64_t size = WriteSyntheticTokenizer(first.path());
  EXPECT_EQ(size, SyntheticVocabSize());
  EXPECT_EQ(WriteSyntheticTokenizer(second.path()), size);
  for (const char* name :
       {"tokenizer.json", "tokenizer_config.json", "special_tokens_map.json", "spiece.model"}) {
    EXPECT_EQ(first.Read(name), second.Read(name)) << name;
  }
  EXPECT_EQ(Tokenizer::Load(first.path())->vocab_size(), size);
}

TEST(SyntheticTokenizerTest, WordsAreOnePieceAndNothingIsUnknown) {
  const TempFolder folder;
  WriteSyntheticTokenizer(folder.path());
  const auto tokenizer = Tokenizer::Load(folder.path());
  EXPECT_EQ(tokenizer->Encode("a red ball rolls slowly left").size(), 7u);
  EXPECT_EQ(tokenizer->Encode("").size(), 1u);
  EXPECT_EQ(tokenizer->Encode("<extra_id_0>").front(), SyntheticVocabSize() - 1);
  for (const char* text : {"xyzzy, 42!", "日本の猫", "🐈🔥", "Ünïcödé"}) {
    for (const int64_t id : tokenizer->Encode(text)) EXPECT_NE(id, 3) << text;
  }
}

TEST(SyntheticTokenizerTest, BothFilesGiveTheSameIds) {
  const TempFolder folder;
  WriteSyntheticTokenizer(folder.path());
  const auto json = Tokenizer::FromJson(folder.Read("tokenizer.json"));
  const auto model = Tokenizer::FromSentencePiece(folder.Read("spiece.model"));
  for (const char* text :
       {"a cat jumps over the blue box", "brighter lights, 3 dogs", "猫 runs", "unheard-of wörds"}) {
    EXPECT_EQ(json->Encode(text), model->Encode(text)) << text;
  }
}

}  // namespace
}  // namespace svi::engine
