// Weights under the names of Wan's own code for models that ask by Diffusers' names.
#ifndef SVI_ENGINE_CHECKPOINT_RENAMED_SOURCE_H_
#define SVI_ENGINE_CHECKPOINT_RENAMED_SOURCE_H_

#include <map>
#include <optional>
#include <string>

#include "worker/engine/checkpoint/key_map.h"
#include "worker/engine/weights/weight_source.h"

namespace svi::engine {

// Takes Diffusers' names and looks for the original ones, so whatever Finish() has to say is said in the
// names of the file.
class RenamedSource : public WeightSource {
 public:
  // `tensors` have their original names.
  RenamedSource(std::string component, std::map<std::string, at::Tensor> tensors, KeyMap names,
                at::Device device = at::kCPU, std::optional<at::ScalarType> dtype = std::nullopt);

  at::Tensor Take(const std::string& name, at::IntArrayRef shape) override;
  // False for the second of two names that stand for one tensor.
  bool Has(const std::string& name) const override;

 private:
  KeyMap names_;
};

}  // namespace svi::engine

#endif  // SVI_ENGINE_CHECKPOINT_RENAMED_SOURCE_H_
