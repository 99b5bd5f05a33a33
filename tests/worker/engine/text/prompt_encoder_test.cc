#include "worker/engine/text/prompt_encoder.h"

#include <gtest/gtest.h>

#include "tests/worker/engine/text/golden_umt5.h"
#include "tests/worker/engine/text/text_test_util.h"
#include "worker/engine/text/lru_cache.h"
#include "worker/engine/text/tokenizer.h"

namespace svi::engine {
namespace {

// Gives the text's length as an id.
class LengthTokenizer : public Tokenizer {
 public:
  explicit LengthTokenizer(int64_t vocab_size = 200) : vocab_size_(vocab_size) {}
  std::vector<int64_t> Encode(std::string_view text, int) const override {
    return {static_cast<int64_t>(4 + text.size()), 1};
  }
  int64_t vocab_size() const override { return vocab_size_; }

 private:
  int64_t vocab_size_;
};

class PromptEncoderTest : public testing::Test {
 protected:
  PromptEncoder Make(int64_t tokenizer_ids = 200, bool keep = true) {
    auto encoder = std::make_unique<Offloadable<UmT5Encoder>>(
        [this] {
          ++loads_;
          return GoldenUmT5();
        },
        keep);
    return {std::make_unique<LengthTokenizer>(tokenizer_ids), std::move(encoder),
            GoldenUmT5()->config().vocab_size};
  }
  static at::Tensor One(PromptEncoder& encoder, const std::string& prompt) {
    return encoder.Encode({prompt}).at(0);
  }
  int loads_ = 0;
};

TEST_F(PromptEncoderTest, RowsPastThePromptAreZero) {
  PromptEncoder encoder = Make();
  const at::Tensor embedding = One(encoder, "abc");
  ASSERT_EQ(embedding.sizes(), (std::vector<int64_t>{1, 512, 32}));
  const at::Tensor ids = at::tensor({7, 1}, at::kLong).unsqueeze(0);
  EXPECT_TRUE(at::equal(embedding.narrow(1, 0, 2), GoldenUmT5()->Forward(ids, at::ones_like(ids))));
  EXPECT_EQ(embedding.narrow(1, 2, 510).abs().max().item<float>(), 0);
}

TEST_F(PromptEncoderTest, CleansBeforeItTokenizes) {
  PromptEncoder encoder = Make();
  EXPECT_TRUE(at::equal(One(encoder, "  a \n &amp;  b "), One(encoder, "a & b")));
}

TEST_F(PromptEncoderTest, ARepeatedPromptIsNotComputedAgain) {
  PromptEncoder encoder = Make();
  const at::Tensor first = One(encoder, "abc");
  EXPECT_TRUE(One(encoder, "abc").is_same(first));
  EXPECT_TRUE(One(encoder, " abc ").is_same(first));
  EXPECT_FALSE(One(encoder, "abcd").is_same(first));
}

TEST_F(PromptEncoderTest, SeveralPromptsInTheirOrder) {
  PromptEncoder encoder = Make();
  const at::Tensor known = One(encoder, "ab");
  const std::vector<at::Tensor> all = encoder.Encode({"abcd", "ab", "a", "abcd"});
  ASSERT_EQ(all.size(), 4u);
  EXPECT_TRUE(all[1].is_same(known));
  EXPECT_TRUE(all[3].is_same(all[0]));
  EXPECT_TRUE(at::equal(all[2], One(encoder, "a")));
  EXPECT_FALSE(at::equal(all[2], all[0]));
}

TEST_F(PromptEncoderTest, AnOffloadedEncoderComesBackForNewPromptsOnly) {
  PromptEncoder encoder = Make(200, /*keep=*/false);
  EXPECT_EQ(loads_, 0);
  const std::vector<at::Tensor> first = encoder.Encode({"abc", "no"});
  EXPECT_EQ(loads_, 1) << "once for both";
  const std::vector<at::Tensor> again = encoder.Encode({"no", "abc"});
  EXPECT_EQ(loads_, 1);
  EXPECT_TRUE(again[1].is_same(first[0]));
  (void)encoder.Encode({"abc", "a new one"});
  EXPECT_EQ(loads_, 2);
}

TEST_F(PromptEncoderTest, OldPromptsAreForgotten) {
  PromptEncoder encoder = Make();
  const at::Tensor first = One(encoder, "a");
  for (size_t length = 2; length <= 16; ++length) (void)One(encoder, std::string(length, 'a'));
  EXPECT_TRUE(One(encoder, "a").is_same(first));
  for (size_t length = 17; length <= 32; ++length) (void)One(encoder, std::string(length, 'a'));
  const at::Tensor again = One(encoder, "a");
  EXPECT_FALSE(again.is_same(first));
  EXPECT_TRUE(at::equal(again, first));
}

TEST_F(PromptEncoderTest, ATokenizerWithMoreIdsThanTheEncoderIsRefused) {
  EXPECT_THROW(Make(201), std::invalid_argument);
}

TEST(LruCacheTest, ForgetsTheLeastRecentlyUsed) {
  LruCache<int, int> cache(2);
  cache.Put(1, 10);
  cache.Put(2, 20);
  ASSERT_NE(cache.Get(1), nullptr);
  cache.Put(3, 30);
  EXPECT_EQ(cache.Get(2), nullptr);
  EXPECT_EQ(*cache.Get(1), 10);
  cache.Put(1, 11);
  EXPECT_EQ(*cache.Get(1), 11);
  EXPECT_EQ(cache.size(), 2u);
}

}  // namespace
}  // namespace svi::engine
