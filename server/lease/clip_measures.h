// Checks of what a worker measured of a clip.
#ifndef SVI_SERVER_LEASE_CLIP_MEASURES_H_
#define SVI_SERVER_LEASE_CLIP_MEASURES_H_

#include "absl/status/status.h"
#include "svi/v1/worker_service.pb.h"

namespace svi::server {

// What is there of measures and drift must be finite and in bounds that no real clip leaves, since it is
// stored, shown and counted. INVALID_ARGUMENT names the field. A worker need not measure at all.
[[nodiscard]] absl::Status CheckMeasures(const v1::ClipDone& message);

}  // namespace svi::server

#endif  // SVI_SERVER_LEASE_CLIP_MEASURES_H_
