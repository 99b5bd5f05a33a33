// Tensors as few long ones, for collectives that pay for every call.
#ifndef SVI_ENGINE_TRAIN_FLAT_BUCKETS_H_
#define SVI_ENGINE_TRAIN_FLAT_BUCKETS_H_

#include <ATen/ATen.h>

#include <functional>
#include <vector>

namespace svi::engine {

// Calls `change` with one-dimensional tensors that hold the values of all `tensors` in their order, and puts
// what it made of them back. Neighbours of one dtype share a bucket up to 32 MiB, so that the buckets follow
// from dtypes and shapes alone; a longer tensor is changed where it is. Throws std::invalid_argument, before
// any call, unless all are contiguous float32 or float64 on `device`.
void ChangeInBuckets(const std::vector<at::Tensor>& tensors, at::Device device,
                     const std::function<void(const at::Tensor& flat)>& change);

}  // namespace svi::engine

#endif  // SVI_ENGINE_TRAIN_FLAT_BUCKETS_H_
