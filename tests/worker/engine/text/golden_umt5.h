#ifndef SVI_TESTS_WORKER_ENGINE_TEXT_GOLDEN_UMT5_H_
#define SVI_TESTS_WORKER_ENGINE_TEXT_GOLDEN_UMT5_H_

#include <memory>

#include "worker/engine/text/umt5.h"

namespace svi::engine {

// The encoder of golden/text/umt5_*, its weights in `dtype`.
std::unique_ptr<UmT5Encoder> GoldenUmT5(at::ScalarType dtype = at::kFloat);

}  // namespace svi::engine

#endif  // SVI_TESTS_WORKER_ENGINE_TEXT_GOLDEN_UMT5_H_
