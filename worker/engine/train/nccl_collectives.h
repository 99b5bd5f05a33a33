// Collectives between GPUs.
#ifndef SVI_ENGINE_TRAIN_NCCL_COLLECTIVES_H_
#define SVI_ENGINE_TRAIN_NCCL_COLLECTIVES_H_

#include <memory>

#include "worker/engine/train/collectives.h"
#include "worker/engine/train/mpi_ranks.h"

namespace svi::engine {

// Tensors through NCCL, texts and meetings through MPI. A build without CUDA throws std::invalid_argument.
std::unique_ptr<Collectives> MakeNcclCollectives(at::Device device, std::unique_ptr<MpiRanks> ranks);

}  // namespace svi::engine

#endif  // SVI_ENGINE_TRAIN_NCCL_COLLECTIVES_H_
