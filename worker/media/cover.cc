// A picture of any size cut to the size of a clip.
#include <algorithm>
#include <cmath>
#include <utility>

#include "absl/strings/str_cat.h"
#include "worker/media/colour.h"
#include "worker/media/ffmpeg.h"
#include "worker/media/media.h"

namespace svi::media {
namespace {

constexpr int kLanczosFlags =
    SWS_LANCZOS | SWS_ACCURATE_RND | SWS_FULL_CHR_H_INT | SWS_FULL_CHR_H_INP | SWS_BITEXACT;

absl::StatusOr<engine::Picture> Scale(const engine::Picture& picture, int width, int height) {
  absl::StatusOr<FramePtr> from = NewFrame(AV_PIX_FMT_RGB24, picture.width, picture.height);
  if (!from.ok()) return from.status();
  absl::StatusOr<FramePtr> to = NewFrame(AV_PIX_FMT_RGB24, width, height);
  if (!to.ok()) return to.status();
  const SwsPtr sws(sws_getContext(picture.width, picture.height, AV_PIX_FMT_RGB24, width, height,
                                  AV_PIX_FMT_RGB24, kLanczosFlags, nullptr, nullptr, nullptr));
  if (!sws) return absl::InternalError("the picture cannot be scaled to that size");
  CopyToRgb24(picture, from->get());
  const int rows =
      sws_scale(sws.get(), (*from)->data, (*from)->linesize, 0, picture.height, (*to)->data, (*to)->linesize);
  if (rows != height) return absl::InternalError("scaling the picture failed");
  return PictureFromRgb24(**to);
}

}  // namespace

absl::StatusOr<engine::Picture> CoverPicture(const engine::Picture& picture, int width, int height) {
  if (width < 1 || height < 1 || picture.width < 1 || picture.height < 1 ||
      picture.rgb.size() != size_t{3} * picture.width * static_cast<size_t>(picture.height)) {
    return absl::InvalidArgumentError(absl::StrCat("a picture of ", picture.width, "x", picture.height,
                                                   " with ", picture.rgb.size(), " bytes cannot cover ",
                                                   width, "x", height));
  }
  const double scale =
      std::max(static_cast<double>(width) / picture.width, static_cast<double>(height) / picture.height);
  const int scaled_width = std::max(width, static_cast<int>(std::lround(picture.width * scale)));
  const int scaled_height = std::max(height, static_cast<int>(std::lround(picture.height * scale)));
  engine::Picture scaled;
  const engine::Picture* whole = &picture;
  if (scaled_width != picture.width || scaled_height != picture.height) {
    absl::StatusOr<engine::Picture> result = Scale(picture, scaled_width, scaled_height);
    if (!result.ok()) return result;
    scaled = *std::move(result);
    whole = &scaled;
  }
  engine::Picture cut{.width = width, .height = height, .rgb = {}};
  cut.rgb.resize(size_t{3} * width * height);
  const int left = (scaled_width - width) / 2, top = (scaled_height - height) / 2;
  for (int y = 0; y < height; ++y) {
    const auto row = whole->rgb.begin() + int64_t{3} * (int64_t{top + y} * scaled_width + left);
    std::copy(row, row + int64_t{3} * width, cut.rgb.begin() + int64_t{3} * y * width);
  }
  return cut;
}

}  // namespace svi::media
