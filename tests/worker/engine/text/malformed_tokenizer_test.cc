#include <gtest/gtest.h>

#include <functional>
#include <random>

#include "tests/worker/engine/text/text_test_util.h"
#include "worker/engine/text/precompiled_map.h"
#include "worker/engine/text/tokenizer.h"

namespace svi::engine {
namespace {

using nlohmann::json;

// A tokenizer.json as small as can be.
json SmallSpec() {
  return {{"added_tokens", json::array({{{"id", 1}, {"content", "</s>"}, {"normalized", false}}})},
          {"normalizer", nullptr},
          {"pre_tokenizer", {{"type", "Metaspace"}, {"replacement", "\u2581"}, {"prepend_scheme", "always"}}},
          {"post_processor",
           {{"type", "TemplateProcessing"},
            {"single", {{{"Sequence", {{"id", "A"}}}}, {{"SpecialToken", {{"id", "</s>"}}}}}},
            {"special_tokens", {{"</s>", {{"ids", {1}}}}}}}},
          {"model",
           {{"type", "Unigram"},
            {"unk_id", 2},
            {"vocab", json::array({{"<pad>", 0}, {"</s>", 0}, {"<unk>", 0}, {"\u2581", -1}, {"a", -2}})}}}};
}

std::string ErrorOf(const json& spec) {
  try {
    (void)Tokenizer::FromJson(spec.dump());
  } catch (const std::invalid_argument& error) {
    return error.what();
  }
  return "accepted";
}

TEST(MalformedTokenizerTest, SmallSpecIsAccepted) {
  EXPECT_EQ(Tokenizer::FromJson(SmallSpec().dump())->Encode("a zz"), (std::vector<int64_t>{3, 4, 3, 2, 1}));
}

TEST(MalformedTokenizerTest, ErrorsNameTheField) {
  struct Case {
    std::function<void(json&)> spoil;
    const char* error;
  };
  const Case cases[] = {
      {[](json& j) { j.erase("model"); }, "tokenizer.json: has no field \"model\""},
      {[](json& j) { j["model"]["type"] = "BPE"; }, "tokenizer.json.model.type: only Unigram is supported"},
      {[](json& j) { j["model"].erase("unk_id"); }, "tokenizer.json.model: has no field \"unk_id\""},
      {[](json& j) { j["model"]["unk_id"] = 5; },
       "tokenizer.json.model.unk_id: must be an integer from 0 to 4"},
      {[](json& j) { j["model"]["unk_id"] = -1; },
       "tokenizer.json.model.unk_id: must be an integer from 0 to 4"},
      {[](json& j) { j["model"]["vocab"] = json::array(); },
       "tokenizer.json.model.vocab: must have 1 to 4000000 entries"},
      {[](json& j) { j["model"]["vocab"][1] = "x"; }, "tokenizer.json.model.vocab[1]: must be an array"},
      {[](json& j) { j["model"]["vocab"][1] = {"x"}; },
       "tokenizer.json.model.vocab[1]: must be a piece and its score"},
      {[](json& j) {
         j["model"]["vocab"][1] = {1, 2};
       },
       "tokenizer.json.model.vocab[1][0]: must be a string"},
      {[](json& j) {
         j["model"]["vocab"][1] = {"x", "y"};
       },
       "tokenizer.json.model.vocab[1][1]: must be a number"},
      {[](json& j) { j["model"]["byte_fallback"] = 1; },
       "tokenizer.json.model.byte_fallback: must be true or false"},
      {[](json& j) { j["added_tokens"][0].erase("content"); },
       "tokenizer.json.added_tokens[0]: has no field \"content\""},
      {[](json& j) { j["added_tokens"][0]["id"] = -4; },
       "tokenizer.json.added_tokens[0].id: must be an integer from 0 to 2147483647"},
      {[](json& j) {
         j["normalizer"] = {{"type", "Bert"}};
       },
       "tokenizer.json.normalizer: normalizer type \"Bert\" is not supported"},
      {[](json& j) {
         j["normalizer"] = {{"type", "Precompiled"}, {"precompiled_charsmap", "a"}};
       },
       "tokenizer.json.normalizer.precompiled_charsmap: is not base64"},
      {[](json& j) {
         j["normalizer"] = {{"type", "Precompiled"}, {"precompiled_charsmap", "////fw=="}};
       },
       "tokenizer.json.normalizer.precompiled_charsmap: precompiled_charsmap has a trie of an impossible "
       "size"},
      {[](json& j) {
         j["normalizer"] = {{"type", "Replace"}, {"content", ""}, {"pattern", {{"Regex", "(a+)+"}}}};
       },
       "tokenizer.json.normalizer.pattern: this regular expression is not supported"},
      {[](json& j) {
         j["normalizer"] = {{"type", "Replace"}, {"content", ""}, {"pattern", {{"String", ""}}}};
       },
       "tokenizer.json.normalizer.pattern: must not be empty"},
      {[](json& j) { j["pre_tokenizer"]["replacement"] = "ab"; },
       "tokenizer.json.pre_tokenizer: \"replacement\" must be one character"},
      {[](json& j) { j["pre_tokenizer"]["prepend_scheme"] = "maybe"; },
       "tokenizer.json.pre_tokenizer: \"prepend_scheme\" must be always, first or never"},
      {[](json& j) { j["pre_tokenizer"]["type"] = "ByteLevel"; },
       "tokenizer.json.pre_tokenizer: pre-tokenizer type \"ByteLevel\" is not supported"},
      {[](json& j) { j["post_processor"]["special_tokens"] = json::object(); },
       "tokenizer.json.post_processor.special_tokens: has no field \"</s>\""},
      {[](json& j) { j["post_processor"]["single"] = json::array(); },
       "tokenizer.json.post_processor.single: has no place for the text"},
  };
  for (const Case& c : cases) {
    json spec = SmallSpec();
    c.spoil(spec);
    EXPECT_EQ(ErrorOf(spec), c.error);
  }
}

TEST(MalformedTokenizerTest, DeepNestingIsRefusedBeforeItIsParsed) {
  EXPECT_THROW((void)Tokenizer::FromJson(std::string(2'000'000, '[')), std::invalid_argument);
  EXPECT_THROW((void)Tokenizer::FromJson("[]"), std::invalid_argument);
  EXPECT_THROW((void)Tokenizer::FromJson("{\"model\":"), std::invalid_argument);
}

TEST(MalformedTokenizerTest, FolderWithoutTokenizerIsRefused) {
  const TempFolder folder;
  EXPECT_THROW((void)Tokenizer::Load(folder.path()), std::invalid_argument);
}

// A trie whose units point outside of it must be walked safely.
TEST(MalformedTokenizerTest, TrieUnitsMayPointAnywhere) {
  std::mt19937 random(11);
  for (int round = 0; round < 200; ++round) {
    std::string blob = {'\x40', 0, 0, 0};
    for (int i = 0; i < 64; ++i) blob.push_back(static_cast<char>(i % 4 == 3 ? random() & 0x7F : random()));
    blob += std::string("xy\0z\0", 5);
    const PrecompiledMap map(blob);
    for (int i = 1; i < 256; ++i) {
      const char text[] = {static_cast<char>(i & 0x7F), 'a', 0};
      EXPECT_LE(map.NormalizeByGrapheme(text).size(), 8u);
      (void)map.Longest(text);
    }
  }
}

// Either refused with the one kind of error, or usable.
void LoadAndUse(const std::function<std::unique_ptr<Tokenizer>()>& load, int& refused) {
  try {
    const auto tokenizer = load();
    for (const char* text : {"red ball é 中 😀 </s> <extra_id_0>", "", "  \xFF  e\u0301", "ＦＵＬＬ"}) {
      for (const int64_t id : tokenizer->Encode(text, 16)) EXPECT_LT(id, tokenizer->vocab_size());
    }
  } catch (const std::invalid_argument&) {
    ++refused;
  }
}

// Flips, removes or repeats a few bytes.
std::string Mutate(std::string bytes, std::mt19937& random) {
  for (int i = 0; i < 3; ++i) {
    const size_t at = random() % bytes.size();
    if (random() % 3 == 0) {
      bytes.erase(at, 1 + random() % 5);
    } else {
      bytes[at] = static_cast<char>(random());
    }
    if (bytes.empty()) bytes = "x";
  }
  return bytes;
}

TEST(MalformedTokenizerTest, MutatedFilesNeverCrash) {
  std::mt19937 random(5);
  const std::string model = ReadGolden("text/tokenizer_b/spiece.model");
  const std::string spec = SmallSpec().dump();
  int refused = 0;
  for (int round = 0; round < 1500; ++round) {
    const std::string bad_model = Mutate(model, random);
    LoadAndUse([&] { return Tokenizer::FromSentencePiece(bad_model); }, refused);
    const std::string bad_spec = Mutate(spec, random);
    LoadAndUse([&] { return Tokenizer::FromJson(bad_spec); }, refused);
  }
  EXPECT_GT(refused, 500);
  for (size_t length = 0; length < model.size(); length += 7) {
    LoadAndUse([&] { return Tokenizer::FromSentencePiece(model.substr(0, length)); }, refused);
  }
}

}  // namespace
}  // namespace svi::engine
