// The moment at which most faults are injected.
#ifndef SVI_TESTS_FAULT_MIDDLE_H_
#define SVI_TESTS_FAULT_MIDDLE_H_

#include "svi/v1/resources.pb.h"

namespace svi::fault {

// Denoising steps: enough that something can happen between the first and the last of them.
inline constexpr int kSteps = 300;

// True at the first denoising progress of the clip that leaves most of it to do.
inline auto InTheMiddleOf(uint32_t clip) {
  return [clip](const v1::VideoEvent& event) {
    const v1::Progress& p = event.progress();
    return event.has_progress() && p.clip_index() == clip && p.stage() == v1::STAGE_DENOISE &&
           p.step() >= 1 && p.step() < p.total() / 2;
  };
}

}  // namespace svi::fault

#endif  // SVI_TESTS_FAULT_MIDDLE_H_
