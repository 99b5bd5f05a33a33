// FFmpeg's C objects as owners, its error numbers as statuses. Private to worker/media.
#ifndef SVI_WORKER_MEDIA_FFMPEG_H_
#define SVI_WORKER_MEDIA_FFMPEG_H_

extern "C" {
#include <libavcodec/avcodec.h>
#include <libavcodec/bsf.h>
#include <libavformat/avformat.h>
#include <libavutil/imgutils.h>
#include <libavutil/opt.h>
#include <libavutil/pixdesc.h>
#include <libswscale/swscale.h>
}

#include <memory>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace svi::media {

struct FfmpegDeleter {
  void operator()(AVFrame* p) const { av_frame_free(&p); }
  void operator()(AVPacket* p) const { av_packet_free(&p); }
  void operator()(AVCodecContext* p) const { avcodec_free_context(&p); }
  void operator()(AVBSFContext* p) const { av_bsf_free(&p); }
  void operator()(SwsContext* p) const { sws_freeContext(p); }
};
using FramePtr = std::unique_ptr<AVFrame, FfmpegDeleter>;
using PacketPtr = std::unique_ptr<AVPacket, FfmpegDeleter>;
using CodecPtr = std::unique_ptr<AVCodecContext, FfmpegDeleter>;
using BsfPtr = std::unique_ptr<AVBSFContext, FfmpegDeleter>;
using SwsPtr = std::unique_ptr<SwsContext, FfmpegDeleter>;

// FFmpeg prints to stderr by default; errors reach the caller as statuses instead. Called by every entry
// point.
void SilenceFfmpeg();

// "what: FFmpeg's words for `error`", with the given code; RESOURCE_EXHAUSTED when memory ran out.
absl::Status FfmpegError(absl::StatusCode code, absl::string_view what, int error);

// A frame with buffers of its own whose rows are padded for SIMD.
absl::StatusOr<FramePtr> NewFrame(AVPixelFormat format, int width, int height);

// Demuxer over bytes in memory; `bytes` must outlive it.
class MemoryInput {
 public:
  // INVALID_ARGUMENT: the bytes are not a file of that format. `format`: FFmpeg's demuxer name, e.g. "mp4".
  static absl::StatusOr<std::unique_ptr<MemoryInput>> Open(std::string_view bytes, const char* format);
  ~MemoryInput();
  MemoryInput(const MemoryInput&) = delete;
  MemoryInput& operator=(const MemoryInput&) = delete;

  AVFormatContext* context() { return context_; }

 private:
  explicit MemoryInput(std::string_view bytes) : bytes_(bytes) {}
  static int Read(void* opaque, uint8_t* buffer, int size);
  static int64_t Seek(void* opaque, int64_t offset, int whence);

  std::string_view bytes_;
  int64_t position_ = 0;
  AVIOContext* io_ = nullptr;
  AVFormatContext* context_ = nullptr;
};

}  // namespace svi::media

#endif  // SVI_WORKER_MEDIA_FFMPEG_H_
