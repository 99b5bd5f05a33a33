// The JobStore contract: everything durable about videos, clips, leases and events.
#ifndef SVI_SERVER_QUEUE_JOB_STORE_H_
#define SVI_SERVER_QUEUE_JOB_STORE_H_

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "server/queue/current_clip.h"
#include "server/queue/tenant.h"
#include "svi/v1/resources.pb.h"

namespace svi::server {

// A stored file: where the ArtifactStore keeps it, and what it must be.
struct ArtifactRef {
  std::string key;     // of the ArtifactStore, e.g. "<video id>/clip-00003.e2.mp4"
  uint64_t size = 0;   // bytes
  std::string sha256;  // 32 bytes
};

struct NewVideo {
  std::string id;  // without "videos/"
  std::string tenant = kDefaultTenant;
  std::string request_id;    // empty: not idempotent; each tenant has its own
  std::string request_hash;  // of the whole request: the same request_id with another hash is refused
  v1::VideoSpec spec;        // without image, defaults not filled in
  ArtifactRef image;
  // Refused if so many videos, of the tenant or of all, have not ended. 0: no limit.
  uint32_t max_tenant_videos = 0;
  uint32_t max_videos = 0;
};

// A payload in the RESOURCE_EXHAUSTED of CreateVideo if it is the tenant's limit.
inline constexpr char kTenantLimitPayload[] = "svi.server/tenant_limit";

// The fencing token: the store refuses anything that carries an epoch which is not the clip's current one.
struct Lease {
  std::string video_id;
  uint32_t clip_index = 0;
  uint64_t epoch = 0;

  bool operator==(const Lease&) const = default;
};

// All that a worker needs to make the leased clip.
struct LeasedClip {
  Lease lease;
  uint32_t attempt = 1;
  v1::VideoSpec spec;  // all prompts known now
  ArtifactRef image;
  std::optional<ArtifactRef> carry;  // of the clip before; nullopt for clip 0, and if it is lost
};

struct FinishedClip {
  v1::Clip clip;  // name, index, prompt, seed, create_time and attempt are filled in by the store
  ArtifactRef mp4;
  ArtifactRef carry;
};

struct VideoPage {
  std::vector<v1::Video> videos;  // newest first, without clips
  std::optional<std::pair<int64_t, std::string>>
      next;  // (create time in µs, id) of the last one; nullopt: no more
};

// A video that has ended, as retention sees it.
struct EndedVideo {
  std::string id;
  std::string tenant;
  absl::Time end_time;
};

// Thread-safe. Every call that changes something is one durable transaction (it has reached the disk when the
// call returns), appends its events to the video's log with the next sequence numbers, and either happens as
// a whole or not at all. Legal transitions: server/queue/states.h; a call that would make an illegal one
// changes nothing. Common errors: NOT_FOUND (no such video or clip), UNAVAILABLE (the database does not
// answer).
class JobStore {
 public:
  virtual ~JobStore() = default;

  // Makes a QUEUED video whose clip 0 is leasable. Replay of request_id: the first video, `*replayed` = true,
  // nothing is made. ALREADY_EXISTS: request_id with another hash. RESOURCE_EXHAUSTED: a limit is met;
  // servers that share the store may pass it by what they make at the same instant.
  virtual absl::StatusOr<v1::Video> CreateVideo(const NewVideo& video, absl::Time now, bool* replayed) = 0;
  virtual absl::StatusOr<v1::Video> GetVideo(const std::string& id) = 0;  // with clips
  // Whose the video is; that never changes.
  virtual absl::StatusOr<std::string> TenantOf(const std::string& id) = 0;
  // The tenant's videos.
  virtual absl::StatusOr<VideoPage> ListVideos(
      const std::string& tenant, const std::vector<v1::VideoState>& states, int limit,
      const std::optional<std::pair<int64_t, std::string>>& after) = 0;
  // Ends an active video as CANCELLED and voids its lease; an ended one is returned unchanged.
  virtual absl::StatusOr<v1::Video> CancelVideo(const std::string& id, absl::Time now) = 0;
  // FAILED_PRECONDITION while the video is active. Returns the artifacts that are no longer referred to.
  virtual absl::StatusOr<std::vector<ArtifactRef>> DeleteVideo(const std::string& id) = 0;
  // FAILED_PRECONDITION: not open-ended, already finished, or ended. ABORTED: revision is not the expected
  // one. INVALID_ARGUMENT: too many prompts in all. A WAITING video becomes QUEUED.
  virtual absl::StatusOr<v1::Video> AppendPrompts(const std::string& id,
                                                  const std::vector<std::string>& prompts,
                                                  std::optional<uint64_t> expected_revision,
                                                  absl::Time now) = 0;
  // Idempotent. A WAITING video becomes SUCCEEDED.
  virtual absl::StatusOr<v1::Video> FinishVideo(const std::string& id,
                                                std::optional<uint64_t> expected_revision,
                                                absl::Time now) = 0;

  // Durable events with sequence > after, oldest first, at most `limit`.
  virtual absl::StatusOr<std::vector<v1::VideoEvent>> ListEvents(const std::string& id, uint64_t after,
                                                                 int limit) = 0;
  virtual absl::StatusOr<FinishedClip> GetClip(const std::string& id, uint32_t index) = 0;

  // For the scheduling policy. The current clips of videos with ids after `after` ("": of all), by id.
  virtual absl::StatusOr<std::vector<CurrentClip>> ListCurrentClips(const std::string& after, int limit) = 0;
  // nullopt: the video has none, or there is no such video.
  virtual absl::StatusOr<std::optional<CurrentClip>> FindCurrentClip(const std::string& id) = 0;
  // Clips that were finished at `since` or later, the newest first.
  virtual absl::StatusOr<std::vector<ServedClip>> ListServedClips(absl::Time since, int limit) = 0;

  // Takes the lease of a leasable clip: new epoch, attempt + 1, video RUNNING, event clip_started.
  // FAILED_PRECONDITION if it is not leasable (any more).
  virtual absl::StatusOr<LeasedClip> AcquireLease(const std::string& id, uint32_t clip_index,
                                                  const std::string& worker, absl::Time now) = 0;
  // OK if the lease is the current one, ABORTED if not.
  virtual absl::Status CheckLease(const Lease& lease) = 0;
  // Where several servers share the store, each lease is one server's: that is where its worker is, and to
  // all others it is not current. The worker has come to this one: the lease is this server's from now on.
  // ABORTED if it is not the clip's current one, or not this worker's.
  virtual absl::Status ClaimLease(const Lease& lease, const std::string& worker) = 0;
  // Commits the clip: row, carry, event clip_done, and the next clip leasable / the video WAITING /
  // SUCCEEDED. ABORTED if the lease is not the current one. Returns the video, and the artifacts that nobody
  // needs any more: the carry of the clip before and, when it was the last clip, its own.
  virtual absl::StatusOr<v1::Video> CommitClip(const Lease& lease, const FinishedClip& clip, absl::Time now,
                                               std::vector<ArtifactRef>* obsolete) = 0;
  // The attempt ended without a clip. Below `max_attempts`: leasable again, event clip_attempt_failed. At
  // max_attempts, or when `permanent`: video FAILED with `error`. `handed_back`: leasable again, attempt not
  // counted, no event but the state change. ABORTED if the lease is not the current one.
  struct FailedAttempt {
    v1::Failure error;
    bool permanent = false;
    bool handed_back = false;
    uint32_t max_attempts = 3;
  };
  virtual absl::StatusOr<v1::Video> FailLease(const Lease& lease, const FailedAttempt& failure,
                                              absl::Time now) = 0;
  // This server's leases, for recovery when it starts.
  struct HeldLease {
    Lease lease;
    std::string worker;
  };
  virtual absl::StatusOr<std::vector<HeldLease>> ListHeldLeases() = 0;

  // Videos of all tenants that ended before that time, those that ended longest ago first; from behind
  // `after` on, at most `limit`.
  virtual absl::StatusOr<std::vector<EndedVideo>> ListEnded(absl::Time before,
                                                            const std::optional<EndedVideo>& after,
                                                            int limit) = 0;

  // For metrics: videos by state, and clips that are leasable now.
  struct Counts {
    std::vector<std::pair<v1::VideoState, int64_t>> videos;
    int64_t leasable_clips = 0;
  };
  virtual absl::StatusOr<Counts> Count() = 0;
};

}  // namespace svi::server

#endif  // SVI_SERVER_QUEUE_JOB_STORE_H_
