// What a TrainingSpec may say, and what it means where it is silent: one place for client, server and worker.
#ifndef SVI_CLIENT_TRAINING_SPEC_H_
#define SVI_CLIENT_TRAINING_SPEC_H_

#include <cstdint>
#include <string>
#include <vector>

#include "svi/v1/training_spec.pb.h"

namespace svi {

// One thing that is wrong with a spec.
struct SpecFault {
  // Path in the spec, as in "error_recycling.y_prob" or "lora_targets[2]".
  std::string field;
  // What it must be, and what it is: "must be 1..1024, is 0".
  std::string what;

  bool operator==(const SpecFault&) const = default;
};

// Everything that is wrong with `spec`, in the order of its fields; empty if it is good. The limits are those
// that the comments of svi/v1/training_spec.proto state. NaN is outside every range.
[[nodiscard]] std::vector<SpecFault> CheckTrainingSpec(const v1::TrainingSpec& spec);

// `spec` with each default filled in that does not depend on the model or the run. Left as they are: width,
// height, num_frames, flow_shift, lora_name. Valid as spec is valid.
[[nodiscard]] v1::TrainingSpec WithDefaults(v1::TrainingSpec spec);

// Leading clean slots that hold what came before the clip, and that errors go into: 2 of FILM, 1 of the
// others.
[[nodiscard]] uint32_t HistorySlots(v1::Variant variant);

}  // namespace svi

#endif  // SVI_CLIENT_TRAINING_SPEC_H_
