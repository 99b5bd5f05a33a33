#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "worker/engine/tools/component_tools_inputs.h"

namespace svi::engine {
namespace {

using testing::AllOf;
using testing::HasSubstr;

template <typename Work>
std::string Refusal(const Work& work) {
  try {
    work();
  } catch (const std::invalid_argument& e) {
    return e.what();
  }
  return "nothing was refused";
}

TEST(ComponentInputs, NamesEveryMissingAndUnknownTensor) {
  const auto make = [](NamedTensors tensors) {
    return Refusal([&] { ComponentInputs(std::move(tensors), {"a", "b", "c"}, {"d"}); });
  };
  EXPECT_THAT(make({{"b", at::zeros({1})}, {"e", at::zeros({1})}, {"f", at::zeros({1})}}),
              AllOf(HasSubstr("a is missing"), HasSubstr("c is missing"), HasSubstr("e is not an input"),
                    HasSubstr("f is not an input"), HasSubstr("a, b, c, d (optional)")));
  const at::Tensor x = at::zeros({1});
  EXPECT_EQ(make({{"a", x}, {"b", x}, {"c", x}}), "nothing was refused");
  EXPECT_EQ(make({{"a", x}, {"b", x}, {"c", x}, {"d", x}}), "nothing was refused");
  const ComponentInputs more({{"a", x}, {"d", x}, {"e", x}}, {"a"}, {"d"});
  EXPECT_THAT(more.unused(), testing::ElementsAre("e"));
}

TEST(ComponentInputs, ShapesBindTheirAxesAcrossTensors) {
  ComponentInputs inputs({{"x", at::zeros({2, 3, 5})}, {"y", at::zeros({2, 7})}, {"z", at::zeros({4, 5})}},
                         {"x", "y", "z"}, {});
  inputs.Fix("D", 5);
  EXPECT_EQ(inputs.Float("x", "[B, 3, D]").sizes(), at::IntArrayRef({2, 3, 5}));
  EXPECT_EQ(inputs.size("B"), 2);
  EXPECT_EQ(inputs.Float("y", "[B, L]").sizes(), at::IntArrayRef({2, 7}));
  EXPECT_EQ(inputs.size("L"), 7);
  EXPECT_THAT(Refusal([&] { inputs.Float("z", "[B, D]"); }),
              AllOf(HasSubstr("z must be [B, D] with B = 2, D = 5"), HasSubstr("it is [4, 5]")));
  EXPECT_THAT(Refusal([&] { inputs.Float("z", "[4, 6]"); }), HasSubstr("z must be [4, 6]; it is [4, 5]"));
  EXPECT_THAT(Refusal([&] { inputs.Float("y", "[B]"); }), HasSubstr("y must be [B] with B = 2"));
}

TEST(ComponentInputs, NoAxisMayBeEmpty) {
  ComponentInputs inputs({{"x", at::zeros({2, 0})}}, {"x"}, {});
  EXPECT_THAT(Refusal([&] { inputs.Float("x", "[B, L]"); }), HasSubstr("it is [2, 0]"));
}

TEST(ComponentInputs, DtypesAreWidenedOrRefused) {
  ComponentInputs inputs({{"half", at::full({2}, 0.5, at::kBFloat16)},
                          {"int", at::full({2}, 7, at::kInt)},
                          {"bool", at::ones({2}, at::kBool)}},
                         {"half", "int", "bool"}, {});
  EXPECT_EQ(inputs.Float("half", "[B]").scalar_type(), at::kFloat);
  EXPECT_EQ(inputs.Whole("int", "[B]").scalar_type(), at::kLong);
  EXPECT_EQ(inputs.Whole("bool", "[B]").scalar_type(), at::kLong);
  EXPECT_EQ(inputs.Real("int", "[B]").scalar_type(), at::kDouble);
  EXPECT_THAT(Refusal([&] { inputs.Float("int", "[B]"); }),
              AllOf(HasSubstr("int must be of a floating dtype"), HasSubstr("it is int")));
  EXPECT_THAT(Refusal([&] { inputs.Whole("half", "[B]"); }), HasSubstr("whole-number dtype; it is bfloat16"));
}

TEST(ComponentInputs, FloatLikeComparesWholeShapes) {
  ComponentInputs inputs({{"x", at::zeros({2, 3})}, {"y", at::zeros({3, 2})}}, {"x", "y"}, {});
  EXPECT_NO_THROW(inputs.FloatLike("x", "x"));
  EXPECT_THAT(Refusal([&] { inputs.FloatLike("y", "x"); }),
              HasSubstr("y must be of the shape of x, [2, 3]; it is [3, 2]"));
}

}  // namespace
}  // namespace svi::engine
