#include "worker/engine/train/lora_adapter.h"

#include <ATen/CPUGeneratorImpl.h>
#include <c10/core/InferenceMode.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <stdexcept>
#include <string>
#include <string_view>

#include "worker/engine/lora/lora_names.h"

namespace svi::engine {
namespace {

[[noreturn]] void Refuse(const std::string& what) { throw std::invalid_argument("LoRA: " + what); }

bool Matches(std::string_view target, std::string_view layer) {
  if (!layer.ends_with(target)) return false;
  return layer.size() == target.size() || layer[layer.size() - target.size() - 1] == '.';
}

// A layer that gets an adapter.
struct Target {
  std::string original;  // the name in Wan's spelling
  Linear* linear;
};

// By Diffusers' names.
std::map<std::string, Target> FindTargets(Transformer& transformer, const std::vector<std::string>& targets) {
  if (targets.empty()) Refuse("targets is empty");
  const std::map<std::string, Linear*> linears = transformer.Linears();
  std::map<std::string, Target> found;
  for (const std::string& target : targets) {
    bool any = false;
    for (const auto& [name, linear] : linears) {
      const std::string original = OriginalLayerName(name).value_or(name);
      if (target.empty() || (!Matches(target, original) && !Matches(target, name))) continue;
      found[name] = {original, linear};
      any = true;
    }
    if (!any) Refuse("targets: the model has no layer \"" + target.substr(0, 120) + "\"");
  }
  return found;
}

// As torch.nn.init.kaiming_uniform_ with a = sqrt(5).
at::Tensor FirstDown(int64_t rank, int64_t in, at::Generator& generator) {
  const double bound = 1.0 / std::sqrt(static_cast<double>(in));
  return at::empty({rank, in}, at::kFloat).uniform_(-bound, bound, generator);
}

}  // namespace

std::vector<Parameter> AddAdapters(Transformer& transformer, const LoraAdapterOptions& options) {
  const c10::InferenceMode normal_tensors(false);
  if (options.rank < 1) Refuse("rank must be at least 1");
  if (!std::isfinite(options.alpha) || options.alpha <= 0) Refuse("alpha must be above 0");
  const std::map<std::string, Target> targets = FindTargets(transformer, options.targets);
  at::Generator generator = at::detail::createCPUGenerator(options.seed);
  std::vector<Parameter> parameters;
  for (const auto& [name, target] : targets) {
    const at::Tensor& weight = target.linear->weight();
    const int64_t out = weight.size(0), in = weight.size(1);
    if (options.rank > std::min(out, in)) {
      Refuse("rank must be at most " + std::to_string(std::min(out, in)) + ", the narrower side of " + name);
    }
    LoraAdapter adapter;
    adapter.down = FirstDown(options.rank, in, generator).to(weight.device()).set_requires_grad(true);
    adapter.up = at::zeros({out, options.rank}, adapter.down.options()).set_requires_grad(true);
    adapter.scale = options.alpha / static_cast<double>(options.rank);
    const std::string prefix = "pipe.dit." + target.original;
    parameters.push_back({prefix + ".lora_A.default.weight", adapter.down});
    parameters.push_back({prefix + ".lora_B.default.weight", adapter.up});
    target.linear->set_adapter(adapter);
  }
  std::sort(parameters.begin(), parameters.end(),
            [](const Parameter& a, const Parameter& b) { return a.name < b.name; });
  return parameters;
}

}  // namespace svi::engine
