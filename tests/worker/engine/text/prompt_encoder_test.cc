#include "worker/engine/text/prompt_encoder.h"

#include <gtest/gtest.h>

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

TEST(PromptEncoderTest, RowsPastThePromptAreZero) {
  PromptEncoder encoder(std::make_unique<LengthTokenizer>(), GoldenUmT5());
  const at::Tensor embedding = encoder.Encode("abc");
  ASSERT_EQ(embedding.sizes(), (std::vector<int64_t>{1, 512, 32}));
  const at::Tensor ids = at::tensor({7, 1}, at::kLong).unsqueeze(0);
  EXPECT_TRUE(at::equal(embedding.narrow(1, 0, 2), GoldenUmT5()->Forward(ids, at::ones_like(ids))));
  EXPECT_EQ(embedding.narrow(1, 2, 510).abs().max().item<float>(), 0);
}

TEST(PromptEncoderTest, CleansBeforeItTokenizes) {
  PromptEncoder encoder(std::make_unique<LengthTokenizer>(), GoldenUmT5());
  EXPECT_TRUE(at::equal(encoder.Encode("  a \n &amp;  b "), encoder.Encode("a & b")));
}

TEST(PromptEncoderTest, ARepeatedPromptIsNotComputedAgain) {
  PromptEncoder encoder(std::make_unique<LengthTokenizer>(), GoldenUmT5());
  const at::Tensor first = encoder.Encode("abc");
  EXPECT_TRUE(encoder.Encode("abc").is_same(first));
  EXPECT_TRUE(encoder.Encode(" abc ").is_same(first));
  EXPECT_FALSE(encoder.Encode("abcd").is_same(first));
}

TEST(PromptEncoderTest, OldPromptsAreForgotten) {
  PromptEncoder encoder(std::make_unique<LengthTokenizer>(), GoldenUmT5());
  const at::Tensor first = encoder.Encode("a");
  for (size_t length = 2; length <= 16; ++length) (void)encoder.Encode(std::string(length, 'a'));
  EXPECT_TRUE(encoder.Encode("a").is_same(first));
  for (size_t length = 17; length <= 32; ++length) (void)encoder.Encode(std::string(length, 'a'));
  const at::Tensor again = encoder.Encode("a");
  EXPECT_FALSE(again.is_same(first));
  EXPECT_TRUE(at::equal(again, first));
}

TEST(PromptEncoderTest, ATokenizerWithMoreIdsThanTheEncoderIsRefused) {
  EXPECT_THROW(PromptEncoder(std::make_unique<LengthTokenizer>(201), GoldenUmT5()), std::invalid_argument);
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
