// What the LeaseManager knows of a connected worker, and of a clip that is held.
#ifndef SVI_SERVER_LEASE_WORKER_SESSION_H_
#define SVI_SERVER_LEASE_WORKER_SESSION_H_

#include <memory>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "absl/time/time.h"
#include "server/lease/clip_upload.h"
#include "server/lease/worker_stream.h"
#include "server/queue/job_store.h"
#include "svi/v1/worker_service.pb.h"

namespace svi::server {

// One open stream. It is a worker once it has registered.
//
//   (open) ─Register─▶ IDLE ─Assign─▶ BUSY ─accepted, failed─▶ IDLE
//                                     BUSY ─lease taken away─▶ STOPPING ─the worker says it stopped─▶ IDLE
// Each of them turns into DRAINING, for good, when the worker says so; a draining worker gets no more leases.
struct WorkerSession {
  std::shared_ptr<WorkerStream> stream;
  bool registered = false;
  std::string id;               // worker_id
  v1::Register profile;         // as registered, without the LoRAs
  std::set<std::string> loras;  // that it can apply, as it told last
  absl::Time connected;
  absl::Time idle_since;
  bool draining = false;
  std::optional<std::string> video_id;  // the video whose lease it holds
  // The last lease that it was told to drop.
  std::optional<Lease> cancelled;
  // It has not yet shown that it dropped it: no new lease until then. It named it last at stopping_since.
  bool stopping = false;
  absl::Time stopping_since;
  // Its most recent clip on this stream: (video, index). The worker still has this video's picture and carry.
  std::optional<std::pair<std::string, uint32_t>> last_commit;
  uint64_t clips_done = 0;

  [[nodiscard]] std::string name() const { return "workers/" + id; }
  [[nodiscard]] bool idle() const { return registered && !draining && !video_id && !stopping; }
};

// A lease that the store has given out through us, or that was held when the server started.
struct HeldClip {
  HeldClip(Lease held, std::string worker, ArtifactUpload clip_upload, ArtifactUpload carry_upload,
           InputFeed feed)
      : lease(std::move(held)),
        worker_id(std::move(worker)),
        clip(std::move(clip_upload)),
        carry(std::move(carry_upload)),
        inputs(std::move(feed)) {}

  Lease lease;
  std::string worker_id;
  std::vector<std::string>
      loras;             // that the clip needs; empty if the lease is from before the server started
  uint32_t attempt = 0;  // 0: not known, the lease is from before the server started
  // Given out by a server before this one; its worker has not come back yet.
  bool recovered = false;
  // The worker has named the lease: it knows that it has it.
  bool acknowledged = false;
  // The worker's stream; null while it is cut off, and then it has until `deadline` to come back.
  WorkerSession* session = nullptr;
  absl::Time deadline = absl::InfiniteFuture();
  // When the worker named the lease last, or was given the last of its inputs.
  absl::Time last_named = absl::InfinitePast();
  ArtifactUpload clip;
  ArtifactUpload carry;
  InputFeed inputs;
  // How it ended; set while the store has yet to be told (it is retried in each pass).
  std::variant<std::monostate, FinishedClip, JobStore::FailedAttempt> outcome;

  [[nodiscard]] bool open() const { return std::holds_alternative<std::monostate>(outcome); }
};

}  // namespace svi::server

#endif  // SVI_SERVER_LEASE_WORKER_SESSION_H_
