// Measures and drift of a clip as messages.
#ifndef SVI_WORKER_AGENT_DRIFT_PROTO_H_
#define SVI_WORKER_AGENT_DRIFT_PROTO_H_

#include <optional>

#include "svi/v1/resources.pb.h"
#include "worker/drift/measures.h"

namespace svi::worker {

[[nodiscard]] v1::ClipMeasures ToProto(const drift::ClipMeasures& measures);
[[nodiscard]] v1::ClipDrift ToProto(const drift::ClipDrift& drift);

// nullopt if there is no histogram of the size that this worker makes: another version's measures.
[[nodiscard]] std::optional<drift::ClipMeasures> FromProto(const v1::ClipMeasures& measures);

}  // namespace svi::worker

#endif  // SVI_WORKER_AGENT_DRIFT_PROTO_H_
