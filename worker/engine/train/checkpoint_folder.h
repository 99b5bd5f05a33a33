// The checkpoints of one run on disk.
#ifndef SVI_ENGINE_TRAIN_CHECKPOINT_FOLDER_H_
#define SVI_ENGINE_TRAIN_CHECKPOINT_FOLDER_H_

#include <cstdint>
#include <optional>
#include <string>

#include "worker/engine/train/collectives.h"
#include "worker/engine/weights/safetensors.h"

namespace svi::engine {

// DIR/step-00000500/{shared,rank-0,rank-1,…}.safetensors: what all ranks have in common, written by rank 0,
// and what is each rank's own. A folder of that name is complete: it is written as .step-00000500 and renamed
// when all ranks have written and flushed. Every rank calls every method.
class CheckpointFolder {
 public:
  // `keep`: newest ones that Write leaves.
  CheckpointFolder(std::string dir, int64_t keep, Collectives& collectives);

  // The newest step there is; nothing if there is none. Removes what was left half-written.
  std::optional<int64_t> Newest();

  // `shared` counts on rank 0 only. Throws std::runtime_error if it cannot be written.
  void Write(int64_t step, const TensorFile& shared, const TensorFile& own);

  // Throw std::invalid_argument on a file that is not there or damaged.
  TensorFile ReadShared(int64_t step) const;
  TensorFile ReadOwn(int64_t step) const;

 private:
  std::string PathOf(int64_t step) const;
  void RemoveOld();

  const std::string dir_;
  const int64_t keep_;
  Collectives& collectives_;
};

}  // namespace svi::engine

#endif  // SVI_ENGINE_TRAIN_CHECKPOINT_FOLDER_H_
