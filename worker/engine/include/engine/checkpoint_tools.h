// Making checkpoints without downloads: svi-worker init-model.
#ifndef SVI_ENGINE_CHECKPOINT_TOOLS_H_
#define SVI_ENGINE_CHECKPOINT_TOOLS_H_

#include <cstdint>
#include <string>

#include "absl/status/status.h"

namespace svi::engine {

struct InitModelOptions {
  std::string preset = "tiny";  // "tiny" or "ti2v-5b"
  std::string dtype =
      "float32";  // "float32" or "bfloat16": of transformer and text encoder; the VAE stays float32
  uint64_t seed = 0;
  std::string out_dir;  // made if need be; must be empty
};

// Writes a randomly initialised checkpoint in Diffusers layout, tokenizer included. The same options give the
// same bytes. INVALID_ARGUMENT: unknown preset or dtype. ALREADY_EXISTS: out_dir is not empty.
absl::Status InitModel(const InitModelOptions& options);

}  // namespace svi::engine

#endif  // SVI_ENGINE_CHECKPOINT_TOOLS_H_
