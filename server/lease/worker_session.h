// What a LeaseLedger knows of a connected worker and of a lease, and what that is for clips.
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
//
// `Kind` names the types of one kind of lease: ClipKind below, RunKind in trainer_session.h.
template <typename Kind>
struct SessionOf {
  std::shared_ptr<typename Kind::Stream> stream;
  bool registered = false;
  std::string id;                   // worker_id
  typename Kind::Register profile;  // as registered, without lists of names
  absl::Time connected;
  absl::Time idle_since;
  bool draining = false;
  std::optional<std::string> job;  // id of the video or the run whose lease it holds
  // The last lease that it was told to drop.
  std::optional<typename Kind::Lease> cancelled;
  // It has not yet shown that it dropped it: no new lease until then. It named it last at stopping_since.
  bool stopping = false;
  absl::Time stopping_since;
  // Its upload is being made durable: nothing more is read from the stream until that is done.
  bool reading_paused = false;

  [[nodiscard]] std::string name() const { return "workers/" + id; }
  [[nodiscard]] bool idle() const { return registered && !draining && !job && !stopping; }
};

// A lease that the store has given out through us, or that was held when the server started.
template <typename Kind>
struct HeldOf {
  HeldOf(typename Kind::Lease held, std::string worker)
      : lease(std::move(held)), worker_id(std::move(worker)) {}

  typename Kind::Lease lease;
  std::string worker_id;
  uint32_t attempt = 0;  // 0: not known, the lease is from before the server started
  // Given out by a server before this one; its worker has not come back yet.
  bool recovered = false;
  // The worker has named the lease: it knows that it has it.
  bool acknowledged = false;
  // The worker's stream; null while it is cut off, and then it has until `deadline` to come back.
  typename Kind::Session* session = nullptr;
  absl::Time deadline = absl::InfiniteFuture();
  // When the worker named the lease last, or was given the last of its inputs.
  absl::Time last_named = absl::InfinitePast();
  // Its upload is complete and being made durable, on another thread.
  bool storing = false;
  // How it ended; set while the store has yet to be told (it is retried in each pass).
  std::variant<std::monostate, typename Kind::Finished, JobStore::FailedAttempt> outcome;

  [[nodiscard]] bool open() const { return std::holds_alternative<std::monostate>(outcome); }
};

struct WorkerSession;
struct HeldClip;

struct ClipKind {
  using Incoming = v1::WorkerMessage;
  using Outgoing = v1::ServerMessage;
  using Stream = WorkerStream;
  using LeaseId = v1::LeaseId;
  using Register = v1::Register;
  using Registered = v1::Registered;
  using Heartbeat = v1::Heartbeat;
  using Failed = v1::ClipFailed;
  using Lease = server::Lease;
  using HeldLease = JobStore::HeldLease;
  using Finished = FinishedClip;
  using Session = WorkerSession;
  using Held = HeldClip;

  // For messages: what a worker works on, and what comes of it.
  static constexpr char kWork[] = "clip";
  static constexpr char kResult[] = "clip";
  // Reasons of a cancel message.
  static constexpr char kRefused[] = "CLIP_REFUSED";
  static constexpr char kEnded[] = "VIDEO_CANCELLED";

  static v1::LeaseId* MutableAccepted(v1::ServerMessage& message) {
    return message.mutable_clip_accepted()->mutable_lease();
  }
};

struct WorkerSession : SessionOf<ClipKind> {
  std::set<std::string> loras;  // that it can apply, as it told last
  // Its most recent clip on this stream: (video, index). The worker still has this video's picture and carry.
  std::optional<std::pair<std::string, uint32_t>> last_commit;
  uint64_t clips_done = 0;
  // Those of its newest clip, sorted: they are merged into its weights.
  std::vector<std::string> merged_loras;
};

struct HeldClip : HeldOf<ClipKind> {
  HeldClip(Lease held, std::string worker, ArtifactUpload clip_upload, ArtifactUpload carry_upload,
           std::shared_ptr<InputFeed> feed)
      : HeldOf(std::move(held), std::move(worker)),
        clip(std::move(clip_upload)),
        carry(std::move(carry_upload)),
        inputs(std::move(feed)) {}

  // That the clip needs its worker to have; empty if the lease is from before the server started.
  std::vector<std::string> loras;
  // What the video's spec asks for, where it does; likewise.
  std::optional<uint32_t> width, height, fps;
  ArtifactUpload clip;
  ArtifactUpload carry;
  std::shared_ptr<InputFeed> inputs;
  // The next piece of the inputs is being read, on another thread, which has `inputs` for itself until then.
  bool reading = false;

  // The worker has been sent all that it needs.
  [[nodiscard]] bool supplied() const { return !reading && inputs->done(); }
};

}  // namespace svi::server

#endif  // SVI_SERVER_LEASE_WORKER_SESSION_H_
