#include <cuda_bf16.h>

#include "worker/engine/kernels/modulated_norm_launch.h"

namespace svi::engine {
namespace {

constexpr int kThreads = 256;

__device__ float Load(const float* p) { return *p; }
__device__ float Load(const __nv_bfloat16* p) { return __bfloat162float(*p); }
__device__ void Store(float* p, float v) { *p = v; }
__device__ void Store(__nv_bfloat16* p, float v) { *p = __float2bfloat16(v); }

// Sum over the block; every thread gets it. `shared` has one float a warp.
__device__ float BlockSum(float value, float* shared) {
  for (int offset = 16; offset > 0; offset /= 2) value += __shfl_xor_sync(0xffffffffu, value, offset);
  if (threadIdx.x % 32 == 0) shared[threadIdx.x / 32] = value;
  __syncthreads();
  float sum = 0;
  for (int warp = 0; warp < kThreads / 32; ++warp) sum += shared[warp];
  __syncthreads();  // before `shared` is used again
  return sum;
}

// One block a token. Mean first, then the squared deviations: subtracting squares of large means would lose
// digits.
template <typename T>
__global__ void ModulatedNormKernel(ModulatedNormArgs args) {
  __shared__ float shared[kThreads / 32];
  const int64_t token = blockIdx.x;
  const int64_t batch = token / args.tokens;
  const T* x = static_cast<const T*>(args.x) + token * args.width;
  T* out = static_cast<T*>(args.out) + token * args.width;

  float sum = 0;
  for (int64_t i = threadIdx.x; i < args.width; i += kThreads) sum += Load(x + i);
  const float mean = BlockSum(sum, shared) / args.width;

  float squares = 0;
  for (int64_t i = threadIdx.x; i < args.width; i += kThreads) {
    const float deviation = Load(x + i) - mean;
    squares += deviation * deviation;
  }
  const float inverse_std = rsqrtf(BlockSum(squares, shared) / args.width + args.eps);

  const int64_t row = (batch * args.rows + args.row_of_token[token]) * args.width;
  for (int64_t i = threadIdx.x; i < args.width; i += kThreads) {
    const float normed = (Load(x + i) - mean) * inverse_std;
    Store(out + i, normed * (1 + args.scale[row + i]) + args.shift[row + i]);
  }
}

}  // namespace

int LaunchModulatedNorm(const ModulatedNormArgs& args, bool is_bfloat16, void* stream) {
  const auto blocks = static_cast<unsigned>(args.batch * args.tokens);
  auto* cuda_stream = static_cast<cudaStream_t>(stream);
  if (is_bfloat16) {
    ModulatedNormKernel<__nv_bfloat16><<<blocks, kThreads, 0, cuda_stream>>>(args);
  } else {
    ModulatedNormKernel<float><<<blocks, kThreads, 0, cuda_stream>>>(args);
  }
  return static_cast<int>(cudaGetLastError());
}

}  // namespace svi::engine
