#include "client/svi_client.h"

#include <algorithm>
#include <utility>

#include "client/names.h"

namespace svi::client {

std::string VideoName(std::string_view name) { return WithCollection("videos/", name); }

absl::StatusOr<v1::Video> SviClient::CreateVideo(v1::CreateVideoRequest request) {
  if (request.request_id().empty()) request.set_request_id(NewUuid());
  return calls_.Call(&v1::VideoService::Stub::CreateVideo, request);
}

absl::StatusOr<v1::Video> SviClient::GetVideo(std::string_view name) {
  v1::GetVideoRequest request;
  request.set_name(VideoName(name));
  return calls_.Call(&v1::VideoService::Stub::GetVideo, request);
}

absl::StatusOr<v1::ListVideosResponse> SviClient::ListVideos(const v1::ListVideosRequest& request) {
  return calls_.Call(&v1::VideoService::Stub::ListVideos, request);
}

absl::StatusOr<v1::Video> SviClient::CancelVideo(std::string_view name) {
  v1::CancelVideoRequest request;
  request.set_name(VideoName(name));
  return calls_.Call(&v1::VideoService::Stub::CancelVideo, request);
}

absl::Status SviClient::DeleteVideo(std::string_view name, bool force) {
  v1::DeleteVideoRequest request;
  request.set_name(VideoName(name));
  request.set_force(force);
  bool retried = false;
  const absl::Status status = calls_.Call(&v1::VideoService::Stub::DeleteVideo, request, &retried).status();
  // The attempt whose answer was lost had deleted it.
  if (retried && absl::IsNotFound(status)) return absl::OkStatus();
  return status;
}

absl::StatusOr<v1::Video> SviClient::AppendPrompts(v1::AppendPromptsRequest request) {
  request.set_name(VideoName(request.name()));
  if (!request.has_expected_revision()) {
    absl::StatusOr<v1::Video> now = GetVideo(request.name());
    if (!now.ok()) return now;
    request.set_expected_revision(now->revision());
  }
  bool retried = false;
  absl::StatusOr<v1::Video> video = calls_.Call(&v1::VideoService::Stub::AppendPrompts, request, &retried);
  if (!retried || !absl::IsAborted(video.status())) return video;
  // Perhaps the attempt whose answer was lost is what changed the revision.
  absl::StatusOr<v1::Video> now = GetVideo(request.name());
  if (!now.ok() || now->revision() != request.expected_revision() + 1) return video;
  const auto& known = now->spec().prompts();
  const auto& added = request.prompts();
  const bool ours = known.size() >= added.size() &&
                    std::equal(added.begin(), added.end(), known.begin() + (known.size() - added.size()));
  return ours ? now : video;
}

absl::StatusOr<v1::Video> SviClient::FinishVideo(std::string_view name) {
  v1::FinishVideoRequest request;
  request.set_name(VideoName(name));
  bool retried = false;
  absl::StatusOr<v1::Video> video = calls_.Call(&v1::VideoService::Stub::FinishVideo, request, &retried);
  if (!retried || !absl::IsFailedPrecondition(video.status())) return video;
  absl::StatusOr<v1::Video> now = GetVideo(name);
  return now.ok() && now->finished() ? now : video;
}

absl::StatusOr<v1::ListWorkersResponse> SviClient::ListWorkers() {
  return calls_.Call(&v1::VideoService::Stub::ListWorkers, v1::ListWorkersRequest());
}

absl::StatusOr<v1::Video> SviClient::Watch(std::string_view name, uint64_t after_sequence,
                                           const EventCallback& on_event) {
  v1::WatchVideoRequest request;
  request.set_name(VideoName(name));
  return calls_.Watch<v1::VideoEvent>(
      after_sequence,
      [this, &request](grpc::ClientContext* context, uint64_t after) {
        request.set_after_sequence(after);
        return calls_.stub().WatchVideo(context, request);
      },
      [this, &request] { return GetVideo(request.name()); }, on_event);
}

absl::Status SviClient::DownloadClip(std::string_view clip_name, FileDownload& file) {
  v1::DownloadClipRequest request;
  request.set_name(VideoName(clip_name));
  return calls_.Download<v1::DownloadResponse>(
      [this, &request](grpc::ClientContext* context, uint64_t offset) {
        request.set_offset(offset);
        return calls_.stub().DownloadClip(context, request);
      },
      file);
}

absl::StatusOr<uint32_t> SviClient::DownloadVideo(std::string_view name, std::optional<uint32_t> clips,
                                                  FileDownload& file) {
  v1::DownloadVideoRequest request;
  request.set_name(VideoName(name));
  if (clips) request.set_clips(*clips);
  uint32_t joined = 0;
  absl::Status status = calls_.Download<v1::DownloadResponse>(
      [this, &request, &joined](grpc::ClientContext* context, uint64_t offset) {
        request.set_offset(offset);
        // The video may have grown since: resume the file that was begun.
        if (joined != 0) request.set_clips(joined);
        return calls_.stub().DownloadVideo(context, request);
      },
      file,
      [&joined](const v1::DownloadResponse& chunk) {
        if (chunk.clips() != 0) joined = chunk.clips();
      });
  if (!status.ok()) return status;
  return joined;
}

}  // namespace svi::client
