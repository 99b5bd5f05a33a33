// Pictures in: structure first, then limits, then pixels.
#include <utility>

#include "absl/strings/str_cat.h"
#include "worker/media/colour.h"
#include "worker/media/ffmpeg.h"
#include "worker/media/media.h"
#include "worker/media/orientation.h"
#include "worker/media/picture_header.h"

namespace svi::media {
namespace {

AVCodecID CodecOf(PictureFormat format) {
  switch (format) {
    case PictureFormat::kJpeg:
      return AV_CODEC_ID_MJPEG;
    case PictureFormat::kPng:
      return AV_CODEC_ID_PNG;
    case PictureFormat::kWebp:
      return AV_CODEC_ID_WEBP;
  }
  return AV_CODEC_ID_NONE;
}

absl::Status CheckSize(int64_t width, int64_t height) {
  if (width > kMaxPictureSide || height > kMaxPictureSide) {
    return absl::InvalidArgumentError(absl::StrCat("the picture is ", width, "x", height, " pixels; at most ",
                                                   kMaxPictureSide, " a side are taken"));
  }
  if (width * height > kMaxPicturePixels) {
    return absl::InvalidArgumentError(absl::StrCat("the picture has ", width * height, " pixels; at most ",
                                                   kMaxPicturePixels, " are taken"));
  }
  return absl::OkStatus();
}

absl::StatusOr<FramePtr> DecodeStill(const PictureHeader& header) {
  const auto bad = [](int error) {
    return FfmpegError(absl::StatusCode::kInvalidArgument, "the picture cannot be decoded", error);
  };
  const AVCodec* codec = avcodec_find_decoder(CodecOf(header.format));
  CodecPtr context(codec ? avcodec_alloc_context3(codec) : nullptr);
  PacketPtr packet(av_packet_alloc());
  FramePtr frame(av_frame_alloc());
  if (!context || !packet || !frame) return absl::InternalError("no decoder for this kind of picture");
  context->thread_count = 1;
  context->err_recognition = AV_EF_EXPLODE | AV_EF_CRCCHECK | AV_EF_BITSTREAM | AV_EF_BUFFER;
  context->max_pixels = kMaxPicturePixels;
  if (int error = avcodec_open2(context.get(), codec, nullptr); error < 0) return bad(error);
  if (int error = av_new_packet(packet.get(), static_cast<int>(header.data.size())); error < 0)
    return bad(error);
  std::copy(header.data.begin(), header.data.end(), packet->data);
  packet->flags |= AV_PKT_FLAG_KEY;
  if (int error = avcodec_send_packet(context.get(), packet.get()); error < 0) return bad(error);
  avcodec_send_packet(context.get(), nullptr);
  if (int error = avcodec_receive_frame(context.get(), frame.get()); error < 0) return bad(error);
  if (frame->decode_error_flags != 0 || (frame->flags & AV_FRAME_FLAG_CORRUPT)) {
    return absl::InvalidArgumentError("the picture's data are damaged");
  }
  return frame;
}

}  // namespace

absl::StatusOr<engine::Picture> DecodePicture(std::string_view bytes) {
  SilenceFfmpeg();
  if (bytes.size() > INT32_MAX / 2) return absl::InvalidArgumentError("the picture's file is too large");
  absl::StatusOr<PictureHeader> header = ReadPictureHeader(bytes);
  if (!header.ok()) return header.status();
  if (absl::Status status = CheckSize(header->width, header->height); !status.ok()) return status;
  absl::StatusOr<FramePtr> frame = DecodeStill(*header);
  if (!frame.ok()) return frame.status();
  header->data = {};
  // JFIF and WebP both mean BT.601.
  absl::StatusOr<FramePtr> rgb = ToRgb(**frame, AVCOL_SPC_SMPTE170M);
  if (!rgb.ok()) return rgb.status();
  frame->reset();
  engine::Picture picture =
      (*rgb)->format == AV_PIX_FMT_RGBA ? PictureFromRgba(**rgb) : PictureFromRgb24(**rgb);
  rgb->reset();
  return Upright(std::move(picture), header->orientation);
}

}  // namespace svi::media
