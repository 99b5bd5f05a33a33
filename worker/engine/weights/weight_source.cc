#include "worker/engine/weights/weight_source.h"

#include <sstream>
#include <stdexcept>
#include <utility>

namespace svi::engine {
namespace {

std::string ShapeText(at::IntArrayRef shape) {
  std::ostringstream text;
  text << shape;
  return text.str();
}

}  // namespace

WeightSource::WeightSource(std::string component, std::map<std::string, at::Tensor> tensors,
                           at::Device device, std::optional<at::ScalarType> dtype)
    : component_(std::move(component)), tensors_(std::move(tensors)), device_(device), dtype_(dtype) {}

at::Tensor WeightSource::Take(const std::string& name, at::IntArrayRef shape) {
  const auto found = tensors_.find(name);
  if (found == tensors_.end()) {
    problems_.push_back(name + " is missing");
    return {};
  }
  // Whatever is wrong with it, it has been asked for: it is not left over as well.
  const at::Tensor tensor = std::move(found->second);
  tensors_.erase(found);
  if (tensor.sizes() != shape) {
    problems_.push_back(name + " has shape " + ShapeText(tensor.sizes()) + ", expected " + ShapeText(shape));
    return {};
  }
  if (!at::isFloatingType(tensor.scalar_type())) {
    problems_.push_back(name + " has dtype " + c10::toString(tensor.scalar_type()) +
                        ", expected a floating one");
    return {};
  }
  parameters_ += static_cast<uint64_t>(tensor.numel());
  at::ScalarType dtype = dtype_.value_or(tensor.scalar_type());
  if (matrix_dtype_ && shape.size() == 2 && matrix_applies_(name)) dtype = *matrix_dtype_;
  // Converted first: what goes to the device is what stays there.
  return tensor.to(dtype).to(device_);
}

void WeightSource::ConvertMatrices(at::ScalarType dtype, std::function<bool(const std::string&)> applies) {
  matrix_dtype_ = dtype;
  matrix_applies_ = std::move(applies);
}

void WeightSource::Finish() {
  for (const auto& [name, tensor] : tensors_) problems_.push_back(name + " is not part of this model");
  tensors_.clear();
  if (problems_.empty()) return;
  std::string message = component_ + ": " + std::to_string(problems_.size()) + " wrong tensors: ";
  for (size_t i = 0; i < problems_.size(); ++i) message += (i == 0 ? "" : "; ") + problems_[i];
  throw std::invalid_argument(message);
}

}  // namespace svi::engine
