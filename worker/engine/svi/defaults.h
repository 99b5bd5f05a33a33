// Where a model's defaults come from.
#ifndef SVI_ENGINE_SVI_DEFAULTS_H_
#define SVI_ENGINE_SVI_DEFAULTS_H_

#include <string>

#include "engine/types.h"

namespace svi::engine {

// A small model states its own defaults in `svi_config.json` at the checkpoint's root: {"name": …} and any of
// ModelDefaults' fields under their names. A published checkpoint has no such file: Wan 2.2 5B's and SVI's
// values hold.
struct SviConfig {
  std::string name;  // empty: not stated
  ModelDefaults defaults;

  // `svi_json`: text of svi_config.json or empty. `scheduler_json`: of scheduler/scheduler_config.json or
  // empty; its flow_shift holds unless svi_config.json states another. Throws std::invalid_argument naming
  // the field.
  static SviConfig FromJson(const std::string& svi_json, const std::string& scheduler_json);
  std::string ToJson() const;
};

// Last part of a folder's path, whether it ends with a slash or not: what a model without a name is called.
std::string FolderName(const std::string& dir);

// Wan's own negative prompt (wan/configs/shared_config.py, sample_neg_prompt): the model was tuned with it.
extern const char kWanNegativePrompt[];

}  // namespace svi::engine

#endif  // SVI_ENGINE_SVI_DEFAULTS_H_
