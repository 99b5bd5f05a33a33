// What VideoService does, without gRPC: each RPC as a function over the stores.
#ifndef SVI_SERVER_RPC_VIDEO_HANDLERS_H_
#define SVI_SERVER_RPC_VIDEO_HANDLERS_H_

#include <google/protobuf/empty.pb.h>

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "server/artifacts/artifact_store.h"
#include "server/auth/call_gate.h"
#include "server/queue/job_store.h"
#include "server/queue/schedule_index.h"
#include "server/queue/tenant_table.h"
#include "server/rpc/download_source.h"
#include "server/rpc/join_cache.h"
#include "server/stream/event_hub.h"
#include "svi/v1/video_service.pb.h"

namespace svi::server {

// All borrowed. The functions stand for the Dispatcher; each returns at once.
struct VideoParts {
  JobStore* store = nullptr;
  ArtifactStore* artifacts = nullptr;
  EventHub* hub = nullptr;
  ServerMetrics* metrics = nullptr;
  JoinCache* joins = nullptr;
  CallGate* gate = nullptr;  // null: everybody may call
  // Limits on videos; nullptr: none.
  const TenantTable* tenants = nullptr;
  std::function<void(const std::string& video_id)> video_changed = [](const std::string&) {};
  std::function<void(const std::string& video_id)> video_ended = [](const std::string&) {};
  std::function<std::optional<VideoEstimate>(const std::string& video_id)> estimate = [](const std::string&) {
    return std::optional<VideoEstimate>();
  };
  std::function<std::vector<v1::Worker>()> list_workers = [] { return std::vector<v1::Worker>(); };
};

// Thread-safe. Errors are as the comments of video_service.proto say.
class VideoHandlers {
 public:
  explicit VideoHandlers(VideoParts parts) : parts_(std::move(parts)) {}

  absl::StatusOr<v1::Video> Create(const CallIdentity& caller, const v1::CreateVideoRequest& request);
  absl::StatusOr<v1::Video> Get(const CallIdentity& caller, const v1::GetVideoRequest& request);
  absl::StatusOr<v1::ListVideosResponse> List(const CallIdentity& caller,
                                              const v1::ListVideosRequest& request);
  absl::StatusOr<v1::Video> Cancel(const CallIdentity& caller, const v1::CancelVideoRequest& request);
  absl::StatusOr<google::protobuf::Empty> Delete(const CallIdentity& caller,
                                                 const v1::DeleteVideoRequest& request);
  absl::StatusOr<v1::Video> Append(const CallIdentity& caller, const v1::AppendPromptsRequest& request);
  absl::StatusOr<v1::Video> Finish(const CallIdentity& caller, const v1::FinishVideoRequest& request);
  absl::StatusOr<v1::ListWorkersResponse> Workers(const CallIdentity& caller,
                                                  const v1::ListWorkersRequest& request);

  absl::StatusOr<Download> OpenClip(const CallIdentity& caller, const std::string& video_id, uint32_t index);
  // Joins the clips if that was not done before: heavy.
  absl::StatusOr<Download> OpenVideo(const CallIdentity& caller, const v1::DownloadVideoRequest& request);

  const VideoParts& parts() const { return parts_; }

 private:
  // Fills in when its clips will be there.
  v1::Video WithEstimate(v1::Video video) const;
  // NOT_FOUND, as if there were none, unless the video is the caller's.
  absl::Status CheckOwner(const CallIdentity& caller, const std::string& id);

  const VideoParts parts_;
};

}  // namespace svi::server

#endif  // SVI_SERVER_RPC_VIDEO_HANDLERS_H_
