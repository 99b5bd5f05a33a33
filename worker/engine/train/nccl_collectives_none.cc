#include <stdexcept>

#include "worker/engine/train/nccl_collectives.h"

namespace svi::engine {

std::unique_ptr<Collectives> MakeNcclCollectives(at::Device, std::unique_ptr<MpiRanks>) {
  throw std::invalid_argument("this build has no CUDA");
}

}  // namespace svi::engine
