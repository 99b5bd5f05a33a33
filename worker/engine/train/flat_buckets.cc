#include "worker/engine/train/flat_buckets.h"

#include <ATen/core/grad_mode.h>

#include <stdexcept>

namespace svi::engine {
namespace {

constexpr size_t kBucketBytes = 32ULL << 20U;

void Check(const at::Tensor& tensor, at::Device device) {
  const bool known = tensor.scalar_type() == at::kFloat || tensor.scalar_type() == at::kDouble;
  if (!known || !tensor.is_contiguous() || tensor.device() != device) {
    throw std::invalid_argument("a sum over ranks takes contiguous float32 or float64 on " + device.str());
  }
}

void ChangeTogether(const std::vector<at::Tensor>& flat,
                    const std::function<void(const at::Tensor&)>& change) {
  if (flat.size() == 1) return change(flat.front());
  const at::Tensor bucket = at::cat(flat);
  change(bucket);
  int64_t begin = 0;
  for (const at::Tensor& tensor : flat) {
    tensor.copy_(bucket.narrow(0, begin, tensor.numel()));
    begin += tensor.numel();
  }
}

}  // namespace

void ChangeInBuckets(const std::vector<at::Tensor>& tensors, at::Device device,
                     const std::function<void(const at::Tensor& flat)>& change) {
  for (const at::Tensor& tensor : tensors) Check(tensor, device);
  const at::NoGradGuard no_gradients;
  std::vector<at::Tensor> bucket;
  size_t bytes = 0;
  for (const at::Tensor& tensor : tensors) {
    if (tensor.numel() == 0) continue;
    const bool fits = bytes + tensor.nbytes() <= kBucketBytes;
    if (!bucket.empty() && (!fits || bucket.front().scalar_type() != tensor.scalar_type())) {
      ChangeTogether(bucket, change);
      bucket.clear();
      bytes = 0;
    }
    bucket.push_back(tensor.view({-1}));
    bytes += tensor.nbytes();
  }
  if (!bucket.empty()) ChangeTogether(bucket, change);
}

}  // namespace svi::engine
