#include "worker/engine/weights/scalar_type.h"

#include <stdexcept>
#include <string>

namespace svi::engine {
namespace {

// In the order of Dtype.
constexpr at::ScalarType kTypes[] = {at::kDouble, at::kFloat, at::kHalf, at::kBFloat16, at::kLong,
                                     at::kInt,    at::kShort, at::kChar, at::kByte,     at::kBool};

}  // namespace

at::ScalarType ScalarTypeOf(Dtype dtype) { return kTypes[static_cast<int>(dtype)]; }

Dtype DtypeOf(at::ScalarType type) {
  for (const at::ScalarType& known : kTypes) {
    if (known == type) return static_cast<Dtype>(&known - kTypes);
  }
  throw std::invalid_argument(std::string("safetensors files have no dtype for ") + c10::toString(type));
}

}  // namespace svi::engine
