#include "client/svi_client.h"

#include <grpcpp/create_channel.h>

#include <algorithm>
#include <random>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/time/clock.h"
#include "client/errors.h"

namespace svi::client {
namespace {

std::shared_ptr<grpc::Channel> Connect(const ClientOptions& options) {
  grpc::ChannelArguments args;
  args.SetMaxReceiveMessageSize(64 << 20);  // a video of 100,000 clips, listed
  args.SetMaxSendMessageSize(-1);           // the server judges the picture's size, and says so
  // The library decides when to try again; the channel must not still be waiting then.
  args.SetInt(GRPC_ARG_INITIAL_RECONNECT_BACKOFF_MS, 100);
  args.SetInt(GRPC_ARG_MIN_RECONNECT_BACKOFF_MS, 100);
  args.SetInt(GRPC_ARG_MAX_RECONNECT_BACKOFF_MS, 2000);
  // Notices a peer that vanished without closing. Only while a call is under way.
  args.SetInt(GRPC_ARG_KEEPALIVE_TIME_MS, 30'000);
  args.SetInt(GRPC_ARG_KEEPALIVE_TIMEOUT_MS, 20'000);
  args.SetInt(GRPC_ARG_KEEPALIVE_PERMIT_WITHOUT_CALLS, 0);
  args.SetString(GRPC_ARG_PRIMARY_USER_AGENT_STRING, "svi");
  return grpc::CreateCustomChannel(options.server, grpc::InsecureChannelCredentials(), args);
}

absl::Status Interrupted() { return absl::CancelledError("interrupted"); }

}  // namespace

std::string VideoName(std::string_view name) {
  return absl::StrCat(
      absl::StartsWith(absl::string_view(name.data(), name.size()), "videos/") ? "" : "videos/",
      absl::string_view(name.data(), name.size()));
}

std::string NewUuid() {
  std::random_device random;
  uint32_t word[4] = {random(), random(), random(), random()};
  return absl::StrFormat("%08x-%04x-4%03x-%04x-%04x%08x", word[0], word[1] >> 16, word[1] & 0xfff,
                         0x8000 | ((word[2] >> 16) & 0x3fff), word[2] & 0xffff, word[3]);
}

bool IsFinal(v1::VideoState state) {
  return state == v1::VIDEO_STATE_SUCCEEDED || state == v1::VIDEO_STATE_FAILED ||
         state == v1::VIDEO_STATE_CANCELLED;
}

// Exponential back-off with jitter, until nothing has been heard for ClientOptions::retry_for.
class SviClient::Retry {
 public:
  Retry(const ClientOptions& options, Interrupt* interrupt)
      : options_(options), interrupt_(interrupt), backoff_(options.initial_backoff) {}

  // Something arrived: the patience starts anew.
  void Alive() {
    heard_ = absl::Now();
    backoff_ = options_.initial_backoff;
  }

  // OK after a wait if the call should be made again; else the error to give up with.
  absl::Status Wait(const absl::Status& error) {
    if (interrupt_->triggered()) return Interrupted();
    if (!IsRetryable(error)) return error;
    const double jitter = std::uniform_real_distribution<double>(0.5, 1.0)(random_);
    const absl::Duration wait = std::max(backoff_ * jitter, RetryDelay(error));
    if (absl::Now() + wait - heard_ > options_.retry_for) return error;
    if (options_.on_retry) options_.on_retry(error, wait);
    if (!interrupt_->SleepFor(wait)) return Interrupted();
    backoff_ = std::min(backoff_ * 2, options_.max_backoff);
    return absl::OkStatus();
  }

 private:
  const ClientOptions& options_;
  Interrupt* const interrupt_;
  absl::Duration backoff_;
  absl::Time heard_ = absl::Now();
  std::minstd_rand random_{std::random_device{}()};
};

SviClient::SviClient(ClientOptions options, Interrupt* interrupt)
    : options_(std::move(options)),
      interrupt_(interrupt),
      stub_(v1::VideoService::NewStub(Connect(options_))) {}

template <typename Request, typename Response>
absl::StatusOr<Response> SviClient::Call(Method<Request, Response> method, const Request& request,
                                         bool* retried) {
  Retry retry(options_, interrupt_);
  for (;;) {
    CallContext context(interrupt_);
    context.get()->set_deadline(absl::ToChronoTime(absl::Now() + options_.call_timeout));
    Response response;
    absl::Status status = FromGrpc((stub_.get()->*method)(context.get(), request, &response));
    if (status.ok()) return response;
    status = retry.Wait(status);
    if (!status.ok()) return status;
    if (retried != nullptr) *retried = true;
  }
}

absl::StatusOr<v1::Video> SviClient::CreateVideo(v1::CreateVideoRequest request) {
  if (request.request_id().empty()) request.set_request_id(NewUuid());
  return Call(&v1::VideoService::Stub::CreateVideo, request);
}

absl::StatusOr<v1::Video> SviClient::GetVideo(std::string_view name) {
  v1::GetVideoRequest request;
  request.set_name(VideoName(name));
  return Call(&v1::VideoService::Stub::GetVideo, request);
}

absl::StatusOr<v1::ListVideosResponse> SviClient::ListVideos(const v1::ListVideosRequest& request) {
  return Call(&v1::VideoService::Stub::ListVideos, request);
}

absl::StatusOr<v1::Video> SviClient::CancelVideo(std::string_view name) {
  v1::CancelVideoRequest request;
  request.set_name(VideoName(name));
  return Call(&v1::VideoService::Stub::CancelVideo, request);
}

absl::Status SviClient::DeleteVideo(std::string_view name, bool force) {
  v1::DeleteVideoRequest request;
  request.set_name(VideoName(name));
  request.set_force(force);
  bool retried = false;
  const absl::Status status = Call(&v1::VideoService::Stub::DeleteVideo, request, &retried).status();
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
  absl::StatusOr<v1::Video> video = Call(&v1::VideoService::Stub::AppendPrompts, request, &retried);
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
  absl::StatusOr<v1::Video> video = Call(&v1::VideoService::Stub::FinishVideo, request, &retried);
  if (!retried || !absl::IsFailedPrecondition(video.status())) return video;
  absl::StatusOr<v1::Video> now = GetVideo(name);
  return now.ok() && now->finished() ? now : video;
}

absl::StatusOr<v1::ListWorkersResponse> SviClient::ListWorkers() {
  return Call(&v1::VideoService::Stub::ListWorkers, v1::ListWorkersRequest());
}

absl::StatusOr<v1::Video> SviClient::Watch(std::string_view name, uint64_t after_sequence,
                                           const EventCallback& on_event) {
  v1::WatchVideoRequest request;
  request.set_name(VideoName(name));
  uint64_t last = after_sequence;
  Retry retry(options_, interrupt_);
  for (;;) {
    request.set_after_sequence(last);
    CallContext context(interrupt_);
    std::unique_ptr<grpc::ClientReader<v1::VideoEvent>> reader = stub_->WatchVideo(context.get(), request);
    v1::VideoEvent event;
    absl::Status stopped;  // why we, not the server, ended the stream
    bool refused = false;  // by on_event: for good
    while (stopped.ok() && reader->Read(&event)) {
      if (event.sequence() != 0 && event.sequence() <= last) continue;
      if (event.sequence() > last + 1) {
        stopped = absl::UnavailableError(absl::StrCat("events after ", last, " did not arrive"));
        break;
      }
      retry.Alive();
      stopped = on_event(event);
      refused = !stopped.ok();
      if (event.sequence() != 0 && !refused) last = event.sequence();
    }
    if (!stopped.ok()) context.get()->TryCancel();
    absl::Status status = FromGrpc(reader->Finish());
    if (refused) return stopped;
    if (!stopped.ok()) status = stopped;
    if (status.ok()) {
      // The server is done; or it is stopping and took its leave politely.
      absl::StatusOr<v1::Video> video = GetVideo(request.name());
      if (!video.ok()) return video;
      if (IsFinal(video->state()) && video->last_sequence() <= last) return video;
      status = absl::UnavailableError("the watch ended before the video did");
    }
    status = retry.Wait(status);
    if (!status.ok()) return status;
  }
}

absl::Status SviClient::DownloadClip(std::string_view clip_name, FileDownload& file) {
  v1::DownloadClipRequest request;
  request.set_name(VideoName(clip_name));
  return Download(
             [this, &request](grpc::ClientContext* context, uint64_t offset, uint32_t) {
               request.set_offset(offset);
               return stub_->DownloadClip(context, request);
             },
             file)
      .status();
}

absl::StatusOr<uint32_t> SviClient::DownloadVideo(std::string_view name, std::optional<uint32_t> clips,
                                                  FileDownload& file) {
  v1::DownloadVideoRequest request;
  request.set_name(VideoName(name));
  if (clips) request.set_clips(*clips);
  return Download(
      [this, &request](grpc::ClientContext* context, uint64_t offset, uint32_t known_clips) {
        request.set_offset(offset);
        // The video may have grown since: resume the file that was begun.
        if (known_clips != 0) request.set_clips(known_clips);
        return stub_->DownloadVideo(context, request);
      },
      file);
}

absl::StatusOr<uint32_t> SviClient::Download(const OpenDownload& open, FileDownload& file) {
  Retry retry(options_, interrupt_);
  uint32_t clips = 0;
  bool restarted = false;
  for (;;) {
    CallContext context(interrupt_);
    std::unique_ptr<Reader> reader = open(context.get(), file.size(), clips);
    v1::DownloadResponse chunk;
    std::string sha256;
    absl::Status stopped;
    while (stopped.ok() && reader->Read(&chunk)) {
      retry.Alive();
      if (chunk.clips() != 0) clips = chunk.clips();
      if (!chunk.sha256().empty()) sha256 = chunk.sha256();
      if (chunk.data().empty()) continue;
      stopped = chunk.offset() == file.size()
                    ? file.Append(chunk.data())
                    : absl::DataLossError(absl::StrCat("the server sent byte ", chunk.offset(), " where ",
                                                       file.size(), " was due"));
    }
    if (!stopped.ok()) context.get()->TryCancel();
    absl::Status status = FromGrpc(reader->Finish());
    if (!stopped.ok()) {
      status = stopped;
    } else if (status.ok() && sha256.empty()) {
      status = absl::UnavailableError("the download ended before the file did");
    } else if (status.ok()) {
      status = file.Commit(sha256);
      if (status.ok()) return clips;
    }
    // Wrong bytes, perhaps an earlier process's: once more from the start.
    if ((absl::IsDataLoss(status) || absl::IsOutOfRange(status)) && !restarted) {
      restarted = true;
      absl::Status cleared = file.Restart();
      if (!cleared.ok()) return cleared;
      continue;
    }
    if (absl::IsDataLoss(status)) {
      absl::Status cleared = file.Restart();
      if (!cleared.ok()) return cleared;
    }
    status = retry.Wait(status);
    if (!status.ok()) return status;
  }
}

}  // namespace svi::client
