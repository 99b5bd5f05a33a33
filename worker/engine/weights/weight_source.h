// Named tensors of one model component, each to be taken exactly once.
#ifndef SVI_ENGINE_WEIGHTS_WEIGHT_SOURCE_H_
#define SVI_ENGINE_WEIGHTS_WEIGHT_SOURCE_H_

#include <ATen/ATen.h>

#include <functional>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace svi::engine {

// Collects what is wrong instead of stopping at the first: a model's constructor takes all its tensors, then
// Finish() throws one error that names every missing, misshapen and left-over tensor. Not thread-safe.
class WeightSource {
 public:
  virtual ~WeightSource() = default;
  // `component` is for messages ("transformer"). Tensors may be views of a mapped file. `dtype`: what Take
  // converts to; none: as stored.
  WeightSource(std::string component, std::map<std::string, at::Tensor> tensors, at::Device device = at::kCPU,
               std::optional<at::ScalarType> dtype = std::nullopt);

  // The tensor, moved to the device. If it is missing or has another shape, notes that
  // and returns an undefined tensor: do not use it before Finish(). Virtual, so that svi-worker init-model
  // can build a model over weights that are made as they are asked for.
  virtual at::Tensor Take(const std::string& name, at::IntArrayRef shape);
  virtual bool Has(const std::string& name) const { return tensors_.contains(name); }

  // From here on Take converts the matrices (two axes) that `applies` to, by the name in the file. Others are
  // converted as the constructor says.
  void ConvertMatrices(at::ScalarType dtype, std::function<bool(const std::string&)> applies);

  // Throws std::invalid_argument if anything was wrong.
  void Finish();

  uint64_t parameters() const { return parameters_; }

 private:
  std::string component_;
  std::map<std::string, at::Tensor> tensors_;
  at::Device device_;
  std::optional<at::ScalarType> dtype_;
  std::optional<at::ScalarType> matrix_dtype_;
  std::function<bool(const std::string&)> matrix_applies_;
  std::vector<std::string> problems_;
  uint64_t parameters_ = 0;
};

// A place in the tree of names: scope / "blocks" / 3 / "attn1" spells "blocks.3.attn1.".
class Scope {
 public:
  explicit Scope(WeightSource& source) : source_(&source) {}
  Scope operator/(std::string_view name) const { return Scope(*source_, prefix_ + std::string(name) + "."); }
  Scope operator/(int64_t index) const { return *this / std::to_string(index); }
  at::Tensor Take(std::string_view name, at::IntArrayRef shape) const {
    return source_->Take(prefix_ + std::string(name), shape);
  }
  bool Has(std::string_view name) const { return source_->Has(prefix_ + std::string(name)); }

 private:
  Scope(WeightSource& source, std::string prefix) : source_(&source), prefix_(std::move(prefix)) {}
  WeightSource* source_;
  std::string prefix_;
};

}  // namespace svi::engine

#endif  // SVI_ENGINE_WEIGHTS_WEIGHT_SOURCE_H_
