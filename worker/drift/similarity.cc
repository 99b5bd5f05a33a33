#include "worker/drift/similarity.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>

#include "worker/drift/luma.h"
#include "worker/drift/still_cells.h"

namespace svi::drift {
namespace {

constexpr int kRadius = 5;
constexpr int kWindow = 2 * kRadius + 1;
constexpr double kSigma = 1.5;
constexpr double kC1 = (0.01 * 255) * (0.01 * 255);
constexpr double kC2 = (0.03 * 255) * (0.03 * 255);
// Share of the still cells that counts: those that differ least.
constexpr double kKept = 0.75;
constexpr double kMaxPsnr = 100;

// The Gaussian's weights along one side; they sum to 1.
std::array<double, kWindow> GaussianWeights() {
  std::array<double, kWindow> weights{};
  double sum = 0;
  for (int i = 0; i < kWindow; ++i) {
    weights[i] = std::exp(-0.5 * (i - kRadius) * (i - kRadius) / (kSigma * kSigma));
    sum += weights[i];
  }
  for (double& weight : weights) weight /= sum;
  return weights;
}

// [height, width] → [height - 10, width - 10].
std::vector<double> Blur(const std::vector<double>& values, int width, int height) {
  static const std::array<double, kWindow> weights = GaussianWeights();
  const int inner_width = width - 2 * kRadius, inner_height = height - 2 * kRadius;
  std::vector<double> rows(size_t{1} * inner_width * height);  // blurred along x
  for (int y = 0; y < height; ++y) {
    for (int i = 0; i < kWindow; ++i) {
      const double* from = &values[size_t{1} * y * width + i];
      double* to = &rows[size_t{1} * y * inner_width];
      for (int x = 0; x < inner_width; ++x) to[x] += weights[i] * from[x];
    }
  }
  std::vector<double> blurred(size_t{1} * inner_width * inner_height);
  for (int y = 0; y < inner_height; ++y) {
    for (int i = 0; i < kWindow; ++i) {
      const double* from = &rows[size_t{1} * (y + i) * inner_width];
      double* to = &blurred[size_t{1} * y * inner_width];
      for (int x = 0; x < inner_width; ++x) to[x] += weights[i] * from[x];
    }
  }
  return blurred;
}

std::vector<double> BlurProduct(const std::vector<double>& a, const std::vector<double>& b, int width,
                                int height) {
  std::vector<double> product(a.size());
  for (size_t i = 0; i < a.size(); ++i) product[i] = a[i] * b[i];
  return Blur(product, width, height);
}

std::vector<double> LumaLevels(const engine::Picture& picture) {
  std::vector<double> luma(size_t{1} * picture.width * picture.height);
  for (size_t i = 0; i < luma.size(); ++i) luma[i] = Luma(&picture.rgb[3 * i]) * (255.0 / kLumaOne);
  return luma;
}

struct CellError {
  double mean = 0;  // squared error, levels squared
  int pixels = 0;
  int cell = 0;  // its index
};

std::vector<CellError> ErrorsOf(const engine::Picture& frame, const engine::Picture& reference,
                                const std::vector<uint8_t>& still) {
  const int columns = (frame.width + StillCells::kSide - 1) / StillCells::kSide;
  std::vector<CellError> errors(still.size());
  for (size_t i = 0; i < errors.size(); ++i) errors[i].cell = static_cast<int>(i);
  for (int y = 0; y < frame.height; ++y) {
    for (int x = 0; x < frame.width; ++x) {
      CellError& error = errors[size_t{1} * (y / StillCells::kSide) * columns + x / StillCells::kSide];
      const size_t at = 3 * (size_t{1} * y * frame.width + x);
      for (size_t i = at; i < at + 3; ++i) {
        const double difference = static_cast<double>(frame.rgb[i]) - reference.rgb[i];
        error.mean += difference * difference;
      }
      ++error.pixels;
    }
  }
  for (CellError& error : errors) error.mean /= 3 * error.pixels;
  std::erase_if(errors, [&](const CellError& error) { return !still[error.cell]; });
  return errors;
}

double Psnr(const std::vector<CellError>& cells) {
  double error = 0, pixels = 0;
  for (const CellError& cell : cells) {
    error += cell.mean * cell.pixels;
    pixels += cell.pixels;
  }
  if (error == 0) return kMaxPsnr;
  return std::min(kMaxPsnr, 10 * std::log10(255.0 * 255.0 * pixels / error));
}

// Mean of the map over the pixels of these cells.
std::optional<double> MeanSsim(const engine::Picture& frame, const engine::Picture& reference,
                               const std::vector<CellError>& cells) {
  const int width = frame.width, height = frame.height, inner_width = width - 2 * kRadius;
  const std::vector<double> map = SsimMap(LumaLevels(frame), LumaLevels(reference), width, height);
  if (map.empty()) return std::nullopt;
  const int columns = (width + StillCells::kSide - 1) / StillCells::kSide;
  double sum = 0, pixels = 0;
  for (const CellError& cell : cells) {
    const int top = cell.cell / columns * StillCells::kSide, left = cell.cell % columns * StillCells::kSide;
    const int bottom = std::min(top + StillCells::kSide, height - kRadius);
    const int right = std::min(left + StillCells::kSide, width - kRadius);
    for (int y = std::max(top, kRadius); y < bottom; ++y) {
      for (int x = std::max(left, kRadius); x < right; ++x) {
        sum += map[size_t{1} * (y - kRadius) * inner_width + (x - kRadius)];
        ++pixels;
      }
    }
  }
  if (pixels == 0) return std::nullopt;
  return sum / pixels;
}

}  // namespace

std::vector<double> SsimMap(const std::vector<double>& a, const std::vector<double>& b, int width,
                            int height) {
  if (width < kWindow || height < kWindow) return {};
  const std::vector<double> mean_a = Blur(a, width, height), mean_b = Blur(b, width, height);
  const std::vector<double> aa = BlurProduct(a, a, width, height), bb = BlurProduct(b, b, width, height);
  const std::vector<double> ab = BlurProduct(a, b, width, height);
  std::vector<double> map(mean_a.size());
  for (size_t i = 0; i < map.size(); ++i) {
    const double means = mean_a[i] * mean_b[i];
    const double squares = mean_a[i] * mean_a[i] + mean_b[i] * mean_b[i];
    const double covariance = ab[i] - means, variances = aa[i] + bb[i] - squares;
    map[i] = (2 * means + kC1) * (2 * covariance + kC2) / ((squares + kC1) * (variances + kC2));
  }
  return map;
}

StillSimilarity CompareStill(const engine::Picture& frame, const engine::Picture& reference,
                             const std::vector<uint8_t>& still) {
  StillSimilarity similarity;
  std::vector<CellError> cells = ErrorsOf(frame, reference, still);
  if (cells.empty()) return similarity;
  double pixels = 0;
  for (const CellError& cell : cells) pixels += cell.pixels;
  similarity.share = pixels / frame.width / frame.height;
  // Stable: cells of equal error stay in the order of the frame, whatever the sort.
  std::stable_sort(cells.begin(), cells.end(),
                   [](const CellError& a, const CellError& b) { return a.mean < b.mean; });
  cells.resize(static_cast<size_t>(std::ceil(kKept * static_cast<double>(cells.size()))));
  similarity.psnr = Psnr(cells);
  similarity.ssim = MeanSsim(frame, reference, cells);
  return similarity;
}

}  // namespace svi::drift
