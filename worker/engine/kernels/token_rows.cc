#include "worker/engine/kernels/token_rows.h"

#include <torch/csrc/autograd/custom_function.h>

#include "worker/engine/nn/linear_recorded.h"

namespace svi::engine {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

at::Tensor Compute(const at::Tensor& x, const at::Tensor& update, const at::Tensor& gate,
                   const at::Tensor& row_of_token) {
  return at::addcmul(x, update, SpreadRows(gate, row_of_token)).to(x.scalar_type());
}

class AddGatedFunction : public torch::autograd::Function<AddGatedFunction> {
 public:
  static at::Tensor forward(AutogradContext* context, const at::Tensor& x, const at::Tensor& update,
                            const at::Tensor& gate, const at::Tensor& row_of_token) {
    context->save_for_backward({gate.requires_grad() ? update : at::Tensor(), gate, row_of_token});
    context->saved_data["update_dtype"] = update.scalar_type();
    return Compute(x, update, gate, row_of_token);
  }

  static variable_list backward(AutogradContext* context, const variable_list& gradients) {
    const variable_list saved = context->get_saved_variables();
    const at::Tensor &update = saved[0], &gate = saved[1], &row_of_token = saved[2];
    const at::Tensor& gradient = gradients[0];
    variable_list result(4);
    result[0] = gradient;
    if (context->needs_input_grad(1)) {
      result[1] = (gradient * SpreadRows(gate, row_of_token))
                      .to(context->saved_data.at("update_dtype").toScalarType());
    }
    if (context->needs_input_grad(2)) {
      result[2] = SumOverTokens(gradient * update, row_of_token, gate.size(1)).to(gate.scalar_type());
    }
    return result;
  }
};

}  // namespace

at::Tensor SpreadRows(const at::Tensor& rows, const at::Tensor& row_of_token) {
  if (rows.size(1) == 1) return rows;
  return rows.gather(1, row_of_token.unsqueeze(-1).expand({-1, -1, rows.size(2)}));
}

at::Tensor SumOverTokens(const at::Tensor& of_token, const at::Tensor& row_of_token, int64_t count) {
  const at::Tensor wide = of_token.to(at::promote_types(of_token.scalar_type(), at::kFloat));
  if (count == 1) return wide.sum(1, /*keepdim=*/true);
  const at::Tensor row = at::arange(count, row_of_token.options()).view({1, count, 1});
  return at::bmm((row_of_token.unsqueeze(1) == row).to(wide.scalar_type()), wide);
}

at::Tensor AddGated(const at::Tensor& x, const at::Tensor& update, const at::Tensor& gate,
                    const at::Tensor& row_of_token) {
  if (Recorded(x) || Recorded(update) || Recorded(gate)) {
    return AddGatedFunction::apply(x, update, gate, row_of_token);
  }
  return Compute(x, update, gate, row_of_token);
}

}  // namespace svi::engine
