// The ranks of a run as OpenMPI knows them, and what they exchange through the CPU's memory.
#ifndef SVI_ENGINE_TRAIN_MPI_RANKS_H_
#define SVI_ENGINE_TRAIN_MPI_RANKS_H_

#include <ATen/ATen.h>

#define OMPI_SKIP_MPICXX
#include <mpi.h>

#include <string>
#include <vector>

#include "worker/engine/train/collectives.h"
#include "worker/engine/train/patience.h"

namespace svi::engine {

// Everything but rank and size is called by all ranks, and begins with Meet: while one computes the others
// sleep, and who is missing is known by number. Throws RankLost, and after the first time at once: MPI is not
// touched again, for it would go on with buffers that are gone.
class MpiRanks {
 public:
  // Starts MPI in this process.
  explicit MpiRanks(CollectiveOptions options);
  MpiRanks(const MpiRanks&) = delete;
  MpiRanks& operator=(const MpiRanks&) = delete;

  int rank() const { return rank_; }
  int size() const { return size_; }
  const CollectiveOptions& options() const { return options_; }

  // Returns when all ranks have called.
  void Meet();
  // In place; one-dimensional contiguous float32 or float64 on the CPU. Call Meet before.
  void Sum(const at::Tensor& flat);
  // By rank; contiguous, on the CPU.
  std::vector<at::Tensor> Gather(const at::Tensor& tensor);
  std::vector<std::string> GatherStrings(const std::string& text);
  std::string Broadcast(const std::string& from_rank_0);
  // Ends MPI.
  void Finish();

  // "rank 0 <what>", as an exception; the ranks are of no use afterwards.
  [[noreturn]] void Lose(const std::string& what);

 private:
  void Check(int result, const char* call);
  void CheckUsable() const;
  bool Done(MPI_Request& request);
  void AwaitTransfer(MPI_Request& request);

  const CollectiveOptions options_;
  MPI_Comm ranks_ = MPI_COMM_NULL;
  int rank_ = 0;
  int size_ = 1;
  bool usable_ = true;
};

}  // namespace svi::engine

#endif  // SVI_ENGINE_TRAIN_MPI_RANKS_H_
