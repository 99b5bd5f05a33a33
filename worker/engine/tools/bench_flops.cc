#include "worker/engine/tools/bench_flops.h"

#include <ATen/record_function.h>

#include <atomic>
#include <string_view>

namespace svi::engine {
namespace {

std::atomic<uint64_t> total_flop{0};

// Operators are made of others (a linear layer of a product, that of a vendor's). The outermost whose cost is
// known counts, those inside it do not.
thread_local int inside_counted = 0;

struct Counted : at::ObserverContext {
  uint64_t flop = 0;
  uint64_t flop_of_output_element = 0;  // for what depends on the output's size
};

uint64_t Elements(const at::Tensor& x) { return static_cast<uint64_t>(x.numel()); }
uint64_t Size(const at::Tensor& x, int64_t axis) { return static_cast<uint64_t>(x.size(axis)); }

bool StartsWith(std::string_view text, std::string_view start) {
  return text.substr(0, start.size()) == start;
}

at::Tensor TensorAt(const at::RecordFunction& function, size_t index) {
  const auto inputs = function.inputs();
  if (index >= inputs.size() || !inputs[index].isTensor()) return {};
  return inputs[index].toTensor();
}

// a [..., n, k] by something with k rows and `columns` columns.
uint64_t ProductFlop(const at::Tensor& a, uint64_t columns) { return 2 * Elements(a) * columns; }

// Which inputs of a product, by its name, are the factors; -1: not a product of [..., k] and [..., k, m].
int FirstFactor(std::string_view name) {
  if (name == "aten::mm" || name == "aten::bmm") return 0;
  if (name == "aten::addmm" || name == "aten::addmm_" || name == "aten::baddbmm" ||
      name == "aten::baddbmm_" || name == "aten::_addmm_activation")
    return 1;
  return -1;
}

bool IsLinear(std::string_view name) {
  return name == "aten::linear" || name == "mkldnn::_linear_pointwise" || name == "aten::mkldnn_linear";
}

bool IsConvolution(std::string_view name) {
  return name == "aten::conv1d" || name == "aten::conv2d" || name == "aten::conv3d" ||
         name == "aten::convolution" || name == "aten::_convolution" || name == "aten::mkldnn_convolution" ||
         name == "mkldnn::_convolution_pointwise" || name == "aten::cudnn_convolution" ||
         name == "aten::slow_conv3d";
}

bool IsAttention(std::string_view name) {
  return StartsWith(name, "aten::scaled_dot_product_") || StartsWith(name, "aten::_scaled_dot_product_");
}

// Null if the operator's cost is not known here.
std::unique_ptr<Counted> Cost(const at::RecordFunction& function) {
  const std::string_view name = function.name();
  auto counted = std::make_unique<Counted>();
  if (const int first = FirstFactor(name); first >= 0) {
    const at::Tensor a = TensorAt(function, static_cast<size_t>(first));
    const at::Tensor b = TensorAt(function, static_cast<size_t>(first) + 1);
    if (!a.defined() || !b.defined()) return nullptr;
    counted->flop = ProductFlop(a, Size(b, -1));
  } else if (name == "aten::mv" || name == "aten::addmv") {
    counted->flop = 2 * Elements(TensorAt(function, name == "aten::mv" ? 0 : 1));
  } else if (IsLinear(name)) {
    const at::Tensor x = TensorAt(function, 0), weight = TensorAt(function, 1);
    if (!x.defined() || !weight.defined()) return nullptr;
    counted->flop = ProductFlop(x, Size(weight, 0));
  } else if (IsConvolution(name)) {
    const at::Tensor weight = TensorAt(function, 1);
    if (!weight.defined()) return nullptr;
    // Each element of the output sums over the kernel's taps and its group's channels.
    counted->flop_of_output_element = 2 * Elements(weight) / Size(weight, 0);
  } else if (IsAttention(name)) {
    const at::Tensor q = TensorAt(function, 0), k = TensorAt(function, 1), v = TensorAt(function, 2);
    if (!q.defined() || !k.defined() || !v.defined()) return nullptr;
    const uint64_t pairs = Elements(q) / Size(q, -1) * Size(k, -2);
    counted->flop = 2 * pairs * (Size(q, -1) + Size(v, -1));
  } else {
    return nullptr;
  }
  return counted;
}

std::unique_ptr<at::ObserverContext> Enter(const at::RecordFunction& function) {
  if (inside_counted > 0) return nullptr;
  std::unique_ptr<Counted> counted = Cost(function);
  if (counted != nullptr) ++inside_counted;
  return counted;
}

void Leave(const at::RecordFunction& function, at::ObserverContext* context) {
  if (context == nullptr) return;
  --inside_counted;
  const auto* counted = static_cast<const Counted*>(context);
  uint64_t flop = counted->flop;
  if (counted->flop_of_output_element > 0) {
    const auto& outputs = function.outputs();
    if (!outputs.empty() && outputs[0].isTensor()) {
      flop += counted->flop_of_output_element * Elements(outputs[0].toTensor());
    }
  }
  total_flop += flop;
}

class Watch {
 public:
  Watch()
      : handle_(at::addGlobalCallback(at::RecordFunctionCallback(Enter, Leave)
                                          .needsInputs(true)
                                          .needsOutputs(true)
                                          .scopes({at::RecordScope::FUNCTION}))) {}
  ~Watch() { at::removeCallback(handle_); }
  Watch(const Watch&) = delete;
  Watch& operator=(const Watch&) = delete;

 private:
  const at::CallbackHandle handle_;
};

}  // namespace

uint64_t CountFlop(const std::function<void()>& work) {
  total_flop = 0;
  const Watch watch;
  work();
  return total_flop;
}

}  // namespace svi::engine
