// Safetensors files that are read again and again.
#ifndef SVI_ENGINE_TRAIN_TENSOR_SHELF_H_
#define SVI_ENGINE_TRAIN_TENSOR_SHELF_H_

#include <cstdint>
#include <map>
#include <mutex>
#include <string>

#include "absl/base/thread_annotations.h"
#include "worker/engine/weights/safetensors.h"

namespace svi::engine {

// Keeps the first files that are asked for in memory until they fill it, and maps the others at each use.
// Nothing is ever dropped for something newer: training goes through everything once an epoch, and whatever
// was used last will be needed last. Thread-safe.
class TensorShelf {
 public:
  explicit TensorShelf(int64_t bytes) : room_(bytes) {}

  // Throws as ReadSafetensors. The tensors are shared: do not write to them.
  TensorFile Get(const std::string& path);

 private:
  std::mutex mutex_;
  int64_t room_ ABSL_GUARDED_BY(mutex_);  // bytes
  std::map<std::string, TensorFile> files_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace svi::engine

#endif  // SVI_ENGINE_TRAIN_TENSOR_SHELF_H_
