#include "worker/engine/train/training_state.h"

#include <ATen/core/grad_mode.h>

#include <sstream>
#include <stdexcept>

namespace svi::engine {
namespace {

constexpr char kParameter[] = "parameter.";

}  // namespace

at::Tensor StateTensor(const TensorFile& file, const std::string& name, at::IntArrayRef shape,
                       at::ScalarType dtype) {
  const auto found = file.tensors.find(name);
  if (found == file.tensors.end()) throw std::invalid_argument("training state: " + name + " is missing");
  const at::Tensor& tensor = found->second;
  if (tensor.sizes() != shape || tensor.scalar_type() != dtype) {
    std::ostringstream message;
    message << "training state: " << name << " is " << tensor.scalar_type() << " " << tensor.sizes()
            << ", expected " << dtype << " " << shape;
    throw std::invalid_argument(message.str());
  }
  return tensor;
}

int64_t StateCount(const TensorFile& file, const std::string& name) {
  const auto count = StateTensor(file, name, {}, at::kLong).item<int64_t>();
  if (count < 0) throw std::invalid_argument("training state: " + name + " must not be negative");
  return count;
}

void SaveCount(TensorFile& file, const std::string& name, int64_t count) {
  file.tensors[name] = at::scalar_tensor(count, at::kLong);
}

void SaveByParameter(TensorFile& file, const std::string& prefix, const std::vector<Parameter>& parameters,
                     const std::vector<at::Tensor>& tensors) {
  for (size_t i = 0; i < parameters.size(); ++i) file.tensors[prefix + parameters[i].name] = tensors.at(i);
}

std::vector<at::Tensor> FindByParameter(const TensorFile& file, const std::string& prefix,
                                        const std::vector<Parameter>& parameters) {
  std::vector<at::Tensor> tensors;
  for (const Parameter& parameter : parameters) {
    tensors.push_back(StateTensor(file, prefix + parameter.name, parameter.tensor.sizes(), at::kFloat));
  }
  return tensors;
}

void SaveParameters(TensorFile& file, const std::vector<Parameter>& parameters) {
  for (const Parameter& parameter : parameters) {
    file.tensors[kParameter + parameter.name] = parameter.tensor.detach();
  }
}

void LoadParameters(const TensorFile& file, const std::vector<Parameter>& parameters) {
  const std::vector<at::Tensor> values = FindByParameter(file, kParameter, parameters);
  const at::NoGradGuard not_recorded;
  for (size_t i = 0; i < parameters.size(); ++i) {
    at::Tensor tensor = parameters[i].tensor;
    tensor.copy_(values[i]);
  }
}

}  // namespace svi::engine
