#ifndef SVI_WORKER_AGENT_LEASE_TEXT_H_
#define SVI_WORKER_AGENT_LEASE_TEXT_H_

#include <string>

#include "absl/strings/str_cat.h"
#include "svi/v1/worker_service.pb.h"

namespace svi::worker {

// For the log: "videos/abc/clips/3 e2".
inline std::string LeaseText(const v1::LeaseId& id) {
  return absl::StrCat(id.video(), "/clips/", id.clip_index(), " e", id.epoch());
}

// "trainingRuns/abc e2".
inline std::string LeaseText(const v1::RunLease& lease) {
  return absl::StrCat(lease.training_run(), " e", lease.epoch());
}

}  // namespace svi::worker

#endif  // SVI_WORKER_AGENT_LEASE_TEXT_H_
