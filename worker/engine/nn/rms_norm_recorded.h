// RMS norm that is trained through.
#ifndef SVI_ENGINE_NN_RMS_NORM_RECORDED_H_
#define SVI_ENGINE_NN_RMS_NORM_RECORDED_H_

#include <ATen/ATen.h>

namespace svi::engine {

// at::rms_norm over the last axis as one node of the graph, which keeps x alone; ATen's on a CPU is recorded
// operation by operation, each with a tensor of x's size. Any shape, weight [width], float32 or wider.
at::Tensor RmsNormRecorded(const at::Tensor& x, const at::Tensor& weight, double eps);

}  // namespace svi::engine

#endif  // SVI_ENGINE_NN_RMS_NORM_RECORDED_H_
