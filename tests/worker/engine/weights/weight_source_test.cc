#include "worker/engine/weights/weight_source.h"

#include <stdexcept>

namespace svi::engine {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;

TEST(WeightSource, GivesEachTensorInItsOwnDtype) {
  WeightSource source("vae", {{"a.b.3.weight", at::ones({2, 3}, at::kBFloat16)}, {"bias", at::ones({4})}});
  const Scope scope(source);
  EXPECT_TRUE((scope / "a" / "b" / 3).Has("weight"));
  EXPECT_FALSE((scope / "a").Has("weight"));
  EXPECT_EQ((scope / "a" / "b" / 3).Take("weight", {2, 3}).scalar_type(), at::kBFloat16);
  EXPECT_EQ(scope.Take("bias", {4}).sum().item<float>(), 4.0f);
  EXPECT_EQ(source.parameters(), 10u);
  EXPECT_NO_THROW(source.Finish());
}

TEST(WeightSource, NamesEverythingThatIsWrongAtOnce) {
  WeightSource source("transformer", {{"good", at::ones({1})},
                                      {"narrow", at::ones({2, 3})},
                                      {"whole", at::ones({2}, at::kLong)},
                                      {"left.one", at::ones({1})},
                                      {"left.two", at::ones({1})}});
  EXPECT_TRUE(source.Take("good", {1}).defined());
  EXPECT_FALSE(source.Take("narrow", {3, 2}).defined());
  EXPECT_FALSE(source.Take("whole", {2}).defined());
  EXPECT_FALSE(source.Take("gone.first", {1}).defined());
  EXPECT_FALSE(source.Take("gone.second", {1}).defined());
  try {
    source.Finish();
    FAIL();
  } catch (const std::invalid_argument& error) {
    EXPECT_THAT(error.what(), AllOf(HasSubstr("transformer: 6 wrong tensors"),
                                    HasSubstr("narrow has shape [2, 3], expected [3, 2]"),
                                    HasSubstr("whole has dtype Long"), HasSubstr("gone.first is missing"),
                                    HasSubstr("gone.second is missing"), HasSubstr("left.one is not part of"),
                                    HasSubstr("left.two is not part of"), Not(HasSubstr("good"))));
  }
}

TEST(WeightSource, GivesATensorOnce) {
  WeightSource source("vae", {{"a", at::ones({1})}});
  EXPECT_TRUE(source.Take("a", {1}).defined());
  EXPECT_FALSE(source.Take("a", {1}).defined());
  EXPECT_THROW(source.Finish(), std::invalid_argument);
}

}  // namespace
}  // namespace svi::engine
