// Between the API's words for a training run and the engine's.
#ifndef SVI_WORKER_TRAIN_OPTIONS_H_
#define SVI_WORKER_TRAIN_OPTIONS_H_

#include "absl/status/statusor.h"
#include "engine/train_options.h"
#include "engine/trainer.h"
#include "svi/v1/training_service.pb.h"
#include "svi/v1/training_spec.pb.h"

namespace svi::worker {

// INVALID_ARGUMENT names every field that is at fault.
absl::StatusOr<engine::TrainOptions> ToTrainOptions(const v1::TrainingSpec& spec);

v1::TrainingProgress ToProgress(const engine::TrainReport& report);

}  // namespace svi::worker

#endif  // SVI_WORKER_TRAIN_OPTIONS_H_
