// Tensors of a training state, by name, out of a file and back.
#ifndef SVI_ENGINE_TRAIN_TRAINING_STATE_H_
#define SVI_ENGINE_TRAIN_TRAINING_STATE_H_

#include <ATen/ATen.h>

#include <cstdint>
#include <string>
#include <vector>

#include "worker/engine/train/parameter.h"
#include "worker/engine/weights/safetensors.h"

namespace svi::engine {

// The tensor of this name, which must have this shape and dtype: throws std::invalid_argument otherwise.
at::Tensor StateTensor(const TensorFile& file, const std::string& name, at::IntArrayRef shape,
                       at::ScalarType dtype);

// A count, kept as an int64 tensor without axes. Throws as StateTensor, and if it is negative.
int64_t StateCount(const TensorFile& file, const std::string& name);
void SaveCount(TensorFile& file, const std::string& name, int64_t count);

// A float32 tensor for each parameter, of its shape, under prefix + its name. Find throws as StateTensor.
void SaveByParameter(TensorFile& file, const std::string& prefix, const std::vector<Parameter>& parameters,
                     const std::vector<at::Tensor>& tensors);
std::vector<at::Tensor> FindByParameter(const TensorFile& file, const std::string& prefix,
                                        const std::vector<Parameter>& parameters);

// Values of the parameters themselves, under "parameter.NAME". Load throws as StateTensor, before it changes
// anything.
void SaveParameters(TensorFile& file, const std::vector<Parameter>& parameters);
void LoadParameters(const TensorFile& file, const std::vector<Parameter>& parameters);

}  // namespace svi::engine

#endif  // SVI_ENGINE_TRAIN_TRAINING_STATE_H_
