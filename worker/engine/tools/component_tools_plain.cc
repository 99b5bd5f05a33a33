// The components without a network: tokenizer, scheduler and svi-train-step.
#include <fstream>
#include <iterator>
#include <system_error>

#include "absl/strings/str_cat.h"
#include "worker/engine/checkpoint/loaders.h"
#include "worker/engine/sampler/schedule.h"
#include "worker/engine/text/clean.h"
#include "worker/engine/tools/component_tools_parts.h"
#include "worker/engine/train/flow_matching.h"
#include "worker/engine/weights/mapped_file.h"

namespace svi::engine {
namespace {

constexpr int kMaxTokens = 512;

// Without line ends ("\n" or "\r\n"); what follows the last one is a line unless it is empty.
std::vector<std::string> ReadLines(const std::string& path) {
  errno = 0;
  std::ifstream in(path, std::ios::binary);
  const auto fail = [&] {
    throw std::system_error(errno == 0 ? EIO : errno, std::generic_category(),
                            "--text-file " + BaseName(path));
  };
  if (!in) fail();
  std::vector<std::string> lines;
  for (std::string line; std::getline(in, line);) {
    if (line.ends_with('\r')) line.pop_back();
    lines.push_back(std::move(line));
  }
  if (in.bad()) fail();
  return lines;
}

}  // namespace

Sampler SamplerOf(const RunComponentOptions& options) {
  if (options.sampler == "unipc") return Sampler::kUniPc;
  if (options.sampler == "euler") return Sampler::kEuler;
  throw std::invalid_argument("--sampler must be unipc or euler");
}

NamedTensors RunTokenizer(ComponentRun& run) {
  const std::vector<std::string> lines = ReadLines(run.options.text_file);
  const auto tokenizer = LoadTokenizer(run.options.model_dir);
  const auto count = static_cast<int64_t>(lines.size());
  const at::Tensor ids = at::zeros({count, kMaxTokens}, at::kLong);
  const at::Tensor mask = at::zeros({count, kMaxTokens}, at::kLong);
  for (int64_t row = 0; row < count; ++row) {
    const std::string cleaned = CleanPrompt(lines[static_cast<size_t>(row)]);
    const std::vector<int64_t> found = tokenizer->Encode(cleaned, kMaxTokens);
    const auto length = static_cast<int64_t>(found.size());
    ids[row].narrow(0, 0, length).copy_(at::tensor(at::ArrayRef<int64_t>(found), at::kLong));
    mask[row].narrow(0, 0, length).fill_(1);
  }
  return {{"input_ids", ids}, {"attention_mask", mask}};
}

NamedTensors RunScheduler(ComponentRun& run) {
  const Sampler kind = SamplerOf(run.options);
  const Schedule schedule = MakeSchedule(kind, run.options.steps, run.options.shift);
  const at::ScalarType dtype = kind == Sampler::kUniPc ? at::kLong : at::kFloat;
  return {{"timesteps", at::tensor(schedule.timesteps, at::kDouble).to(dtype)},
          {"sigmas", at::tensor(schedule.sigmas, at::kDouble).to(at::kFloat)}};
}

NamedTensors RunSviTrainStep(ComponentRun& run) {
  const auto tensor = [&](const char* name) {
    return run.inputs.Has(name) ? run.inputs.FloatLike(name, "latents") : at::Tensor();
  };
  const int64_t index = run.inputs.Whole("timestep_index", "[1]").item<int64_t>();
  if (index < 0 || index >= kTrainTimesteps) {
    ComponentInputs::Refuse("timestep_index",
                            absl::StrCat("from 0 to ", kTrainTimesteps - 1, "; it is ", index));
  }
  const TrainSchedule schedule = MakeTrainSchedule(run.options.shift);
  const NoisyLatents noisy = MakeNoisy(schedule, index, tensor("latents"), tensor("noise"),
                                       tensor("noise_error"), tensor("latent_error"));
  const at::Tensor prediction = tensor("prediction");
  if (prediction.sizes() != noisy.target.sizes()) ComponentInputs::Refuse("prediction", "shaped as latents");
  const at::Tensor miss = prediction - noisy.target;
  const OneStepErrors errors = MakeErrors(schedule, index, miss);
  return {{"noisy_input", noisy.input},
          {"target", noisy.target},
          {"loss", WeightedLoss(schedule, index, miss)},
          {"noise_error", errors.noise},
          {"latent_error", errors.latent},
          {"grid", at::tensor({schedule.grids.at(static_cast<size_t>(index))}, at::kLong)}};
}

}  // namespace svi::engine
