#include "worker/engine/nn/device.h"

namespace svi::engine {

at::Device SelectDevice(const std::string& name) {
  if (name == "cpu") return at::kCPU;
  const int count = CudaDeviceCount();
  if (name == "auto") return count > 0 ? at::Device(at::kCUDA, 0) : at::Device(at::kCPU);
  int index = -1;
  if (name == "cuda") {
    index = 0;
  } else if (name.starts_with("cuda:") && name.size() > 5 && name.size() < 8 &&
             name.find_first_not_of("0123456789", 5) == std::string::npos) {
    index = std::stoi(name.substr(5));
  } else {
    throw std::invalid_argument("device must be auto, cpu, cuda or cuda:N");
  }
  if (index >= count) {
    throw NoSuchDevice("device " + name + " is not there: this worker sees " + std::to_string(count) +
                       " CUDA devices");
  }
  return at::Device(at::kCUDA, static_cast<at::DeviceIndex>(index));
}

}  // namespace svi::engine
