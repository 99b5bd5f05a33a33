// How far a training run is, in words and as a bar.
#ifndef SVI_CLIENT_TRAINING_PROGRESS_H_
#define SVI_CLIENT_TRAINING_PROGRESS_H_

#include <string>

#include "svi/v1/training_service.pb.h"

namespace svi::client {

// Where a run stands, gathered from its events.
class RunProgress {
 public:
  void Start(const v1::TrainingRun& run);
  // Takes in any event.
  void Update(const v1::TrainingEvent& event);

  v1::TrainingState state() const { return state_; }
  // The newest, of any attempt: the next one goes on from a checkpoint.
  const v1::TrainingProgress& newest() const { return newest_; }
  // Steps done, 0..1.
  double Fraction() const;

 private:
  v1::TrainingState state_ = v1::TRAINING_STATE_UNSPECIFIED;
  v1::TrainingProgress newest_;
};

// "step 120/5000 [##--------]   2% loss 0.0731 lr 1.0e-04 3.20/s bank 1200 ETA 25m", at most `width` columns;
// the bar takes what the words leave. Before the first step the phase is there in place of the numbers, and
// while it does not run, the state.
std::string RenderBar(const RunProgress& progress, int width);

// "step 120/5000: loss 0.0731, learning rate 1e-04, gradient norm 0.42, 3.20 samples/s, bank 1200 latent, 0
// noise, ETA 25m"; the phase before the first step.
std::string DescribeProgress(const v1::TrainingProgress& progress);

// "queued", "running", …
std::string StateName(v1::TrainingState state);

}  // namespace svi::client

#endif  // SVI_CLIENT_TRAINING_PROGRESS_H_
