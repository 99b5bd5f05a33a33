#include "worker/engine/lora/lora_merge.h"

#include <c10/core/InferenceMode.h>

#include <algorithm>
#include <stdexcept>

namespace svi::engine {
namespace {

// Elements of a weight that are merged at a time: a float32 intermediate of 16 MiB. Smaller ones stay in a
// cache and save a tenth of the time on an idle machine, but on a busy one the threads wait for each other
// after every operation, and fewer operations were twice as fast (measured).
constexpr int64_t kElementsAtATime = int64_t{1} << 22;

}  // namespace

// What one LoRA adds to a layer: factor · up · down.
struct LoraMerge::Term {
  const LoraModule* module;
  double factor;
};

LoraMerge::LoraMerge(Transformer& transformer) : linears_(transformer.Linears()) {}

void LoraMerge::Apply(const std::vector<LoraUse>& uses, const std::function<void()>& before_layer) {
  const c10::InferenceMode no_gradients;
  std::map<std::string, std::vector<Term>> wanted;
  for (const LoraUse& use : uses) {
    if (use.strength == 0) continue;
    for (const auto& [name, module] : use.weights->modules) {
      wanted[name].push_back({&module, use.strength * module.scale});
    }
  }
  try {
    std::vector<std::string> unwanted;
    for (const auto& [name, base] : base_) {
      if (!wanted.contains(name)) unwanted.push_back(name);
    }
    for (const std::string& name : unwanted) Restore(name);
    for (const auto& [name, terms] : wanted) {
      before_layer();
      Merge(name, terms);
    }
  } catch (...) {
    RestoreAll();
    throw;
  }
  CountBytes();
}

void LoraMerge::Merge(const std::string& name, const std::vector<Term>& terms) {
  const auto found = linears_.find(name);
  if (found == linears_.end()) throw std::invalid_argument("LoRA: the model has no layer " + name);
  Linear& linear = *found->second;
  const at::Device device = linear.weight().device();

  // The LoRAs side by side are one of the sum of their ranks, so that one product sums their terms.
  std::vector<at::Tensor> ups, downs;
  for (const Term& term : terms) {
    ups.push_back(term.module->up.to(device, at::kFloat).mul(term.factor));
    downs.push_back(term.module->down.to(device, at::kFloat));
  }
  const at::Tensor up = at::cat(ups, 1), down = at::cat(downs, 0);
  if (up.size(0) != linear.weight().size(0) || down.size(1) != linear.weight().size(1)) {
    throw std::invalid_argument("LoRA: layer " + name + " has another shape");
  }

  if (!base_.contains(name)) base_[name] = linear.weight().to(at::kCPU);  // the tensor itself on a CPU
  const at::Tensor base = base_.at(name);
  at::Tensor merged = linear.weight();
  if (device.is_cpu()) {
    linear.set_weight(base);  // lets go of an earlier merged weight before the next one is made
    merged = at::empty_like(base);
  }
  const int64_t rows = merged.size(0);
  const int64_t step = std::max<int64_t>(1, kElementsAtATime / std::max<int64_t>(1, merged.size(1)));
  const at::Tensor scratch = at::empty({std::min(step, rows), merged.size(1)}, up.options());
  for (int64_t row = 0; row < rows; row += step) {
    const int64_t count = std::min(step, rows - row);
    at::Tensor sum = scratch.narrow(0, 0, count);
    at::mm_out(sum, up.narrow(0, row, count), down);
    sum.add_(base.narrow(0, row, count).to(device));
    merged.narrow(0, row, count).copy_(sum);
  }
  linear.set_weight(merged);
}

void LoraMerge::Restore(const std::string& name) {
  const auto base = base_.find(name);
  Linear& linear = *linears_.at(name);
  if (linear.weight().device().is_cpu()) {
    linear.set_weight(base->second);
  } else {
    at::Tensor weight = linear.weight();
    weight.copy_(base->second);  // in place: a GPU that is full can still go back
    linear.set_weight(weight);
  }
  base_.erase(base);
}

void LoraMerge::RestoreAll() {
  while (!base_.empty()) Restore(base_.begin()->first);
  CountBytes();
}

void LoraMerge::CountBytes() {
  uint64_t bytes = 0;
  for (const auto& [name, base] : base_) bytes += base.nbytes();
  merged_bytes_ = bytes;
}

}  // namespace svi::engine
