#include "worker/media/video_file.h"

extern "C" {
#include <libavutil/display.h>
}

#include <filesystem>
#include <system_error>
#include <utility>

#include "worker/media/colour.h"
#include "worker/media/ffmpeg.h"
#include "worker/media/orientation.h"

namespace svi::media {
namespace {

// Demuxers of files that hold their own frames. What names other files or streams (playlists, concat lists,
// picture sequences) would read whatever it pleases.
constexpr char kContainers[] =
    "mov,mp4,m4a,3gp,3g2,mj2,matroska,webm,avi,mpeg,mpegts,mpegvideo,m4v,h264,hevc,av1,obu,ivf,flv,asf,ogg,"
    "nut,mxf,"
    "gif,yuv4mpegpipe";

absl::Status Bad(absl::string_view what, int error) {
  return FfmpegError(absl::StatusCode::kInvalidArgument, what, error);
}
absl::Status Damaged(int error) { return Bad("the video is damaged", error); }

// The EXIF orientation that a display matrix means; 1 for what is no multiple of a right angle. The matrix
// maps a stored point (x, y) to (a·x + c·y, b·x + d·y) (ISO/IEC 14496-12, 6.2.2).
int OrientationOf(const int32_t* matrix) {
  const int32_t a = matrix[0], b = matrix[1], c = matrix[3], d = matrix[4];
  if (b == 0 && c == 0) return a >= 0 ? (d >= 0 ? 1 : 4) : (d >= 0 ? 2 : 3);
  if (a == 0 && d == 0) return b > 0 ? (c > 0 ? 5 : 6) : (c > 0 ? 8 : 7);
  return 1;
}

class DecodedFile : public VideoFile {
 public:
  ~DecodedFile() override { avformat_close_input(&context_); }

  absl::Status Init(const std::string& path);
  absl::StatusOr<std::optional<engine::Picture>> Next() override;
  absl::StatusOr<bool> Skip() override;
  int width() const override { return transposed() ? frame_->height : frame_->width; }
  int height() const override { return transposed() ? frame_->width : frame_->height; }
  double fps() const override {
    const AVRational rate = context_->streams[stream_]->avg_frame_rate;
    return rate.num > 0 && rate.den > 0 ? av_q2d(rate) : 0;
  }

 private:
  absl::Status OpenDemuxer(const std::string& path);
  absl::Status OpenDecoder(const AVCodec* decoder);
  absl::Status Feed();
  int Orientation() const;
  bool transposed() const { return Orientation() >= 5; }

  AVFormatContext* context_ = nullptr;
  CodecPtr codec_;
  PacketPtr packet_;
  FramePtr frame_;
  int stream_ = -1;
};

absl::Status DecodedFile::OpenDemuxer(const std::string& path) {
  AVDictionary* options = nullptr;
  av_dict_set(&options, "protocol_whitelist", "file", 0);
  av_dict_set(&options, "format_whitelist", kContainers, 0);
  // Named, so that a colon in the path does not make it another protocol's.
  const int error = avformat_open_input(&context_, ("file:" + path).c_str(), nullptr, &options);
  av_dict_free(&options);
  if (error < 0) return Bad("the video cannot be opened", error);
  if (int found = avformat_find_stream_info(context_, nullptr); found < 0) {
    return Bad("the video's streams cannot be read", found);
  }
  return absl::OkStatus();
}

absl::Status DecodedFile::OpenDecoder(const AVCodec* decoder) {
  codec_.reset(avcodec_alloc_context3(decoder));
  packet_.reset(av_packet_alloc());
  frame_.reset(av_frame_alloc());
  if (!codec_ || !packet_ || !frame_) return absl::ResourceExhaustedError("out of memory for decoding");
  codec_->thread_count = 1;
  codec_->err_recognition = AV_EF_EXPLODE;
  codec_->max_pixels = kMaxVideoPixels;
  int error = avcodec_parameters_to_context(codec_.get(), context_->streams[stream_]->codecpar);
  if (error >= 0) error = avcodec_open2(codec_.get(), decoder, nullptr);
  return error < 0 ? Bad("the video cannot be decoded", error) : absl::OkStatus();
}

absl::Status DecodedFile::Init(const std::string& path) {
  SilenceFfmpeg();
  if (absl::Status status = OpenDemuxer(path); !status.ok()) return status;
  const AVCodec* decoder = nullptr;
  stream_ = av_find_best_stream(context_, AVMEDIA_TYPE_VIDEO, -1, -1, &decoder, 0);
  if (stream_ < 0 || !decoder)
    return absl::InvalidArgumentError("the file holds no video that can be decoded");
  return OpenDecoder(decoder);
}

// One packet of the stream into the decoder, or the sign that there are no more.
absl::Status DecodedFile::Feed() {
  while (true) {
    const int error = av_read_frame(context_, packet_.get());
    if (error == AVERROR_EOF) {
      const int sent = avcodec_send_packet(codec_.get(), nullptr);
      return sent < 0 && sent != AVERROR_EOF ? Damaged(sent) : absl::OkStatus();
    }
    if (error < 0) return Damaged(error);
    const bool ours = packet_->stream_index == stream_;
    const bool cut = ours && (packet_->flags & AV_PKT_FLAG_CORRUPT) != 0;
    const int sent = ours && !cut ? avcodec_send_packet(codec_.get(), packet_.get()) : 0;
    av_packet_unref(packet_.get());
    if (cut) return Damaged(AVERROR_INVALIDDATA);
    if (sent < 0) return Damaged(sent);
    if (ours) return absl::OkStatus();
  }
}

absl::StatusOr<bool> DecodedFile::Skip() {
  while (true) {
    const int error = avcodec_receive_frame(codec_.get(), frame_.get());
    if (error == AVERROR_EOF) return false;
    if (error == AVERROR(EAGAIN)) {
      if (absl::Status status = Feed(); !status.ok()) return status;
      continue;
    }
    if (error < 0) return Damaged(error);
    if (frame_->decode_error_flags != 0 || (frame_->flags & AV_FRAME_FLAG_CORRUPT) != 0) {
      return Damaged(AVERROR_INVALIDDATA);
    }
    return true;
  }
}

absl::StatusOr<std::optional<engine::Picture>> DecodedFile::Next() {
  const absl::StatusOr<bool> more = Skip();
  if (!more.ok()) return more.status();
  if (!*more) return std::nullopt;
  const absl::StatusOr<FramePtr> rgb = ToRgb(*frame_, AVCOL_SPC_BT709);
  if (!rgb.ok()) {
    // A format without a conversion is the file's fault.
    return absl::IsInternal(rgb.status()) ? absl::InvalidArgumentError(rgb.status().message()) : rgb.status();
  }
  engine::Picture picture =
      (*rgb)->format == AV_PIX_FMT_RGBA ? PictureFromRgba(**rgb) : PictureFromRgb24(**rgb);
  return Upright(std::move(picture), Orientation());
}

// A frame's own matrix (H.264 and HEVC can carry one) before the container's.
int DecodedFile::Orientation() const {
  if (const AVFrameSideData* data = av_frame_get_side_data(frame_.get(), AV_FRAME_DATA_DISPLAYMATRIX);
      data != nullptr && data->size >= 9 * sizeof(int32_t)) {
    return OrientationOf(reinterpret_cast<const int32_t*>(data->data));
  }
  size_t size = 0;
  const uint8_t* matrix =
      av_stream_get_side_data(context_->streams[stream_], AV_PKT_DATA_DISPLAYMATRIX, &size);
  if (matrix == nullptr || size < 9 * sizeof(int32_t)) return 1;
  return OrientationOf(reinterpret_cast<const int32_t*>(matrix));
}

}  // namespace

absl::StatusOr<std::unique_ptr<VideoFile>> VideoFile::Open(const std::string& path) {
  std::error_code error;
  const auto status = std::filesystem::status(path, error);
  if (!std::filesystem::exists(status)) return absl::NotFoundError("there is no such file");
  // Opening a pipe would wait for whoever writes to it.
  if (!std::filesystem::is_regular_file(status))
    return absl::InvalidArgumentError("it is not a regular file");
  auto file = std::make_unique<DecodedFile>();
  if (absl::Status opened = file->Init(path); !opened.ok()) return opened;
  return file;
}

}  // namespace svi::media
