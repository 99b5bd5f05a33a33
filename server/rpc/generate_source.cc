#include "server/rpc/generate_source.h"

#include <algorithm>

#include "server/rpc/names.h"
#include "server/rpc/parse.h"

namespace svi::server {

absl::Status GenerateSource::Create(v1::Video* video) {
  auto created = handlers_->Create(caller_, request_);
  if (!created.ok()) return created.status();
  request_.Clear();  // the picture is not needed any more, the stream may live for hours
  *video = *std::move(created);
  name_ = video->name();
  const auto id = ParseVideoName(name_);
  if (!id.ok()) return id.status();
  const auto& parts = handlers_->parts();
  WatchOptions options;
  options.id = *id;
  options.tenant = caller_.tenant;
  watch_ = std::make_unique<VideoWatch>(parts.store, parts.hub, stopping_, std::move(options));
  watch_->Subscribe(wake_);
  return absl::OkStatus();
}

absl::Status GenerateSource::ReadClip(v1::ClipData* data) {
  const uint64_t wanted = std::min(kChunkBytes, sending_->clip.size - sending_->offset);
  auto bytes = sending_->clip.read(sending_->offset, wanted);
  if (!bytes.ok()) return bytes.status();
  if (bytes->size() != wanted) return absl::DataLossError("an artifact is shorter than it should be");
  data->set_clip_index(sending_->index);
  data->set_offset(sending_->offset);
  data->set_data(*std::move(bytes));
  sending_->offset += wanted;
  if (sending_->offset == sending_->clip.size) {
    data->set_last(true);
    sending_.reset();
  }
  handlers_->parts().metrics->BytesServed("clip", wanted);
  return absl::OkStatus();
}

MessageSource::Next GenerateSource::ProduceResponse(v1::GenerateVideoResponse* response,
                                                    absl::Status* status) {
  if (ended_) return Next::kDone;
  if (watch_ == nullptr) {
    *status = Create(response->mutable_created());
    return status->ok() ? Next::kMessage : Next::kDone;
  }
  if (sending_.has_value()) {
    *status = ReadClip(response->mutable_clip_data());
    return status->ok() ? Next::kMessage : Next::kDone;
  }
  const Next next = watch_->Produce(response->mutable_event(), status);
  if (next == Next::kMessage && response->event().has_clip_done()) {
    const auto name = ParseClipName(response->event().clip_done().name());
    auto clip = name.ok() ? handlers_->OpenClip(caller_, name->video_id, name->index)
                          : absl::StatusOr<Download>(name.status());
    if (!clip.ok()) {
      *status = clip.status();
      return Next::kDone;
    }
    sending_ = Sending{name->index, *std::move(clip), 0};
  }
  if (next == Next::kDone && status->ok()) {
    v1::GetVideoRequest get;
    get.set_name(name_);
    auto video = handlers_->Get(caller_, get);
    *status = video.status();
    if (!video.ok()) return Next::kDone;
    *response->mutable_ended() = *std::move(video);
    ended_ = true;
    return Next::kMessage;
  }
  return next;
}

MessageSource::Next GenerateSource::Produce(grpc::ByteBuffer* message, absl::Status* status) {
  v1::GenerateVideoResponse response;
  const Next next = ProduceResponse(&response, status);
  if (next == Next::kMessage) *message = SerializeResponse(response);
  return next;
}

}  // namespace svi::server
