#include "worker/engine/tools/bench_train.h"

#include <ATen/CPUGeneratorImpl.h>
#include <c10/core/InferenceMode.h>

#include <memory>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "worker/engine/train/adamw.h"
#include "worker/engine/train/trainable.h"

namespace svi::engine {
namespace {

constexpr uint64_t kSeed = 7;
constexpr int64_t kTextTokens = 512;
constexpr int64_t kVaeScale = 16;
constexpr double kLearningRate = 1e-4;

// What a step works on.
struct TrainBench {
  Trainable trainable;
  AdamW optimiser;
  at::Tensor hidden, target, timesteps, text;

  void Step(bool checkpoint_blocks) {
    const c10::InferenceMode with_gradients(false);
    const Transformer& model = *trainable.transformer;
    const auto context = model.PrepareText(text);
    const at::Tensor predicted = model.Forward(hidden, timesteps, *context, checkpoint_blocks);
    // The clean slot has no say.
    const at::Tensor miss = (predicted - target).narrow(2, 1, target.size(2) - 1);
    Backward(miss.to(at::kFloat).square().mean());
    ClipGradients(trainable.parameters, GradientNorm(trainable.parameters), 1.0);
    optimiser.Step(kLearningRate);
    ClearGradients(trainable.parameters);
  }
};

}  // namespace

LoadedBenchPart LoadTrainPart(const BenchOptions& options, at::Device device) {
  const c10::InferenceMode with_gradients(false);
  const auto rank = static_cast<int64_t>(options.lora_rank);
  Trainable trainable =
      LoadTrainableLora(options.engine.model_dir, device, {.rank = rank, .alpha = static_cast<double>(rank)});
  const TransformerConfig config = trainable.transformer->config();
  AdamW optimiser(trainable.parameters, {});
  at::Generator generator = at::detail::createCPUGenerator(kSeed);
  const at::ScalarType dtype = device.is_cuda() ? at::kBFloat16 : at::kFloat;
  const auto random = [&](at::IntArrayRef shape) {
    return at::randn(shape, generator, at::kFloat).to(device, dtype);
  };
  const std::vector<int64_t> shape = {1, config.in_channels, (options.num_frames - 1) / 4 + 1,
                                      options.height / kVaeScale, options.width / kVaeScale};
  const int64_t of_a_slot = shape[3] / 2 * (shape[4] / 2), tokens = shape[2] * of_a_slot;
  const at::Tensor timesteps = at::full({1, tokens}, 500.0, at::TensorOptions().device(device));
  timesteps.narrow(1, 0, of_a_slot).zero_();
  const auto bench = std::make_shared<TrainBench>(TrainBench{std::move(trainable), std::move(optimiser),
                                                             random(shape), random(shape), timesteps,
                                                             random({1, kTextTokens, config.text_dim})});

  const std::string about = absl::StrCat(absl::StrJoin(shape, "×"), ", ", tokens, " tokens, rank ", rank);
  const auto step = [bench](bool checkpoint_blocks) {
    return [bench, checkpoint_blocks] {
      bench->Step(checkpoint_blocks);
      return absl::OkStatus();
    };
  };
  return {{{"train-step", about, step(false), {}}, {"train-step-checkpointed", about, step(true), {}}},
          step(true)};
}

}  // namespace svi::engine
