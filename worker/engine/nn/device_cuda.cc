#include <ATen/Context.h>
#include <c10/cuda/CUDACachingAllocator.h>
#include <cuda_runtime_api.h>

#include "worker/engine/nn/device.h"

namespace svi::engine {

int CudaDeviceCount() {
  int count = 0;
  // A machine without a driver is a machine without GPUs, not an error.
  return cudaGetDeviceCount(&count) == cudaSuccess ? count : 0;
}

std::string DeviceName(at::Device device) {
  if (!device.is_cuda()) return "cpu";
  cudaDeviceProp properties;
  if (cudaGetDeviceProperties(&properties, device.index()) != cudaSuccess) return "unknown GPU";
  return properties.name;
}

uint64_t DeviceBytesTotal(at::Device device) {
  if (!device.is_cuda()) return 0;
  cudaDeviceProp properties;
  if (cudaGetDeviceProperties(&properties, device.index()) != cudaSuccess) return 0;
  return static_cast<uint64_t>(properties.totalGlobalMem);
}

uint64_t DeviceBytesAllocated(at::Device device) {
  if (!device.is_cuda()) return 0;
  const auto stats = c10::cuda::CUDACachingAllocator::getDeviceStats(device.index());
  return static_cast<uint64_t>(stats.allocated_bytes[0].current);
}

void PrepareDevice(at::Device device) {
  if (!device.is_cuda()) return;
  cudaSetDevice(device.index());
  at::globalContext().setAllowTF32CuBLAS(false);
  at::globalContext().setAllowTF32CuDNN(false);
}

}  // namespace svi::engine
