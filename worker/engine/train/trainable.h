// A transformer whose weights, or adapters beside them, take gradients, and the files that come of training.
#ifndef SVI_ENGINE_TRAIN_TRAINABLE_H_
#define SVI_ENGINE_TRAIN_TRAINABLE_H_

#include <ATen/ATen.h>

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "engine/train_options.h"
#include "worker/engine/dit/transformer.h"
#include "worker/engine/train/parameter.h"
#include "worker/engine/weights/safetensors.h"

namespace svi::engine {

struct Trainable {
  std::unique_ptr<Transformer> transformer;
  // What an optimiser changes, by name: weights under Diffusers' names, or adapters under the names of their
  // tensors in a LoRA file ("pipe.dit.blocks.0.self_attn.q.lora_A.default.weight"). The transformer holds the
  // same tensors.
  std::vector<Parameter> parameters;
  LoraAdapterOptions lora;  // of LoadTrainableLora
};

// `model_dir` as LoadTransformer's, which also says what they throw.
//
// Every weight a parameter in float32.
Trainable LoadTrainableFull(const std::string& model_dir, at::Device device);
// The base frozen and as an inference worker holds it: as stored, matrices in bfloat16 on a GPU. Adapters are
// float32; PEFT's first values (A uniform within ±1/sqrt(in), B zero), drawn on the CPU in the order of the
// names, so that a seed gives the same ones anywhere. Throws std::invalid_argument naming the option, also
// for a target that no layer matches.
Trainable LoadTrainableLora(const std::string& model_dir, at::Device device,
                            const LoraAdapterOptions& options);

// SHA-256, in hex, of the transformer's weights as `model_dir` stores them: over every tensor in the order of
// Diffusers' names, whichever names and however many files they are in. Reads everything: 10 GB for the 5B
// model.
std::string TransformerSha256(const std::string& model_dir);

// The adapters as a LoRA file in SVI's key style, float32. Metadata: "format" ("pt"), "rank", "alpha",
// "target_modules", "lora_adapter_metadata" (Diffusers' form of the same, which readers take alpha from) and
// what the caller adds, which has precedence. Of LoadTrainableLora's only.
TensorFile LoraToFile(const Trainable& trainable, const std::map<std::string, std::string>& metadata);

// A checkpoint in Diffusers' layout whose transformer is the trained one, in `dtype`; everything else is
// copied from `model_dir`, which must be of that layout. Complete or not there at all: written beside
// `out_dir`, as "OUT_DIR.tmp", and renamed; a folder that was there before goes only then. Of
// LoadTrainableFull's only. Throws std::invalid_argument, MissingFile, std::system_error.
void WriteTrainedModel(const Trainable& trainable, const std::string& model_dir, const std::string& out_dir,
                       at::ScalarType dtype);

}  // namespace svi::engine

#endif  // SVI_ENGINE_TRAIN_TRAINABLE_H_
