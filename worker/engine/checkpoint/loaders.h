// From folders to models: recognises a checkpoint's layout by content and loads its parts.
//
// Two layouts. Diffusers: transformer/, vae/, text_encoder/, tokenizer/, scheduler/, model_index.json. Wan's
// own: diffusion_pytorch_model*.safetensors with config.json, Wan2.2_VAE.pth, models_t5_*.pth and
// google/umt5-xxl/ side by side. A component's own folder (config.json and weights) may be given instead of a
// whole one, in either layout; which one it is follows from the tensors' names, never from the folder's.
#ifndef SVI_ENGINE_CHECKPOINT_LOADERS_H_
#define SVI_ENGINE_CHECKPOINT_LOADERS_H_

#include <ATen/ATen.h>

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>

#include "worker/engine/dit/transformer.h"
#include "worker/engine/text/tokenizer.h"
#include "worker/engine/text/umt5.h"
#include "worker/engine/vae/vae.h"

namespace svi::engine {

// A file or folder that should be there is not; the message names it relative to the checkpoint.
class MissingFile : public std::runtime_error {
  using std::runtime_error::runtime_error;
};

struct LoadOptions {
  at::Device device = at::kCPU;
  std::optional<at::ScalarType> dtype = {};  // of the weights in memory; none: as stored
  // Of the transformer's and the text encoder's matrices whose products are computed in this dtype anyway:
  // half of the memory and the same numbers when a float32 checkpoint runs in bfloat16. The rest, and what
  // the time embedding needs in float32, follows `dtype`.
  std::optional<at::ScalarType> product_dtype = {};
  // Sees every tensor, under its Diffusers name, on its way into the model; what it returns goes in instead.
  std::function<at::Tensor(const std::string& name, const at::Tensor& tensor)> replace = {};
};

template <typename Model>
struct Loaded {
  std::unique_ptr<Model> model;
  uint64_t parameters = 0;
};

// `dir`: a checkpoint of either layout, or the component's own folder. Weights on a CPU are views of the
// mapped files unless dtype asks for another type. Throw MissingFile, and std::invalid_argument naming the
// config's field or every tensor that is missing, extra or misshapen (in the names of the file).
Loaded<Transformer> LoadTransformer(const std::string& dir, const LoadOptions& options);
Loaded<Vae> LoadVae(const std::string& dir, const LoadOptions& options);
Loaded<UmT5Encoder> LoadTextEncoder(const std::string& dir, const LoadOptions& options);
std::unique_ptr<Tokenizer> LoadTokenizer(const std::string& dir);

// Text of a file at the checkpoint's root or in a folder of it ("svi_config.json",
// "scheduler/scheduler_config.json"); empty if there is none.
std::string ReadOptionalText(const std::string& dir, const std::string& relative);

}  // namespace svi::engine

#endif  // SVI_ENGINE_CHECKPOINT_LOADERS_H_
