// The tensors that a component of svi-worker run-component is given, checked by name, dtype and shape.
#ifndef SVI_ENGINE_TOOLS_COMPONENT_TOOLS_INPUTS_H_
#define SVI_ENGINE_TOOLS_COMPONENT_TOOLS_INPUTS_H_

#include <ATen/ATen.h>

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

namespace svi::engine {

using NamedTensors = std::map<std::string, at::Tensor>;

// All of these throw std::invalid_argument that names the tensor and what is wanted of it.
class ComponentInputs {
 public:
  // Every one of `required` must be there. What is neither there nor in `optional` is left alone, so that one
  // file can serve several components.
  ComponentInputs(NamedTensors tensors, const std::vector<std::string>& required,
                  const std::vector<std::string>& optional);

  // The axis called `axis` in shapes has this size from here on.
  void Fix(const std::string& axis, int64_t size) { axes_[axis] = size; }
  int64_t size(const std::string& axis) const { return axes_.at(axis); }

  // Names that no component asked for, in order.
  const std::vector<std::string>& unused() const { return unused_; }

  bool Has(const std::string& name) const { return tensors_.contains(name); }
  int64_t Rank(const std::string& name) const { return tensors_.at(name).dim(); }

  // `shape` is written as in "[B, 3, F, H, W]": a number is that size, a name means one size wherever it is
  // used, and is set where it is met first. No axis may be empty.
  // Of any floating dtype → float32.
  at::Tensor Float(const std::string& name, std::string_view shape);
  // Of any whole dtype, or bool → int64.
  at::Tensor Whole(const std::string& name, std::string_view shape);
  // Either, → double.
  at::Tensor Real(const std::string& name, std::string_view shape);
  // Of any floating dtype, and any shape, which is that of `like` if there is one → float32.
  at::Tensor FloatLike(const std::string& name, const std::string& like);

  // The error itself: "NAME must be WANTED".
  [[noreturn]] static void Refuse(const std::string& name, const std::string& wanted);

 private:
  at::Tensor Checked(const std::string& name, std::string_view shape);

  NamedTensors tensors_;
  std::vector<std::string> unused_;
  std::map<std::string, int64_t> axes_;
};

}  // namespace svi::engine

#endif  // SVI_ENGINE_TOOLS_COMPONENT_TOOLS_INPUTS_H_
