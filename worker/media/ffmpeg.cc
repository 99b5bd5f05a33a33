#include "worker/media/ffmpeg.h"

#include <algorithm>
#include <cstring>

#include "absl/strings/str_cat.h"

namespace svi::media {
namespace {

constexpr int kIoBufferBytes = 64 * 1024;
constexpr int kFrameAlignment = 64;  // bytes; the widest loads that swscale uses

}  // namespace

void SilenceFfmpeg() {
  [[maybe_unused]] static const bool once = [] {
    av_log_set_level(AV_LOG_QUIET);
    return true;
  }();
}

absl::Status FfmpegError(absl::StatusCode code, absl::string_view what, int error) {
  if (error == AVERROR(ENOMEM)) code = absl::StatusCode::kResourceExhausted;
  char text[AV_ERROR_MAX_STRING_SIZE] = {};
  av_strerror(error, text, sizeof(text));
  return absl::Status(code, absl::StrCat(what, ": ", text));
}

absl::StatusOr<FramePtr> NewFrame(AVPixelFormat format, int width, int height) {
  FramePtr frame(av_frame_alloc());
  if (!frame) return absl::ResourceExhaustedError("out of memory for a frame");
  frame->format = format;
  frame->width = width;
  frame->height = height;
  if (int error = av_frame_get_buffer(frame.get(), kFrameAlignment); error < 0) {
    return FfmpegError(absl::StatusCode::kInternal, "cannot allocate a frame", error);
  }
  return frame;
}

absl::StatusOr<std::unique_ptr<MemoryInput>> MemoryInput::Open(std::string_view bytes, const char* format) {
  SilenceFfmpeg();
  std::unique_ptr<MemoryInput> input(new MemoryInput(bytes));
  auto* buffer = static_cast<unsigned char*>(av_malloc(kIoBufferBytes));
  if (!buffer) return absl::ResourceExhaustedError("out of memory for reading");
  input->io_ = avio_alloc_context(buffer, kIoBufferBytes, 0, input.get(), &Read, nullptr, &Seek);
  input->context_ = avformat_alloc_context();
  if (!input->io_ || !input->context_) return absl::ResourceExhaustedError("out of memory for reading");
  input->context_->pb = input->io_;
  input->context_->flags |= AVFMT_FLAG_CUSTOM_IO;
  // On failure avformat_open_input frees the context and clears the pointer.
  if (int error = avformat_open_input(&input->context_, nullptr, av_find_input_format(format), nullptr);
      error < 0) {
    return FfmpegError(absl::StatusCode::kInvalidArgument, "cannot open the video", error);
  }
  if (int error = avformat_find_stream_info(input->context_, nullptr); error < 0) {
    return FfmpegError(absl::StatusCode::kInvalidArgument, "cannot read the video's streams", error);
  }
  return input;
}

MemoryInput::~MemoryInput() {
  avformat_close_input(&context_);
  if (io_) av_freep(&io_->buffer);
  avio_context_free(&io_);
}

int MemoryInput::Read(void* opaque, uint8_t* buffer, int size) {
  auto* self = static_cast<MemoryInput*>(opaque);
  const int64_t left = static_cast<int64_t>(self->bytes_.size()) - self->position_;
  if (left <= 0) return AVERROR_EOF;
  const int count = static_cast<int>(std::min<int64_t>(left, size));
  std::memcpy(buffer, self->bytes_.data() + self->position_, count);
  self->position_ += count;
  return count;
}

int64_t MemoryInput::Seek(void* opaque, int64_t offset, int whence) {
  auto* self = static_cast<MemoryInput*>(opaque);
  const int64_t size = static_cast<int64_t>(self->bytes_.size());
  switch (whence & ~AVSEEK_FORCE) {
    case AVSEEK_SIZE:
      return size;
    case SEEK_SET:
      break;
    case SEEK_CUR:
      offset += self->position_;
      break;
    case SEEK_END:
      offset += size;
      break;
    default:
      return AVERROR(EINVAL);
  }
  if (offset < 0 || offset > size) return AVERROR(EINVAL);
  return self->position_ = offset;
}

}  // namespace svi::media
