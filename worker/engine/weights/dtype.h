// The kinds of numbers that checkpoint files hold. LibTorch's names for them are in scalar_type.h: what
// parses files needs no LibTorch.
#ifndef SVI_ENGINE_WEIGHTS_DTYPE_H_
#define SVI_ENGINE_WEIGHTS_DTYPE_H_

#include <cstdint>
#include <optional>
#include <string_view>

namespace svi::engine {

enum class Dtype { kF64, kF32, kF16, kBF16, kI64, kI32, kI16, kI8, kU8, kBool };

// As safetensors files spell it: "F32" and the like.
const char* DtypeName(Dtype dtype);
// Nothing for a dtype that is not read here (8-bit floats and so on).
std::optional<Dtype> ParseDtype(std::string_view name);
// Bytes of one element.
int64_t ItemSize(Dtype dtype);
bool IsFloatingPoint(Dtype dtype);

}  // namespace svi::engine

#endif  // SVI_ENGINE_WEIGHTS_DTYPE_H_
