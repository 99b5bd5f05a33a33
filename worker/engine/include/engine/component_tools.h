// Running one part of the model on tensors from a file: svi-worker run-component, the parity tool.
#ifndef SVI_ENGINE_COMPONENT_TOOLS_H_
#define SVI_ENGINE_COMPONENT_TOOLS_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/statusor.h"

namespace svi::engine {

struct RunComponentOptions {
  // transformer, vae-encode, vae-decode, text-encoder, tokenizer, scheduler, sample or svi-train-step.
  std::string component;
  // A pipeline folder or one component's own (config.json and weights), of either layout; the scheduler and
  // svi-train-step have none.
  std::string model_dir;
  std::string inputs;              // a safetensors file; tokenizer and scheduler have none
  std::string outputs;             // likewise; written whole or not at all
  std::string dtype = "float32";   // or "bfloat16": weights and activations
  std::string text_file;           // tokenizer: one prompt a line, UTF-8
  std::vector<std::string> loras;  // transformer and sample: "FILE:STRENGTH" or "FILE"
  std::string sampler = "unipc";   // or "euler"
  int steps = 50;
  double shift = 5.0;
  double guidance_scale = 5.0;
  std::string device = "cpu";
  int num_threads = 0;  // 0: one a core
};

// Returns the names of input tensors that the component does not take; they are left out. INVALID_ARGUMENT:
// an option, or a tensor of the inputs, that is missing or misshapen; it is named. NOT_FOUND: no such file.
absl::StatusOr<std::vector<std::string>> RunComponent(const RunComponentOptions& options);

}  // namespace svi::engine

#endif  // SVI_ENGINE_COMPONENT_TOOLS_H_
