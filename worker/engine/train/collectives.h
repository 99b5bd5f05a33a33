// What the processes ("ranks") of one training run tell each other: OpenMPI on a CPU, NCCL on GPUs.
#ifndef SVI_ENGINE_TRAIN_COLLECTIVES_H_
#define SVI_ENGINE_TRAIN_COLLECTIVES_H_

#include <ATen/ATen.h>

#include <functional>
#include <memory>
#include <stdexcept>
#include <string>
#include <vector>

#include "absl/time/time.h"

namespace svi::engine {

// Another rank died, did not answer in time, or could not be reached; or waiting for it was given up. The run
// cannot go on in this process.
class RankLost : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

struct CollectiveOptions {
  // Asked every few milliseconds at most while waiting for other ranks; true: give up, RankLost. When a rank
  // dies, mpirun sends SIGTERM to the others: true some seconds after that signal lets a step end that was
  // only slow.
  std::function<bool()> stop;
  // Longest wait for the other ranks: RankLost.
  absl::Duration timeout = absl::Minutes(30);
};

// Every rank makes the same calls in the same order, with tensors of the same dtypes and shapes: they return
// when all ranks have called. Sums are made in an order that depends on the number of ranks alone, so that
// equal runs are equal bit for bit, and all ranks get the same bits. Errors: RankLost; std::invalid_argument
// for bad tensors. One thread at a time.
class Collectives {
 public:
  virtual ~Collectives() = default;
  Collectives() = default;
  Collectives(const Collectives&) = delete;
  Collectives& operator=(const Collectives&) = delete;

  virtual int rank() const = 0;
  virtual int size() const = 0;
  // Where AllReduceSum and AllGather take their tensors.
  virtual at::Device device() const = 0;

  // In place. float32 or float64, contiguous, on the collectives' device. Small tensors travel together.
  virtual void AllReduceSum(const std::vector<at::Tensor>& tensors) = 0;
  // By rank; any dtype, on the collectives' device.
  virtual std::vector<at::Tensor> AllGather(const at::Tensor& tensor) = 0;
  // By rank; texts of any length below 2 GiB in all.
  virtual std::vector<std::string> GatherStrings(const std::string& text) = 0;
  // Rank 0's text, to all; that of the others is ignored.
  virtual std::string Broadcast(const std::string& from_rank_0) = 0;
  virtual void Barrier() = 0;

  // The good end, called by every rank before its process ends; nothing may be called after it. A process
  // that ends without it has failed in mpirun's eyes, which then ends the others.
  virtual void Finish() = 0;
};

// Joins the other ranks when this process was started by mpirun; alone otherwise, and MPI is not touched
// then. Once a process: MPI cannot be started again after Finish. CUDA: `device` is this rank's own, e.g.
// number LocalRank().
std::unique_ptr<Collectives> MakeCollectives(at::Device device, const CollectiveOptions& options = {});

// Of this process among those of its run on this machine; 0 when not started by mpirun.
int LocalRank();

}  // namespace svi::engine

#endif  // SVI_ENGINE_TRAIN_COLLECTIVES_H_
