#include "worker/engine/train/trainable.h"

#include <c10/core/InferenceMode.h>
#include <c10/core/ScalarType.h>

#include <algorithm>
#include <map>
#include <utility>

#include "absl/strings/escaping.h"
#include "absl/strings/string_view.h"
#include "client/sha256.h"
#include "worker/engine/checkpoint/loaders.h"
#include "worker/engine/train/lora_adapter.h"

namespace svi::engine {

Trainable LoadTrainableFull(const std::string& model_dir, at::Device device) {
  const c10::InferenceMode normal_tensors(false);  // whatever the caller's mode: others take no gradients
  Trainable trainable;
  LoadOptions options;
  options.replace = [&](const std::string& name, const at::Tensor& stored) {
    // Always a copy: what is stored may be a view of a file.
    const auto wide = stored.options().dtype(at::kFloat).device(device);
    at::Tensor weight = at::empty(stored.sizes(), wide).copy_(stored).set_requires_grad(true);
    trainable.parameters.push_back({name, weight});
    return weight;
  };
  trainable.transformer = LoadTransformer(model_dir, options).model;
  std::sort(trainable.parameters.begin(), trainable.parameters.end(),
            [](const Parameter& a, const Parameter& b) { return a.name < b.name; });
  return trainable;
}

Trainable LoadTrainableLora(const std::string& model_dir, at::Device device,
                            const LoraAdapterOptions& options) {
  const c10::InferenceMode normal_tensors(false);
  LoadOptions frozen{device};
  if (device.is_cuda()) frozen.product_dtype = at::kBFloat16;
  Trainable trainable;
  trainable.lora = options;
  trainable.transformer = LoadTransformer(model_dir, frozen).model;
  trainable.parameters = AddAdapters(*trainable.transformer, options);
  return trainable;
}

std::string TransformerSha256(const std::string& model_dir) {
  std::map<std::string, at::Tensor> stored;
  LoadOptions options;
  options.replace = [&](const std::string& name, const at::Tensor& tensor) { return stored[name] = tensor; };
  LoadTransformer(model_dir, options);
  Sha256 hash;
  for (const auto& [name, tensor] : stored) {
    std::string head = name + " " + c10::toString(tensor.scalar_type());
    for (const int64_t side : tensor.sizes()) head += " " + std::to_string(side);
    const at::Tensor plain = tensor.contiguous();
    hash.Update(head + "\n");
    hash.Update(absl::string_view(static_cast<const char*>(plain.const_data_ptr()), plain.nbytes()));
  }
  return absl::BytesToHexString(hash.Finish());
}

}  // namespace svi::engine
