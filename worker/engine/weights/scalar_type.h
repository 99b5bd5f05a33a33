// LibTorch's names for the dtypes of files.
#ifndef SVI_ENGINE_WEIGHTS_SCALAR_TYPE_H_
#define SVI_ENGINE_WEIGHTS_SCALAR_TYPE_H_

#include <c10/core/ScalarType.h>

#include "worker/engine/weights/dtype.h"

namespace svi::engine {

at::ScalarType ScalarTypeOf(Dtype dtype);
// Throws std::invalid_argument for a type that safetensors files do not have.
Dtype DtypeOf(at::ScalarType type);

}  // namespace svi::engine

#endif  // SVI_ENGINE_WEIGHTS_SCALAR_TYPE_H_
