#include "worker/engine/nn/rms_norm_recorded.h"

#include <torch/csrc/autograd/custom_function.h>

namespace svi::engine {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

class RmsNormFunction : public torch::autograd::Function<RmsNormFunction> {
 public:
  static at::Tensor forward(AutogradContext* context, const at::Tensor& x, const at::Tensor& weight,
                            double eps) {
    context->save_for_backward({x, weight});
    context->saved_data["eps"] = eps;
    return at::rms_norm(x, {x.size(-1)}, weight, eps);
  }

  // With n = x / rms: of weight Σ g·n, and of x (g·w - n · mean(g·w·n)) / rms.
  static variable_list backward(AutogradContext* context, const variable_list& gradients) {
    const variable_list saved = context->get_saved_variables();
    const at::Tensor &x = saved[0], &weight = saved[1], &gradient = gradients[0];
    const double eps = context->saved_data.at("eps").toDouble();
    const auto width = static_cast<double>(x.size(-1));
    const at::Tensor inverse_rms =
        at::linalg_vector_norm(x, 2, at::IntArrayRef{-1}, true).square_().div_(width).add_(eps).rsqrt_();
    at::Tensor normed = x * inverse_rms;
    variable_list result(3);
    at::Tensor scaled = gradient * normed;  // g·n
    if (context->needs_input_grad(1)) result[1] = scaled.flatten(0, -2).sum(0);
    if (!context->needs_input_grad(0)) return result;
    const at::Tensor mean = at::matmul(scaled, weight).unsqueeze_(-1).div_(width);  // of g·w·n
    at::Tensor of_x = at::mul_out(scaled, gradient, weight);
    of_x.addcmul_(normed, mean, -1);
    result[0] = of_x.mul_(inverse_rms);
    return result;
  }
};

}  // namespace

at::Tensor RmsNormRecorded(const at::Tensor& x, const at::Tensor& weight, double eps) {
  return RmsNormFunction::apply(x, weight, eps);
}

}  // namespace svi::engine
