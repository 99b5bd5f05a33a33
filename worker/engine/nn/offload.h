// A model that need not stay in memory between uses.
#ifndef SVI_ENGINE_NN_OFFLOAD_H_
#define SVI_ENGINE_NN_OFFLOAD_H_

#include <functional>
#include <memory>
#include <mutex>
#include <utility>

#include "absl/base/thread_annotations.h"

namespace svi::engine {

// Loads through `load` and, unless `keep`, forgets the model as soon as nobody uses it. Weights that are
// views of a mapped file come back from the page cache for next to nothing. Thread-safe.
template <typename Model>
class Offloadable {
 public:
  // `first`: what `load` gave, if it has been called already.
  Offloadable(std::function<std::unique_ptr<Model>()> load, bool keep, std::shared_ptr<Model> first = nullptr)
      : load_(std::move(load)), keep_(keep), current_(first) {
    if (keep_) kept_ = std::move(first);
  }

  // In memory for as long as the result lives, at least. Throws what `load` throws.
  std::shared_ptr<Model> Use() {
    const std::lock_guard<std::mutex> lock(mutex_);
    std::shared_ptr<Model> model = current_.lock();
    if (model == nullptr) {
      model = load_();
      current_ = model;
      if (keep_) kept_ = model;
    }
    return model;
  }

 private:
  const std::function<std::unique_ptr<Model>()> load_;
  const bool keep_;
  std::mutex mutex_;
  std::weak_ptr<Model> current_ ABSL_GUARDED_BY(mutex_);
  std::shared_ptr<Model> kept_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace svi::engine

#endif  // SVI_ENGINE_NN_OFFLOAD_H_
