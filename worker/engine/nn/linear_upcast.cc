// The matrix product of every linear layer on a CPU, as fast as this LibTorch has it.
//
// Two choices, both measured (2 threads, AVX-512, products of the 5B model, 128 to 1560 tokens): oneDNN's
// float32 product is 15 to 50 % faster than MKL's, which at::linear uses; and a bfloat16 weight that is
// widened into memory which is there already costs 2 to 15 %, where a fresh tensor each time (mapped, zeroed
// and returned page by page) costs up to half.
#include "worker/engine/nn/linear_upcast.h"

#include <ATen/core/dispatch/Dispatcher.h>
#include <c10/core/InferenceMode.h>

#include <algorithm>
#include <optional>
#include <string_view>
#include <vector>

#include "worker/engine/nn/linear_recorded.h"

namespace svi::engine {
namespace {

// The largest weight of the 5B model, and of umT5-xxl, is widened in one piece.
constexpr int64_t kScratchElements = int64_t{48} << 20;

using Product = at::Tensor(const at::Tensor&, const at::Tensor&, const std::optional<at::Tensor>&,
                           std::string_view, c10::List<std::optional<at::Scalar>>,
                           std::optional<std::string_view>);

// oneDNN's product, if this LibTorch was built with it.
const std::optional<c10::TypedOperatorHandle<Product>>& OneDnnProduct() {
  static const auto product = []() -> std::optional<c10::TypedOperatorHandle<Product>> {
    const auto found = c10::Dispatcher::singleton().findSchema({"mkldnn::_linear_pointwise", ""});
    if (!found || !found->hasKernelForDispatchKey(c10::DispatchKey::CPU)) return std::nullopt;
    return found->typed<Product>();
  }();
  return product;
}

at::Tensor PlainProduct(const at::Tensor& x, const at::Tensor& weight, const at::Tensor& bias) {
  return bias.defined() ? at::linear(x, weight, bias) : at::linear(x, weight);
}

at::Tensor Float32Product(const at::Tensor& x, const at::Tensor& weight, const at::Tensor& bias) {
  const auto& product = OneDnnProduct();
  if (!product) return PlainProduct(x, weight, bias);
  const std::optional<at::Tensor> maybe_bias = bias.defined() ? std::optional(bias) : std::nullopt;
  return product->call(x, weight, maybe_bias, "none", c10::List<std::optional<at::Scalar>>(), "");
}

// This thread's memory for `elements` floats. It stays until the thread ends.
at::Tensor Scratch(int64_t elements) {
  thread_local at::Tensor scratch;
  if (!scratch.defined() || scratch.numel() < elements) {
    // A tensor born in inference mode could not be written outside it.
    const c10::InferenceMode normal_tensors(false);
    scratch.reset();
    scratch = at::empty({elements}, at::kFloat);
  }
  return scratch.narrow(0, 0, elements);
}

// Calls of_block(begin, wide) for consecutive rows of a weight, widened into scratch memory: mostly all at
// once.
template <typename OfBlock>
void ForWideRows(const at::Tensor& weight, const OfBlock& of_block) {
  const int64_t rows = weight.size(0), columns = weight.size(1);
  const int64_t block = std::clamp<int64_t>(kScratchElements / columns, 1, rows);
  for (int64_t begin = 0; begin < rows; begin += block) {
    const int64_t count = std::min(block, rows - begin);
    at::Tensor wide = Scratch(block * columns).narrow(0, 0, count * columns).view({count, columns});
    wide.copy_(weight.narrow(0, begin, count));
    of_block(begin, wide);
  }
}

at::Tensor UpcastProduct(const at::Tensor& x, const at::Tensor& weight, const at::Tensor& bias) {
  std::vector<int64_t> shape = x.sizes().vec();
  shape.back() = weight.size(0);
  at::Tensor y;
  ForWideRows(weight, [&](int64_t begin, const at::Tensor& wide) {
    const int64_t count = wide.size(0);
    const at::Tensor part = Float32Product(x, wide, bias.defined() ? bias.narrow(0, begin, count) : bias);
    if (count == shape.back()) {
      y = part;
      return;
    }
    if (!y.defined()) y = at::empty(shape, x.options());
    y.narrow(-1, begin, count).copy_(part);
  });
  return y;
}

bool NeedsWidening(const at::Tensor& x, const at::Tensor& weight) {
  return x.is_cpu() && x.scalar_type() == at::kFloat && weight.scalar_type() != at::kFloat && x.numel() > 0;
}

}  // namespace

at::Tensor LinearUpcast(const at::Tensor& x, const at::Tensor& weight, const at::Tensor& bias) {
  if (Recorded(x) || Recorded(weight) || Recorded(bias)) return LinearRecorded(x, weight, bias);
  const at::ScalarType dtype = x.scalar_type();
  const at::Tensor bias_in_dtype = bias.defined() ? bias.to(dtype) : bias;
  if (NeedsWidening(x, weight)) return UpcastProduct(x, weight, bias_in_dtype);
  if (!x.is_cpu() || dtype != at::kFloat || x.numel() == 0) {
    return PlainProduct(x, weight.to(dtype), bias_in_dtype);
  }
  return Float32Product(x, weight, bias_in_dtype);
}

at::Tensor LinearInputGradient(const at::Tensor& gradient, const at::Tensor& weight) {
  std::vector<int64_t> shape = gradient.sizes().vec();
  shape.back() = weight.size(1);
  const at::Tensor rows = gradient.reshape({-1, weight.size(0)});
  if (!NeedsWidening(gradient, weight)) return at::mm(rows, weight.to(rows.scalar_type())).view(shape);
  at::Tensor sum;
  ForWideRows(weight, [&](int64_t begin, const at::Tensor& wide) {
    const at::Tensor part = rows.narrow(1, begin, wide.size(0));
    sum = sum.defined() ? sum.addmm_(part, wide) : at::mm(part, wide);
  });
  return sum.view(shape);
}

}  // namespace svi::engine
