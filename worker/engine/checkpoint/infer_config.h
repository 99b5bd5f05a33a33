// What a checkpoint's tensors say about the model's sizes.
#ifndef SVI_ENGINE_CHECKPOINT_INFER_CONFIG_H_
#define SVI_ENGINE_CHECKPOINT_INFER_CONFIG_H_

#include <ATen/ATen.h>

#include <map>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "worker/engine/checkpoint/component.h"

namespace svi::engine {

struct ConfigField {
  const char* name;      // in Diffusers' or Hugging Face's config.json
  const char* original;  // in Wan's own; may be the same
};

// The fields that InferConfig can give, with both their names.
const std::vector<ConfigField>& InferredFields(Component component);

// `tensors`: under Diffusers' names, whatever else is among them. A size that many tensors show is what most
// of them show, so one misshapen tensor does not mislead. Fields that nothing shows are absent. By Diffusers'
// names but for `dim` (transformer) and `dim_attn` (text encoder), which only Wan's own config has.
nlohmann::json InferConfig(Component component, const std::map<std::string, at::Tensor>& tensors);

}  // namespace svi::engine

#endif  // SVI_ENGINE_CHECKPOINT_INFER_CONFIG_H_
