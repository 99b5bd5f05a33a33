// Low-rank adapters on a frozen transformer.
#ifndef SVI_ENGINE_TRAIN_LORA_ADAPTER_H_
#define SVI_ENGINE_TRAIN_LORA_ADAPTER_H_

#include <vector>

#include "engine/train_options.h"
#include "worker/engine/dit/transformer.h"
#include "worker/engine/train/parameter.h"

namespace svi::engine {

// Puts an adapter on every target and returns their tensors, by name. The first values are PEFT's: A uniform
// within ±1/sqrt(in), B zero. Throws std::invalid_argument naming the option.
std::vector<Parameter> AddAdapters(Transformer& transformer, const LoraAdapterOptions& options);

}  // namespace svi::engine

#endif  // SVI_ENGINE_TRAIN_LORA_ADAPTER_H_
