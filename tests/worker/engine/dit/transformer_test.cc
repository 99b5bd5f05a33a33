#include "worker/engine/dit/transformer.h"

#include <c10/core/InferenceMode.h>

#include <stdexcept>

#include "tests/worker/engine/dit/seeded_model.h"
#include "worker/engine/weights/safetensors.h"

namespace svi::engine {
namespace {

struct Model {
  const char* name;
  TransformerConfig config;
  int64_t frames, height, width;
  int64_t tokens_per_frame() const { return height * width / 4; }
};

Model ModelA() { return {"a", ConfigA(), 3, 6, 10}; }
Model ModelB() { return {"b", ConfigB(), 4, 6, 22}; }

at::Tensor Hidden(const Model& model) {
  return SeededUniform(1, {2, model.config.in_channels, model.frames, model.height, model.width}, 1.7);
}
at::Tensor Text(const Model& model) { return SeededUniform(2, {2, 17, model.config.text_dim}, 1.7); }

// 0 for the first frame of each sample, its own timestep for the others.
at::Tensor Tokens(const Model& model, const at::Tensor& timesteps) {
  at::Tensor rows = timesteps.unsqueeze(1).repeat({1, model.frames * model.tokens_per_frame()});
  rows.narrow(1, 0, model.tokens_per_frame()).zero_();
  return rows;
}

double MaxDifference(const at::Tensor& a, const at::Tensor& b) { return (a - b).abs().max().item<double>(); }

class TransformerParity : public ::testing::TestWithParam<Model> {
 protected:
  void Expect(const std::string& name, const at::Tensor& hidden, const at::Tensor& timestep,
              const at::Tensor& text) {
    SCOPED_TRACE(name);
    const c10::InferenceMode inference;
    const at::Tensor out = transformer_->Forward(hidden, timestep, *transformer_->PrepareText(text));
    const at::Tensor expected = golden_.at(name);
    ASSERT_EQ(out.sizes(), expected.sizes());
    EXPECT_LE(MaxDifference(out, expected), 1.2e-5);
  }

  const Model model_ = GetParam();
  const std::unique_ptr<Transformer> transformer_ = SeededTransformer(model_.config);
  const std::map<std::string, at::Tensor> golden_ =
      ReadSafetensors(std::string(SVI_SOURCE_DIR "/tests/golden/dit/outputs_") + model_.name + ".safetensors")
          .tensors;
};

// Against diffusers' WanTransformer3DModel: tests/golden/dit/make_fixtures.py.
TEST_P(TransformerParity, OneTimestepASample) {
  const at::Tensor whole = at::tensor({int64_t{999}, int64_t{312}});
  Expect("scalar", Hidden(model_), whole, Text(model_));
  Expect("scalar_frac", Hidden(model_), at::tensor({999.8f, 312.25f}), Text(model_));
  // Small values let a wrong epsilon show: 1e-5 would cost 2e-3.
  Expect("small", Hidden(model_) * 1e-3, whole, Text(model_));
}

TEST_P(TransformerParity, ATimestepAToken) {
  const at::Tensor whole = Tokens(model_, at::tensor({int64_t{999}, int64_t{312}}));
  Expect("tokens", Hidden(model_), whole, Text(model_));
  at::Tensor mixed = Tokens(model_, at::tensor({999.8f, 312.25f}));
  mixed[1].slice(0, 2 * model_.tokens_per_frame()).fill_(500.125);
  Expect("tokens_frac", Hidden(model_), mixed, Text(model_));
}

TEST_P(TransformerParity, PaddedTextIsAttendedTo) {
  at::Tensor padded = at::constant_pad_nd(Text(model_), {0, 0, 0, 47});
  padded[1].slice(0, 9).zero_();
  Expect("tokens_padded_text", Hidden(model_), Tokens(model_, at::tensor({int64_t{999}, int64_t{312}})),
         padded);
}

INSTANTIATE_TEST_SUITE_P(All, TransformerParity, ::testing::Values(ModelA(), ModelB()),
                         [](const auto& info) { return std::string(info.param.name); });

class TransformerTest : public ::testing::Test {
 protected:
  at::Tensor Run(const Transformer& transformer, const at::Tensor& hidden, const at::Tensor& timestep) {
    return transformer.Forward(hidden, timestep,
                               *transformer.PrepareText(Text(model_).to(hidden.scalar_type())));
  }
  const c10::InferenceMode inference_;
  const Model model_ = ModelA();
  const std::unique_ptr<Transformer> transformer_ = SeededTransformer(model_.config);
};

TEST_F(TransformerTest, EqualTimestepsOfAllTokensAreOneTimestep) {
  const at::Tensor one = at::tensor({731.5, 20.0}, at::kDouble);
  const at::Tensor each = one.unsqueeze(1).repeat({1, model_.frames * model_.tokens_per_frame()});
  EXPECT_LE(MaxDifference(Run(*transformer_, Hidden(model_), one), Run(*transformer_, Hidden(model_), each)),
            1e-6);
}

TEST_F(TransformerTest, OneTextServesAWholeBatch) {
  const at::Tensor text = Text(model_).narrow(0, 0, 1), timestep = at::tensor({731.5, 20.0});
  const at::Tensor shared = transformer_->Forward(Hidden(model_), timestep, *transformer_->PrepareText(text));
  const at::Tensor repeated =
      transformer_->Forward(Hidden(model_), timestep, *transformer_->PrepareText(text.repeat({2, 1, 1})));
  EXPECT_LE(MaxDifference(shared, repeated), 1e-6);
}

TEST_F(TransformerTest, SamplesOfABatchDoNotSeeEachOther) {
  const at::Tensor timestep = Tokens(model_, at::tensor({999.0, 312.0}));
  const at::Tensor both = Run(*transformer_, Hidden(model_), timestep);
  const at::Tensor second = transformer_->Forward(Hidden(model_).narrow(0, 1, 1), timestep.narrow(0, 1, 1),
                                                  *transformer_->PrepareText(Text(model_).narrow(0, 1, 1)));
  EXPECT_LE(MaxDifference(both.narrow(0, 1, 1), second), 4e-6);
}

TEST_F(TransformerTest, Bf16WeightsComputeInTheInputsDtype) {
  auto rounded = SeededWeights(model_.config);
  for (auto& [name, tensor] : rounded) tensor = tensor.to(at::kBFloat16).to(at::kFloat);
  WeightSource source("transformer", std::move(rounded));
  const Transformer wide(model_.config, source);
  source.Finish();
  const auto narrow = SeededTransformer(model_.config, at::kBFloat16);
  const at::Tensor timestep = at::tensor({999.0, 312.0});
  EXPECT_TRUE(at::equal(Run(*narrow, Hidden(model_), timestep), Run(wide, Hidden(model_), timestep)));
}

TEST_F(TransformerTest, Bf16ComputesToItsOwnPrecision) {
  const auto narrow = SeededTransformer(model_.config, at::kBFloat16);
  const at::Tensor timestep = Tokens(model_, at::tensor({999.0, 312.0}));
  const at::Tensor expected = Run(*transformer_, Hidden(model_), timestep);
  const at::Tensor out = Run(*narrow, Hidden(model_).to(at::kBFloat16), timestep);
  ASSERT_EQ(out.scalar_type(), at::kBFloat16);
  const double relative = ((out.to(at::kFloat) - expected).norm() / expected.norm()).item<double>();
  EXPECT_LE(relative, 0.014);  // twice what diffusers loses in bfloat16
  EXPECT_GT(relative, 1e-4) << "bf16 was not used";
}

TEST_F(TransformerTest, RefusesWhatDoesNotFit) {
  const auto text = transformer_->PrepareText(Text(model_));
  const at::Tensor t = at::tensor({1.0, 2.0});
  EXPECT_THROW(transformer_->Forward(at::ones({2, 47, 3, 6, 10}), t, *text), std::invalid_argument);
  EXPECT_THROW(transformer_->Forward(at::ones({2, 48, 3, 5, 10}), t, *text), std::invalid_argument);
  EXPECT_THROW(transformer_->Forward(at::ones({2, 48, 0, 6, 10}), t, *text), std::invalid_argument);
  EXPECT_THROW(transformer_->Forward(at::ones({48, 3, 6, 10}), t, *text), std::invalid_argument);
  EXPECT_THROW(transformer_->Forward(at::ones({3, 48, 3, 6, 10}), at::ones({3}), *text),
               std::invalid_argument);
  EXPECT_THROW(transformer_->Forward(Hidden(model_), at::ones({}), *text), std::invalid_argument);
  EXPECT_THROW(transformer_->Forward(Hidden(model_), at::ones({3}), *text), std::invalid_argument);
  EXPECT_THROW(transformer_->Forward(Hidden(model_), at::ones({2, 44}), *text), std::invalid_argument);
  EXPECT_THROW(transformer_->PrepareText(at::ones({2, 17, 31})), std::invalid_argument);
  EXPECT_THROW(transformer_->PrepareText(at::ones({17, 32})), std::invalid_argument);
}

// The trainer differentiates through the same code.
TEST(TransformerGradients, ReachTheInput) {
  const Model model = ModelA();
  const auto transformer = SeededTransformer(model.config);
  const at::Tensor hidden = Hidden(model).requires_grad_(true);
  const at::Tensor out = transformer->Forward(hidden, Tokens(model, at::tensor({999.0, 312.0})),
                                              *transformer->PrepareText(Text(model)));
  out.square().sum().backward();
  ASSERT_TRUE(hidden.grad().defined());
  EXPECT_TRUE(hidden.grad().isfinite().all().item<bool>());
  EXPECT_GT(hidden.grad().abs().min().item<double>(), 0.0);
}

}  // namespace
}  // namespace svi::engine
