#include "tests/client/scripted_service.h"

#include <grpcpp/security/server_credentials.h>
#include <grpcpp/server_builder.h>
#include <openssl/sha.h>

#include "absl/strings/str_cat.h"
#include "google/rpc/error_details.pb.h"
#include "google/rpc/status.pb.h"

namespace svi::client {
namespace {

constexpr size_t kChunk = 1000;

template <typename T>
T Pop(std::deque<T>& queue, T otherwise) {
  if (queue.empty()) return otherwise;
  T front = queue.front();
  queue.pop_front();
  return front;
}

grpc::Status Dropped() { return grpc::Status(grpc::StatusCode::UNAVAILABLE, "dropped by the test"); }

// What the real server says to a bad field.
grpc::Status BadField() {
  google::rpc::BadRequest bad;
  bad.add_field_violations()->set_field("spec.width");
  bad.mutable_field_violations(0)->set_description("must be a multiple of 32");
  google::rpc::ErrorInfo info;
  info.set_reason("INVALID_SPEC");
  google::rpc::Status status;
  status.set_code(static_cast<int>(grpc::StatusCode::INVALID_ARGUMENT));
  status.set_message("bad spec");
  status.add_details()->PackFrom(info);
  status.add_details()->PackFrom(bad);
  return grpc::Status(grpc::StatusCode::INVALID_ARGUMENT, "bad spec", status.SerializeAsString());
}

}  // namespace

std::string Sha256(const std::string& bytes) {
  std::string out(SHA256_DIGEST_LENGTH, '\0');
  SHA256(reinterpret_cast<const unsigned char*>(bytes.data()), bytes.size(),
         reinterpret_cast<unsigned char*>(out.data()));
  return out;
}

ScriptedService::ScriptedService(uint32_t clips, grpc::Service* also) : clips_(clips) {
  grpc::ServerBuilder builder;
  builder.AddListeningPort("127.0.0.1:0", grpc::InsecureServerCredentials(), &port_);
  builder.SetMaxReceiveMessageSize(34 << 20);
  builder.RegisterService(this);
  if (also != nullptr) builder.RegisterService(also);
  server_ = builder.BuildAndStart();
}

std::string ScriptedService::address() const { return absl::StrCat("127.0.0.1:", port_); }

std::string ScriptedService::ClipBytes(uint32_t index) {
  std::string bytes(3500 + index, 'a');
  for (size_t i = 0; i < bytes.size(); ++i) bytes[i] = static_cast<char>('a' + (i * 7 + index) % 26);
  return bytes;
}

grpc::Status ScriptedService::Answer() { return Pop(lost_answers, grpc::Status::OK); }

v1::Video ScriptedService::VideoNow() {
  v1::Video video;
  video.set_name("videos/v");
  video.set_state(end_state);
  video.set_clips_done(clips_);
  video.set_clips_total(clips_);
  video.set_revision(revision_);
  video.set_last_sequence(Events().back().sequence());
  if (end_state == v1::VIDEO_STATE_FAILED) {
    video.mutable_error()->set_reason("OUT_OF_MEMORY");
    video.mutable_error()->set_message("the GPU is too small");
  }
  for (const std::string& prompt : prompts_) video.mutable_spec()->add_prompts(prompt);
  return video;
}

std::vector<v1::VideoEvent> ScriptedService::Events() {
  std::vector<v1::VideoEvent> events;
  uint64_t sequence = 0;
  const auto durable = [&]() -> v1::VideoEvent& {
    events.emplace_back().set_sequence(++sequence);
    return events.back();
  };
  durable().mutable_state_changed()->set_state(v1::VIDEO_STATE_QUEUED);
  for (uint32_t i = 0; i < clips_; ++i) {
    durable().mutable_clip_started()->set_clip_index(i);
    v1::Progress& progress = *events.emplace_back().mutable_progress();
    progress.set_clip_index(i);
    progress.set_stage(v1::STAGE_DENOISE);
    progress.set_step(1);
    progress.set_total(2);
    const std::string bytes = ClipBytes(i);
    v1::Clip& clip = *durable().mutable_clip_done();
    clip.set_name(absl::StrCat("videos/v/clips/", i));
    clip.set_index(i);
    clip.set_size_bytes(bytes.size());
    clip.set_sha256(Sha256(bytes));
  }
  durable().mutable_state_changed()->set_state(end_state);
  return events;
}

grpc::Status ScriptedService::CreateVideo(grpc::ServerContext*, const v1::CreateVideoRequest* request,
                                          v1::Video* response) {
  absl::MutexLock lock(&mutex_);
  request_ids.push_back(request->request_id());
  created = *request;
  if (request->spec().width() % 32 != 0) return BadField();
  *response = VideoNow();
  return Answer();
}

grpc::Status ScriptedService::GetVideo(grpc::ServerContext*, const v1::GetVideoRequest* request,
                                       v1::Video* response) {
  if (request->name() != "videos/v")
    return grpc::Status(grpc::StatusCode::NOT_FOUND, "there is no such video");
  absl::MutexLock lock(&mutex_);
  *response = VideoNow();
  return grpc::Status::OK;
}

grpc::Status ScriptedService::ListVideos(grpc::ServerContext*, const v1::ListVideosRequest* request,
                                         v1::ListVideosResponse* response) {
  absl::MutexLock lock(&mutex_);
  *response->add_videos() = VideoNow();
  response->mutable_videos(0)->set_name(request->page_token().empty() ? "videos/first" : "videos/second");
  if (request->page_token().empty()) response->set_next_page_token("next");
  return Answer();
}

grpc::Status ScriptedService::CancelVideo(grpc::ServerContext*, const v1::CancelVideoRequest*,
                                          v1::Video* response) {
  absl::MutexLock lock(&mutex_);
  ++cancels;
  *response = VideoNow();
  return Answer();
}

grpc::Status ScriptedService::DeleteVideo(grpc::ServerContext*, const v1::DeleteVideoRequest*,
                                          google::protobuf::Empty*) {
  absl::MutexLock lock(&mutex_);
  if (++deletes > 1) return grpc::Status(grpc::StatusCode::NOT_FOUND, "there is no such video");
  return Answer();
}

grpc::Status ScriptedService::AppendPrompts(grpc::ServerContext*, const v1::AppendPromptsRequest* request,
                                            v1::Video* response) {
  absl::MutexLock lock(&mutex_);
  if (request->has_expected_revision() && request->expected_revision() != revision_) {
    return grpc::Status(grpc::StatusCode::ABORTED, "wrong revision");
  }
  prompts_.insert(prompts_.end(), request->prompts().begin(), request->prompts().end());
  ++revision_;
  *response = VideoNow();
  return Answer();
}

grpc::Status ScriptedService::WatchVideo(grpc::ServerContext* context, const v1::WatchVideoRequest* request,
                                         grpc::ServerWriter<v1::VideoEvent>* writer) {
  std::vector<v1::VideoEvent> events;
  int fault = -1, gap = -1;
  bool hold = false;
  {
    absl::MutexLock lock(&mutex_);
    watched_after.push_back(request->after_sequence());
    events = Events();
    fault = Pop(watch_faults, -1);
    gap = Pop(watch_gaps, -1);
    hold = hold_watch;
  }
  int sent = 0;
  for (const v1::VideoEvent& event : events) {
    if (event.sequence() != 0 && event.sequence() <= request->after_sequence()) continue;
    if (sent == fault) return Dropped();
    if (hold && &event == &events.back()) {
      {
        absl::MutexLock lock(&mutex_);
        holding = true;
      }
      while (!context->IsCancelled())
        absl::SleepFor(absl::Milliseconds(5));  // polls: the sync API has no wait
      return grpc::Status::CANCELLED;
    }
    if (sent++ != gap) writer->Write(event);
  }
  return grpc::Status::OK;
}

grpc::Status ScriptedService::SendFile(const std::string& name, const std::string& bytes, uint64_t offset,
                                       uint32_t clips, grpc::ServerWriter<v1::DownloadResponse>* writer) {
  std::string data = bytes;
  int fault = -1;
  {
    absl::MutexLock lock(&mutex_);
    downloads.emplace_back(name, offset);
    fault = Pop(download_faults, -1);
    if (damaged_downloads > 0) {
      --damaged_downloads;
      data[data.size() / 2] ^= 1;
    }
  }
  if (offset > data.size()) return grpc::Status(grpc::StatusCode::OUT_OF_RANGE, "offset");
  int sent = 0;
  v1::DownloadResponse chunk;
  chunk.set_total_bytes(data.size());
  chunk.set_clips(clips);
  for (size_t at = offset; at < data.size(); at += kChunk) {
    if (sent++ == fault) return Dropped();
    chunk.set_offset(at);
    chunk.set_data(data.substr(at, kChunk));
    writer->Write(chunk);
    chunk.Clear();
  }
  if (sent == fault) return Dropped();
  chunk.set_sha256(Sha256(bytes));
  writer->Write(chunk);
  return grpc::Status::OK;
}

grpc::Status ScriptedService::DownloadClip(grpc::ServerContext*, const v1::DownloadClipRequest* request,
                                           grpc::ServerWriter<v1::DownloadResponse>* writer) {
  const uint32_t index = static_cast<uint32_t>(request->name().back() - '0');
  if (index >= clips_) return grpc::Status(grpc::StatusCode::NOT_FOUND, "there is no such clip");
  return SendFile(request->name(), ClipBytes(index), request->offset(), 1, writer);
}

grpc::Status ScriptedService::DownloadVideo(grpc::ServerContext*, const v1::DownloadVideoRequest* request,
                                            grpc::ServerWriter<v1::DownloadResponse>* writer) {
  const uint32_t clips = request->has_clips() ? request->clips() : clips_;
  std::string all;
  for (uint32_t i = 0; i < clips; ++i) all += ClipBytes(i);
  return SendFile(request->name(), all, request->offset(), clips, writer);
}

}  // namespace svi::client
