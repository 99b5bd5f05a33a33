// Between modulated_norm_cuda.cc, which knows LibTorch, and modulated_norm.cu, which knows CUDA.
#ifndef SVI_ENGINE_KERNELS_MODULATED_NORM_LAUNCH_H_
#define SVI_ENGINE_KERNELS_MODULATED_NORM_LAUNCH_H_

#include <cstdint>

namespace svi::engine {

struct ModulatedNormArgs {
  const void* x;       // [batch, tokens, width], float or bfloat16
  void* out;           // the same
  const float* shift;  // [batch, rows, width]
  const float* scale;
  const int64_t* row_of_token;  // [batch, tokens]
  int64_t batch, tokens, rows, width;
  float eps;
};

// Queues the kernel on `stream` (a cudaStream_t). Returns a cudaError_t as an int: 0 is success.
int LaunchModulatedNorm(const ModulatedNormArgs& args, bool is_bfloat16, void* stream);

}  // namespace svi::engine

#endif  // SVI_ENGINE_KERNELS_MODULATED_NORM_LAUNCH_H_
