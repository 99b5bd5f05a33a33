// How far a clip has gone from the first one.
#ifndef SVI_WORKER_DRIFT_DRIFT_H_
#define SVI_WORKER_DRIFT_DRIFT_H_

#include "worker/drift/measures.h"

namespace svi::drift {

// `first`: of clip 0. `still`: of this clip. All differences of a clip to itself are 0.
[[nodiscard]] ClipDrift DriftFrom(const ClipMeasures& first, const ClipMeasures& clip,
                                  const StillSimilarity& still);

// Earth mover's distance of two histograms, the distance of the first bin to the last being 1; mean over red,
// green and blue.
[[nodiscard]] double HistogramDistance(const ClipMeasures& a, const ClipMeasures& b);

}  // namespace svi::drift

#endif  // SVI_WORKER_DRIFT_DRIFT_H_
