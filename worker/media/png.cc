// Pictures out, for people to look at.
#include "absl/strings/str_cat.h"
#include "worker/media/colour.h"
#include "worker/media/ffmpeg.h"
#include "worker/media/media.h"

namespace svi::media {

absl::StatusOr<std::string> EncodePng(const engine::Picture& picture) {
  if (picture.width < 1 || picture.height < 1 ||
      picture.rgb.size() != size_t{3} * picture.width * static_cast<size_t>(picture.height)) {
    return absl::InvalidArgumentError(absl::StrCat("a picture of ", picture.width, "x", picture.height,
                                                   " with ", picture.rgb.size(), " bytes"));
  }
  const auto failed = [](int error) {
    return FfmpegError(absl::StatusCode::kInternal, "the picture cannot be encoded", error);
  };
  const AVCodec* codec = avcodec_find_encoder(AV_CODEC_ID_PNG);
  const CodecPtr context(codec ? avcodec_alloc_context3(codec) : nullptr);
  const PacketPtr packet(av_packet_alloc());
  if (!context || !packet) return absl::InternalError("no encoder for PNG");
  context->width = picture.width;
  context->height = picture.height;
  context->pix_fmt = AV_PIX_FMT_RGB24;
  context->time_base = {1, 1};
  context->thread_count = 1;
  if (int error = avcodec_open2(context.get(), codec, nullptr); error < 0) return failed(error);
  absl::StatusOr<FramePtr> frame = NewFrame(AV_PIX_FMT_RGB24, picture.width, picture.height);
  if (!frame.ok()) return frame.status();
  CopyToRgb24(picture, frame->get());
  if (int error = avcodec_send_frame(context.get(), frame->get()); error < 0) return failed(error);
  avcodec_send_frame(context.get(), nullptr);
  if (int error = avcodec_receive_packet(context.get(), packet.get()); error < 0) return failed(error);
  return std::string(reinterpret_cast<const char*>(packet->data), packet->size);
}

}  // namespace svi::media
