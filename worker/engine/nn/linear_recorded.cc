#include "worker/engine/nn/linear_recorded.h"

#include <torch/csrc/autograd/custom_function.h>

#include <optional>
#include <vector>

#include "worker/engine/nn/linear_upcast.h"

namespace svi::engine {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

at::Tensor Rows(const at::Tensor& x) { return x.reshape({-1, x.size(-1)}); }
// The same of what is written to.
at::Tensor RowsView(const at::Tensor& x) { return x.view({-1, x.size(-1)}); }

std::optional<at::Tensor> Maybe(const at::Tensor& tensor) {
  return tensor.defined() ? std::optional(tensor) : std::nullopt;
}

// gradient [n, out], x [n, in] → [out, in], in the parameter's dtype.
at::Tensor WeightGradient(const at::Tensor& gradient, const at::Tensor& x, at::ScalarType dtype) {
  return at::mm(gradient.t(), x).to(dtype);
}

// What a product with the weight would be written to.
at::Tensor EmptyResult(const at::Tensor& x, const at::Tensor& weight) {
  std::vector<int64_t> shape = x.sizes().vec();
  shape.back() = weight.size(0);
  return at::empty(shape, x.options());
}

// x W^T + b + scale · narrow B^T, narrow = x A^T, which is given back.
at::Tensor Compute(const at::Tensor& x, const at::Tensor& weight, const at::Tensor& bias,
                   const at::Tensor& down, const at::Tensor& up, double scale, Want want,
                   at::Tensor& narrow) {
  at::Tensor y = want == Want::kGraph ? EmptyResult(x, weight) : LinearUpcast(x, weight, bias);
  if (!down.defined()) return y;
  narrow = at::mm(Rows(x), down.to(x.scalar_type()).t());
  if (want == Want::kResult) RowsView(y).addmm_(narrow, up.to(x.scalar_type()).t(), 1, scale);
  return y;
}

class LinearFunction : public torch::autograd::Function<LinearFunction> {
 public:
  // Arguments that are there count as the node's inputs, in this order.
  static at::Tensor forward(AutogradContext* context, const at::Tensor& x, const at::Tensor& weight,
                            const std::optional<at::Tensor>& bias, const std::optional<at::Tensor>& down,
                            const std::optional<at::Tensor>& up, double scale, bool graph_only) {
    at::Tensor narrow;
    const at::Tensor y =
        Compute(x, weight, bias.value_or(at::Tensor()), down.value_or(at::Tensor()),
                up.value_or(at::Tensor()), scale, graph_only ? Want::kGraph : Want::kResult, narrow);
    const bool keeps_x = weight.requires_grad() || (down && down->requires_grad());
    context->save_for_backward({keeps_x ? x : at::Tensor(), weight, bias.value_or(at::Tensor()),
                                down.value_or(at::Tensor()), up.value_or(at::Tensor()), narrow});
    context->saved_data["scale"] = scale;
    return y;
  }

  static variable_list backward(AutogradContext* context, const variable_list& gradients) {
    const variable_list saved = context->get_saved_variables();
    const at::Tensor &x = saved[0], &weight = saved[1], &bias = saved[2], &down = saved[3], &up = saved[4],
                     &narrow = saved[5];
    const at::Tensor& gradient = gradients[0];
    const at::Tensor rows = Rows(gradient);
    variable_list result(7);
    const bool needs_x = context->needs_input_grad(0);
    if (needs_x) result[0] = LinearInputGradient(gradient, weight);
    if (weight.requires_grad()) result[1] = WeightGradient(rows, Rows(x), weight.scalar_type());
    if (bias.defined() && bias.requires_grad()) result[2] = rows.sum(0).to(bias.scalar_type());
    if (!down.defined()) return result;

    const double scale = context->saved_data.at("scale").toDouble();
    if (up.requires_grad()) result[4] = WeightGradient(rows, narrow, up.scalar_type()).mul_(scale);
    if (!needs_x && !down.requires_grad()) return result;
    const at::Tensor of_narrow = at::mm(rows, up.to(rows.scalar_type())).mul_(scale);
    if (down.requires_grad()) result[3] = WeightGradient(of_narrow, Rows(x), down.scalar_type());
    if (needs_x) RowsView(result[0]).addmm_(of_narrow, down.to(rows.scalar_type()));
    return result;
  }
};

}  // namespace

bool Recorded(const at::Tensor& input) {
  return at::GradMode::is_enabled() && input.defined() && input.requires_grad();
}

at::Tensor LinearRecorded(const at::Tensor& x, const at::Tensor& weight, const at::Tensor& bias,
                          const LoraAdapter* adapter, Want want) {
  const LoraAdapter none;
  const auto& [down, up, scale] = adapter != nullptr ? *adapter : none;
  if (at::GradMode::is_enabled()) {
    return LinearFunction::apply(x, weight, Maybe(bias), Maybe(down), Maybe(up), scale, want == Want::kGraph);
  }
  at::Tensor narrow;
  return Compute(x, weight, bias, down, up, scale, want, narrow);
}

}  // namespace svi::engine
