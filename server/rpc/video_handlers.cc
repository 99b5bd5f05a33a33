#include "server/rpc/video_handlers.h"

#include <spdlog/spdlog.h>

#include <set>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "server/rpc/names.h"
#include "server/rpc/page_token.h"
#include "server/rpc/parse.h"
#include "server/rpc/status.h"
#include "server/rpc/validation.h"

namespace svi::server {
namespace {

absl::Status VideoError(const absl::Status& status) {
  absl::Status named = WithReason(status, absl::StatusCode::kNotFound, "NOT_FOUND");
  named = WithReason(named, absl::StatusCode::kAborted, "REVISION_MISMATCH");
  return WithReason(named, absl::StatusCode::kFailedPrecondition, "WRONG_STATE");
}

// How long who meets a limit should wait: for about a clip.
constexpr absl::Duration kFullRetryDelay = absl::Seconds(15);

absl::Status LimitError(const absl::Status& status, const std::string& tenant, ServerMetrics* metrics) {
  const bool quota = status.GetPayload(kTenantLimitPayload).has_value();
  absl::Status error = MakeError(status.code(), quota ? "QUOTA_EXCEEDED" : "QUEUE_FULL", status.message());
  if (quota) SetQuotaFailure(&error, absl::StrCat("tenant:", tenant), status.message());
  SetRetryDelay(&error, kFullRetryDelay);
  metrics->VideoRefused(quota ? "quota" : "queue_full");
  return error;
}

google::protobuf::Timestamp ToTimestamp(absl::Time time) {
  google::protobuf::Timestamp timestamp;
  timestamp.set_seconds(absl::ToUnixSeconds(time));
  timestamp.set_nanos(
      static_cast<int32_t>(absl::ToInt64Nanoseconds(time - absl::FromUnixSeconds(timestamp.seconds()))));
  return timestamp;
}

std::optional<uint64_t> ExpectedRevision(const auto& request) {
  return request.has_expected_revision() ? std::optional<uint64_t>(request.expected_revision())
                                         : std::nullopt;
}

}  // namespace

v1::Video VideoHandlers::WithEstimate(v1::Video video) const {
  if (video.state() != v1::VIDEO_STATE_QUEUED && video.state() != v1::VIDEO_STATE_RUNNING) return video;
  const auto id = ParseVideoName(video.name());
  const auto estimate = id.ok() ? parts_.estimate(*id) : std::nullopt;
  if (!estimate.has_value()) return video;
  if (estimate->start.has_value()) *video.mutable_estimated_start_time() = ToTimestamp(*estimate->start);
  if (estimate->finish.has_value()) *video.mutable_estimated_finish_time() = ToTimestamp(*estimate->finish);
  return video;
}

absl::Status VideoHandlers::CheckOwner(const CallIdentity& caller, const std::string& id) {
  const auto tenant = parts_.store->TenantOf(id);
  if (!tenant.ok()) return VideoError(tenant.status());
  if (*tenant == caller.tenant) return absl::OkStatus();
  return VideoError(absl::NotFoundError(absl::StrCat("there is no video ", VideoName(id))));
}

absl::StatusOr<v1::Video> VideoHandlers::Create(const CallIdentity& caller,
                                                const v1::CreateVideoRequest& request) {
  if (const auto valid = Validate(request); !valid.ok()) return valid;
  NewVideo video;
  video.id = NewId();
  video.tenant = caller.tenant;
  video.request_id = request.request_id();
  video.request_hash = HashOfRequest(request);
  auto image = parts_.artifacts->Put(absl::StrCat(video.id, "/image"), request.spec().image());
  if (!image.ok()) return image.status();
  video.image = *image;
  video.spec = request.spec();
  video.spec.clear_image();
  if (parts_.tenants != nullptr) {
    video.max_tenant_videos = parts_.tenants->Of(caller.tenant).max_videos;
    video.max_videos = parts_.tenants->max_videos();
  }
  bool replayed = false;
  auto created = parts_.store->CreateVideo(video, absl::Now(), &replayed);
  // After UNAVAILABLE the video may be there all the same, if the answer to COMMIT was lost: its picture
  // stays, for it or for the sweeper.
  const bool made =
      created.ok() ? created->name() == VideoName(video.id) : absl::IsUnavailable(created.status());
  if (!made) {
    // Whether it fails or not: nobody will ask for this picture.
    if (const auto deleted = parts_.artifacts->Delete(video.image); !deleted.ok()) {
      spdlog::warn("an unused picture stays behind: {}", deleted.ToString());
    }
  }
  if (absl::IsResourceExhausted(created.status())) {
    return LimitError(created.status(), caller.tenant, parts_.metrics);
  }
  if (!created.ok()) {
    return WithReason(created.status(), absl::StatusCode::kAlreadyExists, "REQUEST_ID_REUSED");
  }
  if (!replayed) {
    parts_.hub->Changed(video.id);
    parts_.video_changed(video.id);
  }
  return WithEstimate(*std::move(created));
}

absl::StatusOr<v1::Video> VideoHandlers::Get(const CallIdentity& caller, const v1::GetVideoRequest& request) {
  const auto id = ParseVideoName(request.name());
  if (!id.ok()) return id.status();
  if (const auto owned = CheckOwner(caller, *id); !owned.ok()) return owned;
  auto video = parts_.store->GetVideo(*id);
  if (!video.ok()) return VideoError(video.status());
  return WithEstimate(*std::move(video));
}

absl::StatusOr<v1::ListVideosResponse> VideoHandlers::List(const CallIdentity& caller,
                                                           const v1::ListVideosRequest& request) {
  if (const auto valid = Validate(request); !valid.ok()) return valid;
  const std::set<int> wanted(request.states().begin(), request.states().end());
  const std::string filter = absl::StrCat(caller.tenant, " ", StatesFilter(wanted));
  const auto range = ParsePage(request.page_size(), request.page_token(), filter);
  if (!range.ok()) return range.status();
  std::vector<v1::VideoState> states;
  for (const int state : wanted) states.push_back(static_cast<v1::VideoState>(state));
  auto page = parts_.store->ListVideos(caller.tenant, states, range->limit, range->after);
  if (!page.ok()) return page.status();
  v1::ListVideosResponse response;
  for (auto& video : page->videos) *response.add_videos() = WithEstimate(std::move(video));
  if (page->next.has_value()) response.set_next_page_token(MakePageToken(*page->next, filter));
  return response;
}

absl::StatusOr<v1::Video> VideoHandlers::Cancel(const CallIdentity& caller,
                                                const v1::CancelVideoRequest& request) {
  const auto id = ParseVideoName(request.name());
  if (!id.ok()) return id.status();
  if (const auto owned = CheckOwner(caller, *id); !owned.ok()) return owned;
  auto video = parts_.store->CancelVideo(*id, absl::Now());
  if (!video.ok()) return VideoError(video.status());
  parts_.video_ended(*id);
  parts_.hub->Changed(*id);
  return video;
}

absl::StatusOr<google::protobuf::Empty> VideoHandlers::Delete(const CallIdentity& caller,
                                                              const v1::DeleteVideoRequest& request) {
  const auto id = ParseVideoName(request.name());
  if (!id.ok()) return id.status();
  if (const auto owned = CheckOwner(caller, *id); !owned.ok()) return owned;
  if (request.force()) {
    v1::CancelVideoRequest cancel;
    cancel.set_name(request.name());
    if (const auto cancelled = Cancel(caller, cancel); !cancelled.ok()) return cancelled.status();
  }
  const auto unused = parts_.store->DeleteVideo(*id);
  if (!unused.ok()) return VideoError(unused.status());
  parts_.video_ended(*id);
  parts_.hub->Changed(*id);
  parts_.joins->Forget(absl::StrCat(*id, "/"));
  for (const auto& artifact : *unused) {
    if (const auto deleted = parts_.artifacts->Delete(artifact); !deleted.ok()) {
      spdlog::warn("artifact {} stays behind: {}", artifact.key, deleted.ToString());
    }
  }
  return google::protobuf::Empty();
}

absl::StatusOr<v1::Video> VideoHandlers::Append(const CallIdentity& caller,
                                                const v1::AppendPromptsRequest& request) {
  const auto id = ParseVideoName(request.name());
  if (!id.ok()) return id.status();
  if (const auto valid = Validate(request); !valid.ok()) return valid;
  if (const auto owned = CheckOwner(caller, *id); !owned.ok()) return owned;
  const std::vector<std::string> prompts(request.prompts().begin(), request.prompts().end());
  auto video = parts_.store->AppendPrompts(*id, prompts, ExpectedRevision(request), absl::Now());
  if (video.status().code() == absl::StatusCode::kInvalidArgument) {
    return InvalidFields({{"prompts", std::string(video.status().message())}});
  }
  if (!video.ok()) return VideoError(video.status());
  parts_.hub->Changed(*id);
  parts_.video_changed(*id);
  return WithEstimate(*std::move(video));
}

absl::StatusOr<v1::Video> VideoHandlers::Finish(const CallIdentity& caller,
                                                const v1::FinishVideoRequest& request) {
  const auto id = ParseVideoName(request.name());
  if (!id.ok()) return id.status();
  if (const auto owned = CheckOwner(caller, *id); !owned.ok()) return owned;
  auto video = parts_.store->FinishVideo(*id, ExpectedRevision(request), absl::Now());
  if (!video.ok()) return VideoError(video.status());
  parts_.hub->Changed(*id);
  parts_.video_changed(*id);
  return WithEstimate(*std::move(video));
}

absl::StatusOr<v1::ListWorkersResponse> VideoHandlers::Workers(const CallIdentity&,
                                                               const v1::ListWorkersRequest&) {
  v1::ListWorkersResponse response;
  for (auto& worker : parts_.list_workers()) *response.add_workers() = std::move(worker);
  return response;
}

absl::StatusOr<Download> VideoHandlers::OpenClip(const CallIdentity& caller, const std::string& video_id,
                                                 uint32_t index) {
  if (const auto owned = CheckOwner(caller, video_id); !owned.ok()) return owned;
  const auto clip = parts_.store->GetClip(video_id, index);
  if (!clip.ok()) return VideoError(clip.status());
  return DownloadOf(parts_.artifacts, clip->mp4);
}

absl::StatusOr<Download> VideoHandlers::OpenVideo(const CallIdentity& caller,
                                                  const v1::DownloadVideoRequest& request) {
  const auto id = ParseVideoName(request.name());
  if (!id.ok()) return id.status();
  if (const auto owned = CheckOwner(caller, *id); !owned.ok()) return owned;
  const auto video = parts_.store->GetVideo(*id);
  if (!video.ok()) return VideoError(video.status());
  if (video->clips_done() == 0) {
    return MakeError(absl::StatusCode::kFailedPrecondition, "NO_CLIPS",
                     "no clip of the video is finished yet");
  }
  const uint32_t clips = request.has_clips() ? request.clips() : video->clips_done();
  if (clips < 1 || clips > video->clips_done()) {
    return InvalidFields({{"clips", absl::StrCat("must be 1..", video->clips_done(),
                                                 ", the clips that are there; is ", clips)}});
  }
  std::vector<ArtifactRef> mp4s;
  for (uint32_t i = 0; i < clips; ++i) {
    auto clip = parts_.store->GetClip(*id, i);
    if (!clip.ok()) return VideoError(clip.status());
    mp4s.push_back(std::move(clip->mp4));
  }
  const auto file = parts_.joins->Get(absl::StrCat(*id, "/", clips), *parts_.artifacts, mp4s);
  if (!file.ok()) return file.status();
  Download download;
  download.size = (*file)->size();
  download.sha256 = (*file)->sha256();
  download.clips = clips;
  download.read = [file = *file](uint64_t offset, uint64_t length) { return file->ReadAt(offset, length); };
  return download;
}

}  // namespace svi::server
