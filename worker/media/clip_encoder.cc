// Frames out as a fragmented H.264 MP4 in memory.
#include <utility>

#include "absl/cleanup/cleanup.h"
#include "absl/strings/str_cat.h"
#include "worker/media/colour.h"
#include "worker/media/ffmpeg.h"
#include "worker/media/media.h"

namespace svi::media {
namespace {

// A key frame, and with it a fragment, every two seconds: seekable, and playable as it arrives.
constexpr int kSecondsPerFragment = 2;

class H264Encoder : public ClipEncoder {
 public:
  explicit H264Encoder(const ClipEncoderOptions& options) : options_(options) {}
  ~H264Encoder() override {
    if (muxer_) {
      if (muxer_->pb) DropBuffer();
      avformat_free_context(muxer_);
    }
  }

  absl::Status Init();
  absl::Status Add(const engine::Picture& frame) override;
  absl::StatusOr<std::string> Finish() override;

 private:
  int OpenCodec(const char* name);
  absl::Status OpenMuxer();
  absl::Status Encode(const AVFrame* frame);
  void DropBuffer() {
    uint8_t* buffer = nullptr;
    avio_close_dyn_buf(muxer_->pb, &buffer);
    muxer_->pb = nullptr;
    av_free(buffer);
  }

  const ClipEncoderOptions options_;
  CodecPtr codec_;
  SwsPtr sws_;
  FramePtr rgb_, yuv_;
  PacketPtr packet_;
  AVFormatContext* muxer_ = nullptr;
  int64_t next_pts_ = 0;
  bool finished_ = false;
};

absl::Status Internal(absl::string_view what, int error) {
  return FfmpegError(absl::StatusCode::kInternal, what, error);
}

// 0 or FFmpeg's error. No B-frames: decode order is display order, so that timestamps start at zero without
// an edit list, which a fragmented file cannot have.
int H264Encoder::OpenCodec(const char* name) {
  const AVCodec* codec = avcodec_find_encoder_by_name(name);
  if (!codec) return AVERROR_ENCODER_NOT_FOUND;
  codec_.reset(avcodec_alloc_context3(codec));
  if (!codec_) return AVERROR(ENOMEM);
  codec_->width = options_.width;
  codec_->height = options_.height;
  codec_->time_base = {1, options_.fps};
  codec_->framerate = {options_.fps, 1};
  codec_->sample_aspect_ratio = {1, 1};
  codec_->pix_fmt = AV_PIX_FMT_YUV420P;
  codec_->color_range = AVCOL_RANGE_MPEG;
  codec_->color_primaries = AVCOL_PRI_BT709;
  codec_->color_trc = AVCOL_TRC_BT709;
  codec_->colorspace = AVCOL_SPC_BT709;
  codec_->chroma_sample_location = AVCHROMA_LOC_LEFT;
  codec_->gop_size = kSecondsPerFragment * options_.fps;
  codec_->max_b_frames = 0;
  codec_->thread_count = 1;  // x264's output depends on the number of threads
  codec_->flags |= AV_CODEC_FLAG_GLOBAL_HEADER | AV_CODEC_FLAG_BITEXACT;
  if (std::string_view(name) == "libx264") {
    av_opt_set(codec_->priv_data, "preset", "faster", 0);
    av_opt_set_int(codec_->priv_data, "crf", options_.crf, 0);
  } else {
    av_opt_set(codec_->priv_data, "preset", "p5", 0);
    av_opt_set(codec_->priv_data, "rc", "constqp", 0);
    av_opt_set_int(codec_->priv_data, "qp", options_.crf, 0);
  }
  return avcodec_open2(codec_.get(), codec, nullptr);
}

absl::Status H264Encoder::Init() {
  if (OpenCodec("h264_nvenc") < 0) {
    if (int error = OpenCodec("libx264"); error < 0) return Internal("cannot open the H.264 encoder", error);
  }
  absl::StatusOr<SwsPtr> sws = RgbToBt709(options_.width, options_.height);
  if (!sws.ok()) return sws.status();
  sws_ = *std::move(sws);
  absl::StatusOr<FramePtr> rgb = NewFrame(AV_PIX_FMT_RGB24, options_.width, options_.height);
  if (!rgb.ok()) return rgb.status();
  rgb_ = *std::move(rgb);
  packet_.reset(av_packet_alloc());
  if (!packet_) return absl::ResourceExhaustedError("out of memory for a packet");
  return OpenMuxer();
}

absl::Status H264Encoder::OpenMuxer() {
  if (int error = avformat_alloc_output_context2(&muxer_, nullptr, "mp4", nullptr); error < 0) {
    return Internal("cannot make an MP4 writer", error);
  }
  muxer_->flags |= AVFMT_FLAG_BITEXACT;  // no version, no creation time: the same frames give the same bytes
  AVStream* stream = avformat_new_stream(muxer_, nullptr);
  if (!stream) return absl::ResourceExhaustedError("out of memory for a stream");
  if (int error = avcodec_parameters_from_context(stream->codecpar, codec_.get()); error < 0) {
    return Internal("cannot describe the stream", error);
  }
  stream->time_base = codec_->time_base;
  stream->avg_frame_rate = codec_->framerate;
  if (int error = avio_open_dyn_buf(&muxer_->pb); error < 0) return Internal("cannot open a buffer", error);
  AVDictionary* options = nullptr;
  av_dict_set(&options, "movflags", "frag_keyframe+empty_moov+default_base_moof", 0);
  const int error = avformat_write_header(muxer_, &options);
  av_dict_free(&options);
  if (error < 0) return Internal("cannot begin the MP4", error);
  return absl::OkStatus();
}

absl::Status H264Encoder::Encode(const AVFrame* frame) {
  if (int error = avcodec_send_frame(codec_.get(), frame); error < 0)
    return Internal("cannot encode a frame", error);
  while (true) {
    const int error = avcodec_receive_packet(codec_.get(), packet_.get());
    if (error == AVERROR(EAGAIN) || error == AVERROR_EOF) return absl::OkStatus();
    if (error < 0) return Internal("cannot encode a frame", error);
    packet_->duration = 1;
    packet_->stream_index = 0;
    av_packet_rescale_ts(packet_.get(), codec_->time_base, muxer_->streams[0]->time_base);
    if (int written = av_write_frame(muxer_, packet_.get()); written < 0) {
      return Internal("cannot write a frame", written);
    }
    av_packet_unref(packet_.get());
  }
}

absl::Status H264Encoder::Add(const engine::Picture& frame) {
  if (finished_) return absl::FailedPreconditionError("the clip is finished already");
  if (frame.width != options_.width || frame.height != options_.height ||
      frame.rgb.size() != size_t{3} * frame.width * frame.height) {
    return absl::InvalidArgumentError(absl::StrCat("a frame is ", frame.width, "x", frame.height,
                                                   "; the clip is ", options_.width, "x", options_.height));
  }
  CopyToRgb24(frame, rgb_.get());
  // The encoder may keep the frame before: each gets buffers of its own.
  absl::StatusOr<FramePtr> yuv = NewFrame(AV_PIX_FMT_YUV420P, options_.width, options_.height);
  if (!yuv.ok()) return yuv.status();
  sws_scale(sws_.get(), rgb_->data, rgb_->linesize, 0, options_.height, (*yuv)->data, (*yuv)->linesize);
  (*yuv)->pts = next_pts_++;
  (*yuv)->color_range = AVCOL_RANGE_MPEG;
  (*yuv)->colorspace = AVCOL_SPC_BT709;
  (*yuv)->color_primaries = AVCOL_PRI_BT709;
  (*yuv)->color_trc = AVCOL_TRC_BT709;
  return Encode(yuv->get());
}

absl::StatusOr<std::string> H264Encoder::Finish() {
  if (finished_) return absl::FailedPreconditionError("the clip is finished already");
  finished_ = true;
  if (next_pts_ == 0) return absl::FailedPreconditionError("the clip has no frames");
  if (absl::Status status = Encode(nullptr); !status.ok()) return status;
  if (int error = av_write_trailer(muxer_); error < 0) return Internal("cannot end the MP4", error);
  uint8_t* buffer = nullptr;
  const int size = avio_close_dyn_buf(muxer_->pb, &buffer);
  muxer_->pb = nullptr;
  absl::Cleanup free_buffer = [buffer] { av_free(buffer); };
  if (size <= 0 || !buffer) return absl::ResourceExhaustedError("out of memory for the MP4");
  return std::string(reinterpret_cast<const char*>(buffer), size);
}

}  // namespace

absl::StatusOr<std::unique_ptr<ClipEncoder>> ClipEncoder::Open(const ClipEncoderOptions& options) {
  SilenceFfmpeg();
  if (options.width < 2 || options.height < 2 || options.width % 2 || options.height % 2 ||
      options.width > kMaxPictureSide || options.height > kMaxPictureSide) {
    return absl::InvalidArgumentError(absl::StrCat("a clip of ", options.width, "x", options.height,
                                                   " cannot be encoded: both sides must be even, 2..",
                                                   kMaxPictureSide));
  }
  if (options.fps < 1 || options.fps > 1000) {
    return absl::InvalidArgumentError(absl::StrCat("fps is ", options.fps, "; it must be 1..1000"));
  }
  auto encoder = std::make_unique<H264Encoder>(options);
  if (absl::Status status = encoder->Init(); !status.ok()) return status;
  return encoder;
}

}  // namespace svi::media
