// The client library: VideoService with retries, watches that resume, and downloads that continue where they
// broke off.
#ifndef SVI_CLIENT_SVI_CLIENT_H_
#define SVI_CLIENT_SVI_CLIENT_H_

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "client/file_download.h"
#include "client/interrupt.h"
#include "svi/v1/video_service.grpc.pb.h"

namespace svi::client {

struct ClientOptions {
  std::string server = "127.0.0.1:50051";  // HOST:PORT
  // A call is made again for this long after the last sign of life; zero: never again.
  absl::Duration retry_for = absl::Minutes(5);
  absl::Duration initial_backoff = absl::Milliseconds(200);  // doubles each time, with jitter
  absl::Duration max_backoff = absl::Seconds(10);
  absl::Duration call_timeout = absl::Minutes(5);  // of one attempt at a call that is not a stream
  // Told of every attempt that failed and will be made again.
  std::function<void(const absl::Status& error, absl::Duration wait)> on_retry;
};

// Errors are the server's, with their google.rpc details as a payload (see errors.h); CANCELLED once
// interrupted. Names may be given without their `videos/`. Thread-safe.
class SviClient {
 public:
  // `interrupt` must outlive the client.
  SviClient(ClientOptions options, Interrupt* interrupt);

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
  class Retry;
  template <typename Request, typename Response>
  using Method = grpc::Status (v1::VideoService::Stub::*)(grpc::ClientContext*, const Request&, Response*);
  // `retried`, if given, is set when more than one attempt was made: the first may have succeeded unseen.
  template <typename Request, typename Response>
  absl::StatusOr<Response> Call(Method<Request, Response> method, const Request& request,
                                bool* retried = nullptr);
  using Reader = grpc::ClientReader<v1::DownloadResponse>;
  using OpenDownload =
      std::function<std::unique_ptr<Reader>(grpc::ClientContext*, uint64_t offset, uint32_t clips)>;
  absl::StatusOr<uint32_t> Download(const OpenDownload& open, FileDownload& file);

  const ClientOptions options_;
  Interrupt* const interrupt_;
  std::unique_ptr<v1::VideoService::Stub> stub_;
};

// "abc" and "videos/abc" → "videos/abc".
std::string VideoName(std::string_view name);
// A random UUID, version 4.
std::string NewUuid();
bool IsFinal(v1::VideoState state);

}  // namespace svi::client

#endif  // SVI_CLIENT_SVI_CLIENT_H_
