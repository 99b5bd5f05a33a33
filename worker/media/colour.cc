#include "worker/media/colour.h"

#include <cstring>

namespace svi::media {
namespace {

// Full chroma resolution on both sides and rounding that does not depend on the CPU's vector width.
constexpr int kScaleFlags =
    SWS_BICUBIC | SWS_ACCURATE_RND | SWS_FULL_CHR_H_INT | SWS_FULL_CHR_H_INP | SWS_BITEXACT;
constexpr int kUnit = 1 << 16;  // swscale's 1.0 for contrast and saturation

// AVColorSpace's numbers are swscale's SWS_CS_* for the matrices that occur; anything else is read as BT.601.
int SwsMatrix(AVColorSpace space) {
  switch (space) {
    case AVCOL_SPC_BT709:
      return SWS_CS_ITU709;
    case AVCOL_SPC_BT2020_NCL:
    case AVCOL_SPC_BT2020_CL:
      return SWS_CS_BT2020;
    default:
      return SWS_CS_ITU601;
  }
}

bool IsFullRange(const AVFrame& frame) {
  if (frame.color_range != AVCOL_RANGE_UNSPECIFIED) return frame.color_range == AVCOL_RANGE_JPEG;
  switch (frame.format) {
    case AV_PIX_FMT_YUVJ411P:
    case AV_PIX_FMT_YUVJ420P:
    case AV_PIX_FMT_YUVJ422P:
    case AV_PIX_FMT_YUVJ440P:
    case AV_PIX_FMT_YUVJ444P:
      return true;
    default:
      return !(av_pix_fmt_desc_get(static_cast<AVPixelFormat>(frame.format))->nb_components >= 3 &&
               !(av_pix_fmt_desc_get(static_cast<AVPixelFormat>(frame.format))->flags & AV_PIX_FMT_FLAG_RGB));
  }
}

absl::StatusOr<SwsPtr> NewScaler(int width, int height, AVPixelFormat from, AVPixelFormat to, int from_matrix,
                                 bool from_full, int to_matrix, bool to_full) {
  SwsPtr sws(sws_getContext(width, height, from, width, height, to, kScaleFlags, nullptr, nullptr, nullptr));
  if (!sws) return absl::InternalError("no conversion between these pixel formats");
  // Conversions that involve no YUV have no such details and say so with -1.
  sws_setColorspaceDetails(sws.get(), sws_getCoefficients(from_matrix), from_full,
                           sws_getCoefficients(to_matrix), to_full, 0, kUnit, kUnit);
  return sws;
}

}  // namespace

absl::StatusOr<SwsPtr> RgbToBt709(int width, int height) {
  return NewScaler(width, height, AV_PIX_FMT_RGB24, AV_PIX_FMT_YUV420P, SWS_CS_ITU709, true, SWS_CS_ITU709,
                   false);
}

absl::StatusOr<FramePtr> ToRgb(const AVFrame& frame, AVColorSpace default_space) {
  const auto format = static_cast<AVPixelFormat>(frame.format);
  const AVPixFmtDescriptor* description = av_pix_fmt_desc_get(format);
  if (!description) return absl::InternalError("unknown pixel format");
  const bool alpha = (description->flags & (AV_PIX_FMT_FLAG_ALPHA | AV_PIX_FMT_FLAG_PAL)) != 0;
  const AVPixelFormat to = alpha ? AV_PIX_FMT_RGBA : AV_PIX_FMT_RGB24;
  const AVColorSpace space = frame.colorspace == AVCOL_SPC_UNSPECIFIED ? default_space : frame.colorspace;
  absl::StatusOr<SwsPtr> sws = NewScaler(frame.width, frame.height, format, to, SwsMatrix(space),
                                         IsFullRange(frame), SwsMatrix(space), true);
  if (!sws.ok()) return sws.status();
  absl::StatusOr<FramePtr> rgb = NewFrame(to, frame.width, frame.height);
  if (!rgb.ok()) return rgb.status();
  const int rows =
      sws_scale(sws->get(), frame.data, frame.linesize, 0, frame.height, (*rgb)->data, (*rgb)->linesize);
  if (rows != frame.height) return absl::InternalError("colour conversion failed");
  return rgb;
}

engine::Picture PictureFromRgb24(const AVFrame& frame) {
  const size_t row = size_t{3} * frame.width;
  engine::Picture picture{.width = frame.width, .height = frame.height, .rgb = {}};
  picture.rgb.resize(row * frame.height);
  for (int y = 0; y < frame.height; ++y) {
    std::memcpy(&picture.rgb[row * y], frame.data[0] + int64_t{y} * frame.linesize[0], row);
  }
  return picture;
}

void CopyToRgb24(const engine::Picture& picture, AVFrame* frame) {
  const size_t row = size_t{3} * picture.width;
  for (int y = 0; y < picture.height; ++y) {
    std::memcpy(frame->data[0] + int64_t{y} * frame->linesize[0], &picture.rgb[row * y], row);
  }
}

engine::Picture PictureFromRgba(const AVFrame& frame) {
  engine::Picture picture{.width = frame.width, .height = frame.height, .rgb = {}};
  picture.rgb.resize(size_t{3} * frame.width * frame.height);
  uint8_t* to = picture.rgb.data();
  for (int y = 0; y < frame.height; ++y) {
    const uint8_t* from = frame.data[0] + int64_t{y} * frame.linesize[0];
    for (int x = 0; x < frame.width; ++x, from += 4, to += 3) {
      const int alpha = from[3];
      for (int c = 0; c < 3; ++c)
        to[c] = static_cast<uint8_t>((from[c] * alpha + 255 * (255 - alpha) + 127) / 255);
    }
  }
  return picture;
}

}  // namespace svi::media
