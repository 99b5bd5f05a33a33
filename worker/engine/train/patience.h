// How long a rank waits for others, and how it spends that time.
#ifndef SVI_ENGINE_TRAIN_PATIENCE_H_
#define SVI_ENGINE_TRAIN_PATIENCE_H_

#include <string>

#include "absl/time/time.h"
#include "worker/engine/train/collectives.h"

namespace svi::engine {

// One wait, which begins when this is made. Call LookAgain after each look in vain.
class Patience {
 public:
  enum class For {
    kRanks,     // who may compute for long: leaves them the processor
    kTransfer,  // between ranks that are all there, which goes on only while one looks
  };
  // `options` must outlive it.
  Patience(const CollectiveOptions& options, For what);

  // Spends a moment. False: give up, for the reason below.
  [[nodiscard]] bool LookAgain();
  std::string reason() const;

 private:
  const CollectiveOptions& options_;
  const For what_;
  const absl::Time deadline_;
  absl::Time next_question_;
  absl::Duration pause_;
  int looks_ = 0;
  bool stopped_ = false;
};

}  // namespace svi::engine

#endif  // SVI_ENGINE_TRAIN_PATIENCE_H_
