#include "worker/drift/clip_meter.h"

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <utility>

#include "absl/strings/str_cat.h"
#include "worker/drift/luma.h"
#include "worker/drift/similarity.h"

namespace svi::drift {
namespace {

constexpr int kBinShift = 4;  // 256 levels in 16 bins
static_assert(kHistogramBins << kBinShift == 256);

// 1 / n; 0 for 0.
std::array<float, 256> Reciprocals() {
  std::array<float, 256> table{};
  for (int n = 1; n < 256; ++n) table[n] = 1.0f / static_cast<float>(n);
  return table;
}

}  // namespace

absl::Status ClipMeter::Add(const engine::Picture& frame) {
  const engine::Picture& like = frames_ > 0 ? last_ : reference_;
  const bool any_size = frames_ == 0 && reference_.rgb.empty();
  if (frame.width < 1 || frame.height < 1 ||
      frame.rgb.size() != size_t{3} * frame.width * static_cast<size_t>(frame.height) ||
      (!any_size && (frame.width != like.width || frame.height != like.height))) {
    return absl::InvalidArgumentError(absl::StrCat("a frame of ", frame.width, "x", frame.height, " and ",
                                                   frame.rgb.size(), " bytes in a clip of ", like.width, "x",
                                                   like.height));
  }
  if (frames_ == 0) cells_.emplace(frame.width, frame.height);
  std::swap(luma_, last_luma_);
  AddColours(frame);
  cells_->Add(frame);
  last_ = frame;
  AddSharpness();
  if (frames_ > 0) AddMotion();
  ++frames_;
  return absl::OkStatus();
}

void ClipMeter::AddColours(const engine::Picture& frame) {
  static const std::array<float, 256> reciprocal = Reciprocals();
  const size_t pixels = size_t{1} * frame.width * frame.height;
  luma_.resize(pixels);
  uint64_t* red = counts_.data();
  uint64_t* green = red + kHistogramBins;
  uint64_t* blue = green + kHistogramBins;
  int64_t sum = 0;
  double squares = 0, saturation = 0;
  for (size_t i = 0; i < pixels; ++i) {
    const uint8_t* rgb = &frame.rgb[3 * i];
    const int32_t luma = Luma(rgb);
    luma_[i] = luma;
    sum += luma;
    squares += static_cast<double>(luma) * luma;
    const int high = std::max({rgb[0], rgb[1], rgb[2]}), low = std::min({rgb[0], rgb[1], rgb[2]});
    saturation += static_cast<float>(high - low) * reciprocal[high];
    ++red[rgb[0] >> kBinShift];
    ++green[rgb[1] >> kBinShift];
    ++blue[rgb[2] >> kBinShift];
  }
  const double count = static_cast<double>(pixels), mean = static_cast<double>(sum) / count;
  luma_mean_ += mean;
  luma_deviation_ += std::sqrt(std::max(0.0, squares / count - mean * mean));
  saturation_ += saturation / count;
}

void ClipMeter::AddSharpness() {
  const int width = last_.width, height = last_.height;
  if (width < 3 || height < 3) return;
  int64_t sum = 0;
  for (int y = 1; y + 1 < height; ++y) {
    const int32_t* row = &luma_[size_t{1} * y * width];
    for (int x = 1; x + 1 < width; ++x) {
      sum += std::abs(4 * row[x] - row[x - 1] - row[x + 1] - row[x - width] - row[x + width]);
    }
  }
  sharpness_ += static_cast<double>(sum) / (width - 2) / (height - 2);
}

void ClipMeter::AddMotion() {
  int64_t sum = 0;
  for (size_t i = 0; i < luma_.size(); ++i) sum += std::abs(luma_[i] - last_luma_[i]);
  motion_ += static_cast<double>(sum) / static_cast<double>(luma_.size());
}

ClipMeasures ClipMeter::measures() const {
  ClipMeasures measures;
  const double frames = frames_;
  measures.brightness = luma_mean_ / frames / kLumaOne;
  measures.contrast = luma_deviation_ / frames / kLumaOne;
  measures.saturation = saturation_ / frames;
  measures.sharpness = sharpness_ / frames / kLumaOne;
  if (frames_ > 1) measures.motion = motion_ / (frames - 1) / kLumaOne;
  const double pixels = frames * static_cast<double>(luma_.size());
  for (size_t i = 0; i < counts_.size(); ++i) {
    measures.histogram[i] = static_cast<double>(counts_[i]) / pixels;
  }
  return measures;
}

StillSimilarity ClipMeter::still() const {
  const std::vector<uint8_t> still = cells_->Still();
  const bool has_reference = !reference_.rgb.empty();
  StillSimilarity similarity = CompareStill(last_, has_reference ? reference_ : last_, still);
  if (!has_reference) similarity.psnr = similarity.ssim = std::nullopt;
  return similarity;
}

}  // namespace svi::drift
