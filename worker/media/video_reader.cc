// Decoding whole videos: tests look at what was encoded, the trainer at its clips.
#include <utility>

#include "worker/media/colour.h"
#include "worker/media/ffmpeg.h"
#include "worker/media/media.h"

namespace svi::media {
namespace {

std::string Name(const char* name) { return name ? name : "unknown"; }

void Describe(const AVStream& stream, const AVCodecContext& codec, Video* video) {
  video->fps = stream.avg_frame_rate.den ? av_q2d(stream.avg_frame_rate) : 0;
  video->codec = avcodec_get_name(codec.codec_id);
  video->pixel_format = Name(av_get_pix_fmt_name(codec.pix_fmt));
  video->color_primaries = Name(av_color_primaries_name(codec.color_primaries));
  video->color_transfer = Name(av_color_transfer_name(codec.color_trc));
  video->color_space = Name(av_color_space_name(codec.colorspace));
  video->color_range = Name(av_color_range_name(codec.color_range));
}

// Moves what the decoder has ready into `video`. OK at the end and when it wants more.
absl::Status Drain(AVCodecContext* codec, AVFrame* frame, Video* video) {
  while (true) {
    const int error = avcodec_receive_frame(codec, frame);
    if (error == AVERROR(EAGAIN) || error == AVERROR_EOF) return absl::OkStatus();
    if (error < 0)
      return FfmpegError(absl::StatusCode::kInvalidArgument, "the video cannot be decoded", error);
    absl::StatusOr<FramePtr> rgb = ToRgb(*frame, AVCOL_SPC_BT709);
    if (!rgb.ok()) return rgb.status();
    video->frames.push_back((*rgb)->format == AV_PIX_FMT_RGBA ? PictureFromRgba(**rgb)
                                                              : PictureFromRgb24(**rgb));
    av_frame_unref(frame);
  }
}

}  // namespace

absl::StatusOr<Video> DecodeVideo(std::string_view mp4) {
  absl::StatusOr<std::unique_ptr<MemoryInput>> input = MemoryInput::Open(mp4, "mp4");
  if (!input.ok()) return input.status();
  AVFormatContext* context = (*input)->context();
  const AVCodec* decoder = nullptr;
  const int index = av_find_best_stream(context, AVMEDIA_TYPE_VIDEO, -1, -1, &decoder, 0);
  if (index < 0 || !decoder) return absl::InvalidArgumentError("the file holds no video that can be decoded");
  CodecPtr codec(avcodec_alloc_context3(decoder));
  PacketPtr packet(av_packet_alloc());
  FramePtr frame(av_frame_alloc());
  if (!codec || !packet || !frame) return absl::ResourceExhaustedError("out of memory for decoding");
  codec->thread_count = 1;
  codec->err_recognition = AV_EF_EXPLODE;
  codec->max_pixels = kMaxPicturePixels;
  int error = avcodec_parameters_to_context(codec.get(), context->streams[index]->codecpar);
  if (error >= 0) error = avcodec_open2(codec.get(), decoder, nullptr);
  if (error < 0) return FfmpegError(absl::StatusCode::kInvalidArgument, "the video cannot be decoded", error);

  Video video;
  while ((error = av_read_frame(context, packet.get())) >= 0) {
    if (packet->stream_index == index) {
      error = avcodec_send_packet(codec.get(), packet.get());
      if (error < 0)
        return FfmpegError(absl::StatusCode::kInvalidArgument, "the video cannot be decoded", error);
      if (absl::Status status = Drain(codec.get(), frame.get(), &video); !status.ok()) return status;
    }
    av_packet_unref(packet.get());
  }
  if (error != AVERROR_EOF)
    return FfmpegError(absl::StatusCode::kInvalidArgument, "the video is damaged", error);
  avcodec_send_packet(codec.get(), nullptr);
  if (absl::Status status = Drain(codec.get(), frame.get(), &video); !status.ok()) return status;
  Describe(*context->streams[index], *codec, &video);
  return video;
}

}  // namespace svi::media
