#include "worker/engine/nn/checkpointed.h"

#include <torch/csrc/autograd/autograd.h>
#include <torch/csrc/autograd/custom_function.h>

#include <utility>

namespace svi::engine {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

struct HeldComputation : torch::CustomClassHolder {
  explicit HeldComputation(Computation c) : compute(std::move(c)) {}
  Computation compute;
};

class CheckpointFunction : public torch::autograd::Function<CheckpointFunction> {
 public:
  static at::Tensor forward(AutogradContext* context, c10::intrusive_ptr<HeldComputation> held,
                            at::TensorList inputs, const at::Tensor& /*anchor*/) {
    context->save_for_backward(inputs.vec());
    context->saved_data["compute"] = c10::IValue::make_capsule(held);
    return held->compute(inputs.vec(), Want::kResult);
  }

  static variable_list backward(AutogradContext* context, const variable_list& gradients) {
    const auto held =
        c10::static_intrusive_pointer_cast<HeldComputation>(context->saved_data.at("compute").toCapsule());
    std::vector<at::Tensor> inputs;
    for (const at::Tensor& saved : context->get_saved_variables()) {
      inputs.push_back(saved.detach().set_requires_grad(saved.requires_grad()));
    }
    at::Tensor output;
    {
      const at::AutoGradMode record(true);
      output = held->compute(inputs, Want::kGraph);
    }
    // Adds to the leaves' gradients at once: this block's activations are gone before the next block's come.
    if (output.requires_grad()) torch::autograd::backward({output}, {gradients[0]});

    variable_list result = {at::Tensor()};  // of `held`
    for (const at::Tensor& input : inputs) result.push_back(input.grad());
    result.emplace_back();  // of the anchor
    return result;
  }
};

}  // namespace

at::Tensor Checkpointed(Computation compute, const std::vector<at::Tensor>& inputs) {
  if (!at::GradMode::is_enabled()) return compute(inputs, Want::kResult);
  // A node is recorded only if one of its inputs requires a gradient. With a frozen base the first block's do
  // not, but the adapters within it do.
  const at::Tensor anchor = at::empty({0}).set_requires_grad(true);
  auto held = c10::make_intrusive<HeldComputation>(std::move(compute));
  return CheckpointFunction::apply(std::move(held), at::TensorList(inputs), anchor);
}

}  // namespace svi::engine
