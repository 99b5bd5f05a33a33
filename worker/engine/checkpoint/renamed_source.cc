#include "worker/engine/checkpoint/renamed_source.h"

#include <utility>

namespace svi::engine {

RenamedSource::RenamedSource(std::string component, std::map<std::string, at::Tensor> tensors, KeyMap names,
                             at::Device device, std::optional<at::ScalarType> dtype)
    : WeightSource(std::move(component), std::move(tensors), device, dtype), names_(std::move(names)) {}

at::Tensor RenamedSource::Take(const std::string& name, at::IntArrayRef shape) {
  return WeightSource::Take(names_.ToOriginal(name).value_or(name), shape);
}

bool RenamedSource::Has(const std::string& name) const {
  const auto original = names_.ToOriginal(name);
  return original && names_.ToDiffusers(*original) == name && WeightSource::Has(*original);
}

}  // namespace svi::engine
