#include "worker/drift/drift.h"

#include <algorithm>
#include <cmath>

namespace svi::drift {
namespace {

// What is less than this counts as this: a tenth of one 8-bit level, so that the ratio of next to nothing to
// nothing stays a number.
constexpr double kLeast = 0.1 / 255;

double RatioMinusOne(double value, double first) {
  return std::max(value, kLeast) / std::max(first, kLeast) - 1;
}

}  // namespace

double HistogramDistance(const ClipMeasures& a, const ClipMeasures& b) {
  double distance = 0;
  for (int channel = 0; channel < 3; ++channel) {
    double carried = 0;  // difference of the shares up to and with this bin: what has to go on to the next
    for (int bin = 0; bin + 1 < kHistogramBins; ++bin) {
      const int at = channel * kHistogramBins + bin;
      carried += a.histogram[at] - b.histogram[at];
      distance += std::abs(carried);
    }
  }
  return distance / (3 * (kHistogramBins - 1));
}

ClipDrift DriftFrom(const ClipMeasures& first, const ClipMeasures& clip, const StillSimilarity& still) {
  ClipDrift drift;
  drift.brightness = clip.brightness - first.brightness;
  drift.contrast = clip.contrast - first.contrast;
  drift.saturation = clip.saturation - first.saturation;
  drift.sharpness = RatioMinusOne(clip.sharpness, first.sharpness);
  drift.motion = RatioMinusOne(clip.motion, first.motion);
  drift.histogram_distance = HistogramDistance(clip, first);
  drift.static_psnr = still.psnr;
  drift.static_ssim = still.ssim;
  return drift;
}

}  // namespace svi::drift
