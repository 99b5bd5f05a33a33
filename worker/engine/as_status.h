// The engine's exceptions as the rest of the worker sees them.
#ifndef SVI_ENGINE_AS_STATUS_H_
#define SVI_ENGINE_AS_STATUS_H_

#include <c10/core/InferenceMode.h>

#include <exception>
#include <stdexcept>
#include <string>

#include "absl/status/status.h"

namespace svi::engine {

// Ends work early, with the status that it is to return: a clip that is cancelled, a frame that could not be
// taken, what another rank of a training run told of.
class StatusError : public std::runtime_error {
 public:
  explicit StatusError(absl::Status status)
      : std::runtime_error(std::string(status.message())), status(status) {}
  const absl::Status status;
};

// Which status an exception of the engine is. ATen's texts are cut to their first line: what follows may hold
// a stack trace.
absl::Status ToStatus(const std::exception_ptr& error);

// `work` returns an absl::Status or StatusOr, or throws. No gradients are kept.
template <typename Work>
auto AsStatus(const Work& work) -> decltype(work()) {
  try {
    const c10::InferenceMode no_gradients;
    return work();
  } catch (...) {
    return ToStatus(std::current_exception());
  }
}

}  // namespace svi::engine

#endif  // SVI_ENGINE_AS_STATUS_H_
