// The device that the engine computes on. device_cpu.cc or device_cuda.cc, as the build has it.
#ifndef SVI_ENGINE_NN_DEVICE_H_
#define SVI_ENGINE_NN_DEVICE_H_

#include <ATen/ATen.h>

#include <stdexcept>
#include <string>

namespace svi::engine {

class NoSuchDevice : public std::runtime_error {
  using std::runtime_error::runtime_error;
};

// "auto", "cpu", "cuda", "cuda:N" → device. "auto" is the first GPU if there is one. Throws
// std::invalid_argument on another name, NoSuchDevice if this build or machine does not have it.
at::Device SelectDevice(const std::string& name);

// The rest asks the CUDA runtime; device_cpu.cc answers for builds without it.
int CudaDeviceCount();
std::string DeviceName(at::Device device);         // "cpu", or the GPU's marketing name
uint64_t DeviceBytesTotal(at::Device device);      // the GPU's memory; 0 on a CPU
uint64_t DeviceBytesAllocated(at::Device device);  // by the caching allocator; 0 on a CPU
// Float32 must mean float32: TF32 off for matrix products and convolutions (shared parity notes, rule 0).
void PrepareDevice(at::Device device);

}  // namespace svi::engine

#endif  // SVI_ENGINE_NN_DEVICE_H_
