#include "worker/engine/kernels/modulated_norm_recorded.h"

#include <torch/csrc/autograd/custom_function.h>

#include <tuple>

#include "worker/engine/kernels/modulated_norm.h"
#include "worker/engine/kernels/token_rows.h"

namespace svi::engine {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

class ModulatedNormFunction : public torch::autograd::Function<ModulatedNormFunction> {
 public:
  static at::Tensor forward(AutogradContext* context, const at::Tensor& x, const at::Tensor& shift,
                            const at::Tensor& scale, const at::Tensor& row_of_token, double eps) {
    context->save_for_backward({x, scale, row_of_token});
    context->saved_data["eps"] = eps;
    return ModulatedNorm(x, shift, scale, row_of_token, eps);
  }

  static variable_list backward(AutogradContext* context, const variable_list& gradients) {
    const variable_list saved = context->get_saved_variables();
    const at::Tensor &x = saved[0], &scale = saved[1], &row_of_token = saved[2];
    const double eps = context->saved_data.at("eps").toDouble();
    const at::ScalarType dtype = at::promote_types(x.scalar_type(), at::kFloat);
    const at::Tensor gradient = gradients[0].to(dtype), wide = x.to(dtype);
    const auto [normed, mean, inverse_std] = at::native_layer_norm(wide, {x.size(-1)}, {}, {}, eps);

    variable_list result(5);
    if (context->needs_input_grad(1)) {
      result[1] = SumOverTokens(gradient, row_of_token, scale.size(1)).to(scale.scalar_type());
    }
    if (context->needs_input_grad(2)) {
      result[2] = SumOverTokens(gradient * normed, row_of_token, scale.size(1)).to(scale.scalar_type());
    }
    if (context->needs_input_grad(0)) {
      const at::Tensor of_normed = gradient * SpreadRows(scale + 1, row_of_token);
      result[0] = std::get<0>(at::native_layer_norm_backward(of_normed, wide, {x.size(-1)}, mean, inverse_std,
                                                             {}, {}, {true, false, false}))
                      .to(x.scalar_type());
    }
    return result;
  }
};

}  // namespace

at::Tensor ModulatedNormRecorded(const at::Tensor& x, const at::Tensor& shift, const at::Tensor& scale,
                                 const at::Tensor& row_of_token, double eps) {
  return ModulatedNormFunction::apply(x, shift, scale, row_of_token, eps);
}

}  // namespace svi::engine
