#include "worker/engine/tools/component_tools_inputs.h"

#include <algorithm>
#include <sstream>
#include <stdexcept>

#include "absl/strings/ascii.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"

namespace svi::engine {
namespace {

std::string ShapeText(at::IntArrayRef shape) { return absl::StrCat("[", absl::StrJoin(shape, ", "), "]"); }

std::vector<std::string> AxesOf(std::string_view shape) {
  return absl::StrSplit(std::string(shape.substr(1, shape.size() - 2)), ", ");
}

bool IsFloat(const at::Tensor& tensor) { return at::isFloatingType(tensor.scalar_type()); }
bool IsWhole(const at::Tensor& tensor) {
  return at::isIntegralType(tensor.scalar_type(), /*includeBool=*/true);
}

void CheckDtype(bool ok, const std::string& name, const at::Tensor& tensor, const char* wanted) {
  if (!ok) {
    ComponentInputs::Refuse(name, absl::StrCat("of a ", wanted, " dtype; it is ",
                                               absl::AsciiStrToLower(c10::toString(tensor.scalar_type()))));
  }
}

}  // namespace

ComponentInputs::ComponentInputs(NamedTensors tensors, const std::vector<std::string>& required,
                                 const std::vector<std::string>& optional)
    : tensors_(std::move(tensors)) {
  std::vector<std::string> problems;
  for (const std::string& name : required) {
    if (!Has(name)) problems.push_back(name + " is missing");
  }
  const auto lists = [](const std::vector<std::string>& list, const std::string& name) {
    return std::find(list.begin(), list.end(), name) != list.end();
  };
  for (const auto& [name, tensor] : tensors_) {
    if (!lists(required, name) && !lists(optional, name)) unused_.push_back(name);
  }
  if (problems.empty()) return;
  // One of these may be meant for what is missing.
  for (const std::string& name : unused_) problems.push_back(name + " is not an input of this component");
  std::vector<std::string> known = required;
  for (const std::string& name : optional) known.push_back(name + " (optional)");
  throw std::invalid_argument(absl::StrCat("inputs: ", absl::StrJoin(problems, "; "), "; it takes ",
                                           known.empty() ? "no tensors" : absl::StrJoin(known, ", ")));
}

void ComponentInputs::Refuse(const std::string& name, const std::string& wanted) {
  throw std::invalid_argument(absl::StrCat("inputs: ", name, " must be ", wanted));
}

at::Tensor ComponentInputs::Checked(const std::string& name, std::string_view shape) {
  const at::Tensor& tensor = tensors_.at(name);
  const std::vector<std::string> axes = AxesOf(shape);
  bool fits = tensor.dim() == static_cast<int64_t>(axes.size());
  std::vector<std::string> fixed;  // what the names stand for already
  for (size_t i = 0; i < axes.size(); ++i) {
    int64_t wanted = 0;
    const bool number = absl::SimpleAtoi(axes[i], &wanted);
    if (const auto known = axes_.find(axes[i]); !number && known != axes_.end()) {
      wanted = known->second;
      fixed.push_back(absl::StrCat(axes[i], " = ", wanted));
    }
    if (!fits) continue;
    const int64_t size = tensor.size(static_cast<int64_t>(i));
    fits = size > 0 && (wanted == 0 || size == wanted);
    if (fits && wanted == 0) axes_[axes[i]] = size;
  }
  if (!fits) {
    Refuse(name, absl::StrCat(std::string(shape), fixed.empty() ? "" : " with ", absl::StrJoin(fixed, ", "),
                              "; it is ", ShapeText(tensor.sizes())));
  }
  return tensor;
}

at::Tensor ComponentInputs::Float(const std::string& name, std::string_view shape) {
  const at::Tensor tensor = Checked(name, shape);
  CheckDtype(IsFloat(tensor), name, tensor, "floating");
  return tensor.to(at::kFloat);
}

at::Tensor ComponentInputs::Whole(const std::string& name, std::string_view shape) {
  const at::Tensor tensor = Checked(name, shape);
  CheckDtype(IsWhole(tensor), name, tensor, "whole-number");
  return tensor.to(at::kLong);
}

at::Tensor ComponentInputs::Real(const std::string& name, std::string_view shape) {
  const at::Tensor tensor = Checked(name, shape);
  CheckDtype(IsFloat(tensor) || IsWhole(tensor), name, tensor, "floating or whole-number");
  return tensor.to(at::kDouble);
}

at::Tensor ComponentInputs::FloatLike(const std::string& name, const std::string& like) {
  const at::Tensor& tensor = tensors_.at(name);
  CheckDtype(IsFloat(tensor), name, tensor, "floating");
  const at::Tensor& model = tensors_.at(like);
  if (tensor.sizes() != model.sizes()) {
    Refuse(name, absl::StrCat("of the shape of ", like, ", ", ShapeText(model.sizes()), "; it is ",
                              ShapeText(tensor.sizes())));
  }
  if (tensor.numel() == 0) Refuse(name, "not empty");
  return tensor.to(at::kFloat);
}

}  // namespace svi::engine
