#include "worker/media/clip_check.h"

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "absl/strings/str_cat.h"
#include "worker/media/ffmpeg.h"

namespace svi::media {
namespace {

constexpr int kBufferBytes = 1 << 16;
// A clip has a few, and two for each of its fragments.
constexpr int kMostBoxes = 100'000;

absl::Status NotThatClip(absl::string_view why) {
  return absl::DataLossError(absl::StrCat("the upload is not the clip that it should be: ", why));
}

uint64_t BigEndian(absl::string_view bytes) {
  uint64_t value = 0;
  for (const char byte : bytes) value = value << 8 | static_cast<unsigned char>(byte);
  return value;
}

// The boxes that the file is made of fill it to its end; a demuxer would not miss the last ones.
absl::Status CheckBoxes(ReadBytes read, uint64_t size) {
  constexpr uint64_t kHeader = 8, kLongHeader = 16;
  uint64_t at = 0;
  for (int boxes = 0; at < size; ++boxes) {
    const absl::StatusOr<std::string> header = read(at, kLongHeader);
    if (!header.ok()) return header.status();
    uint64_t length = header->size() < kHeader ? 0 : BigEndian(header->substr(0, 4));
    if (length == 1 && header->size() == kLongHeader) length = BigEndian(header->substr(kHeader));
    if (length < kHeader || length > size - at || boxes == kMostBoxes) {
      return NotThatClip(absl::StrCat("it is no whole MP4 at byte ", at));
    }
    at += length;
  }
  return absl::OkStatus();
}

// A demuxer over bytes that are read on demand.
class ClipReader {
 public:
  ClipReader(ReadBytes read, uint64_t size) : read_(read), size_(static_cast<int64_t>(size)) {}
  ~ClipReader() {
    avformat_close_input(&context_);
    if (io_ == nullptr) return;
    av_freep(&io_->buffer);
    avio_context_free(&io_);
  }
  ClipReader(const ClipReader&) = delete;
  ClipReader& operator=(const ClipReader&) = delete;

  absl::Status Open() {
    auto* const buffer = static_cast<unsigned char*>(av_malloc(kBufferBytes));
    if (buffer != nullptr) io_ = avio_alloc_context(buffer, kBufferBytes, 0, this, Read, nullptr, Seek);
    context_ = avformat_alloc_context();
    if (io_ == nullptr || context_ == nullptr) return absl::UnavailableError("out of memory for a clip");
    context_->pb = io_;
    context_->flags |= AVFMT_FLAG_CUSTOM_IO;
    if (avformat_open_input(&context_, nullptr, av_find_input_format("mp4"), nullptr) < 0 ||
        avformat_find_stream_info(context_, nullptr) < 0) {
      return Failed("it is no MP4");
    }
    if (context_->nb_streams != 1 || stream().codecpar->codec_id != AV_CODEC_ID_H264) {
      return Failed("it is not one H.264 stream");
    }
    return absl::OkStatus();
  }
  const AVStream& stream() const { return *context_->streams[0]; }

  // How many frames there are, all of whose bytes are there.
  absl::StatusOr<int64_t> CountFrames() {
    PacketPtr packet(av_packet_alloc());
    if (packet == nullptr) return absl::UnavailableError("out of memory for a packet");
    int64_t frames = 0;
    int error = 0;
    while ((error = av_read_frame(context_, packet.get())) >= 0) {
      const bool whole = (packet->flags & AV_PKT_FLAG_CORRUPT) == 0 && packet->size > 0;
      av_packet_unref(packet.get());
      if (!whole) return Failed(absl::StrCat("frame ", frames, " is damaged"));
      ++frames;
    }
    if (error != AVERROR_EOF) return Failed(absl::StrCat("it breaks off after ", frames, " frames"));
    return frames;
  }
  // The storage's error if it failed, or else what is wrong with the clip.
  absl::Status Failed(absl::string_view why) const { return error_.ok() ? NotThatClip(why) : error_; }

 private:
  static int Read(void* opaque, uint8_t* buffer, int length) {
    auto& self = *static_cast<ClipReader*>(opaque);
    const int64_t wanted = std::min<int64_t>(length, self.size_ - self.position_);
    if (wanted <= 0) return AVERROR_EOF;
    const absl::StatusOr<std::string> bytes = self.read_(self.position_, wanted);
    if (!bytes.ok()) {
      self.error_ = bytes.status();
      return AVERROR(EIO);
    }
    if (bytes->empty()) return AVERROR_EOF;
    std::memcpy(buffer, bytes->data(), bytes->size());
    self.position_ += static_cast<int64_t>(bytes->size());
    return static_cast<int>(bytes->size());
  }
  static int64_t Seek(void* opaque, int64_t offset, int whence) {
    auto& self = *static_cast<ClipReader*>(opaque);
    if ((whence & AVSEEK_SIZE) != 0) return self.size_;
    const int64_t from = (whence & ~AVSEEK_FORCE) == SEEK_CUR   ? self.position_
                         : (whence & ~AVSEEK_FORCE) == SEEK_END ? self.size_
                                                                : 0;
    if (offset < -from || offset > self.size_ - from) return AVERROR(EINVAL);
    return self.position_ = from + offset;
  }

  const ReadBytes read_;
  const int64_t size_;
  int64_t position_ = 0;
  absl::Status error_;
  AVIOContext* io_ = nullptr;
  AVFormatContext* context_ = nullptr;
};

}  // namespace

absl::Status CheckClip(ReadBytes read, uint64_t size, const ClipFacts& facts) {
  SilenceFfmpeg();
  if (absl::Status status = CheckBoxes(read, size); !status.ok()) return status;
  ClipReader clip(read, size);
  if (absl::Status status = clip.Open(); !status.ok()) return status;
  const AVCodecParameters& is = *clip.stream().codecpar;
  if (is.width != facts.width || is.height != facts.height) {
    return NotThatClip(
        absl::StrCat("it is ", is.width, "x", is.height, ", not ", facts.width, "x", facts.height));
  }
  if (av_cmp_q(clip.stream().avg_frame_rate, {facts.fps, 1}) != 0) {
    return NotThatClip(absl::StrCat("it has another frame rate than ", facts.fps));
  }
  const absl::StatusOr<int64_t> frames = clip.CountFrames();
  if (!frames.ok()) return frames.status();
  if (*frames != facts.frames) {
    return NotThatClip(absl::StrCat("it has ", *frames, " frames, not ", facts.frames));
  }
  return absl::OkStatus();
}

}  // namespace svi::media
