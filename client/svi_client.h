// The client library for VideoService: calls with retries, watches that resume, and downloads that continue
// where they broke off.
#ifndef SVI_CLIENT_SVI_CLIENT_H_
#define SVI_CLIENT_SVI_CLIENT_H_

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "client/calls.h"
#include "client/file_download.h"
#include "client/interrupt.h"
#include "client/states.h"
#include "svi/v1/video_service.grpc.pb.h"

namespace svi::client {

// Errors are the server's, with their google.rpc details as a payload (see errors.h); CANCELLED once
// interrupted. Names may be given without their `videos/`. Thread-safe.
class SviClient {
 public:
  // `interrupt` must outlive the client.
  SviClient(ClientOptions options, Interrupt* interrupt) : calls_(std::move(options), interrupt) {}

  // An empty request_id is replaced by a UUID, so that trying again cannot make a second video.
  absl::StatusOr<v1::Video> CreateVideo(v1::CreateVideoRequest request);
  absl::StatusOr<v1::Video> GetVideo(std::string_view name);
  absl::StatusOr<v1::ListVideosResponse> ListVideos(const v1::ListVideosRequest& request);
  absl::StatusOr<v1::Video> CancelVideo(std::string_view name);
  absl::Status DeleteVideo(std::string_view name, bool force);
  // Without an expected revision, the one the video has now is demanded: prompts are never appended twice.
  absl::StatusOr<v1::Video> AppendPrompts(v1::AppendPromptsRequest request);
  absl::StatusOr<v1::Video> FinishVideo(std::string_view name);
  absl::StatusOr<v1::ListWorkersResponse> ListWorkers();

  // Calls `on_event` for each event after `after_sequence` until the video ends; durable ones once each, in
  // order, whatever happens to the connection. An error of on_event ends the watch with it. Returns the video
  // as it ended.
  using EventCallback = std::function<absl::Status(const v1::VideoEvent&)>;
  absl::StatusOr<v1::Video> Watch(std::string_view name, uint64_t after_sequence,
                                  const EventCallback& on_event);

  // Fetches what `file` does not have yet, verifies it and gives it its name. Bytes that prove damaged are
  // fetched once more from the start; then DATA_LOSS.
  absl::Status DownloadClip(std::string_view clip_name, FileDownload& file);
  // All finished clips (or the first `clips` of them) as one file. Returns how many are in it.
  absl::StatusOr<uint32_t> DownloadVideo(std::string_view name, std::optional<uint32_t> clips,
                                         FileDownload& file);

 private:
  Calls<v1::VideoService> calls_;
};

// "abc" and "videos/abc" → "videos/abc".
std::string VideoName(std::string_view name);

}  // namespace svi::client

#endif  // SVI_CLIENT_SVI_CLIENT_H_
