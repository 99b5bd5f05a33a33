#include "worker/engine/svi/pictures.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <stdexcept>

namespace svi::engine {
namespace {

// [1, 3, H, W], whole levels 0…255, before and after.
at::Tensor ResizeLanczos(const at::Tensor& levels, int64_t height, int64_t width) {
  return at::_upsample_lanczos2d_aa(levels, {height, width}, /*align_corners=*/false).round_().clamp_(0, 255);
}

}  // namespace

at::Tensor CoverPicture(const Picture& picture, int width, int height, double x, double y) {
  if (picture.width < 1 || picture.height < 1 ||
      picture.rgb.size() != static_cast<size_t>(picture.width) * picture.height * 3) {
    throw std::invalid_argument("picture: its bytes do not fit its width and height");
  }
  at::Tensor rgb =
      at::from_blob(const_cast<uint8_t*>(picture.rgb.data()), {picture.height, picture.width, 3}, at::kByte)
          .permute({2, 0, 1});
  const double scale =
      std::max(static_cast<double>(width) / picture.width, static_cast<double>(height) / picture.height);
  const int64_t scaled_width = std::max<int64_t>(width, std::llround(picture.width * scale));
  const int64_t scaled_height = std::max<int64_t>(height, std::llround(picture.height * scale));
  if (scaled_width != picture.width || scaled_height != picture.height) {
    // Columns first, then rows, 8 bits in between: what Pillow does, whose overshoot at edges is cut twice.
    const at::Tensor narrow = ResizeLanczos(rgb.unsqueeze(0).to(at::kFloat), picture.height, scaled_width);
    rgb = ResizeLanczos(narrow, scaled_height, scaled_width).squeeze(0).to(at::kByte);
  }
  return rgb.narrow(1, static_cast<int64_t>(y * static_cast<double>(scaled_height - height)), height)
      .narrow(2, static_cast<int64_t>(x * static_cast<double>(scaled_width - width)), width)
      .contiguous();
}

at::Tensor ToVideo(const at::Tensor& frames) {
  const at::Tensor batch = frames.dim() == 3 ? frames.unsqueeze(0) : frames;
  return batch.permute({1, 0, 2, 3}).unsqueeze(0).to(at::kFloat).div(127.5).sub(1.0);
}

at::Tensor ToFrames(const at::Tensor& video) {
  return video.select(0, 0)
      .permute({1, 0, 2, 3})
      .to(at::kFloat)
      .add(1.0)
      .mul(127.5)
      .round()
      .clamp(0, 255)
      .to(at::kByte)
      .to(at::kCPU)
      .contiguous();
}

Picture ToPicture(const at::Tensor& frame) {
  const at::Tensor rgb = frame.permute({1, 2, 0}).contiguous();
  Picture picture;
  picture.height = static_cast<int>(rgb.size(0));
  picture.width = static_cast<int>(rgb.size(1));
  picture.rgb.resize(rgb.numel());
  std::memcpy(picture.rgb.data(), rgb.data_ptr<uint8_t>(), picture.rgb.size());
  return picture;
}

}  // namespace svi::engine
