#include "worker/engine/nn/device.h"

namespace svi::engine {

int CudaDeviceCount() { return 0; }
std::string DeviceName(at::Device) { return "cpu"; }
uint64_t DeviceBytesTotal(at::Device) { return 0; }
uint64_t DeviceBytesAllocated(at::Device) { return 0; }
void PrepareDevice(at::Device) {}

}  // namespace svi::engine
