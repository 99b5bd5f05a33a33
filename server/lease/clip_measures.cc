#include "server/lease/clip_measures.h"

#include "absl/strings/str_cat.h"

namespace svi::server {
namespace {

constexpr int kHistogramSize = 48;   // 16 bins of red, green and blue
constexpr double kMaxSharpness = 8;  // four neighbours, each at most 1 away, both ways
constexpr double kMaxRatio = 1e6;    // of sharpness and motion
constexpr double kMaxPsnr = 100;     // dB
constexpr double kRounding = 1e-6;   // that a sum or a difference may be outside by

struct Bounded {
  const char* field;
  double value, low, high;
};

// NaN is outside every range.
absl::Status Within(const char* message, std::initializer_list<Bounded> values) {
  for (const Bounded& v : values) {
    if (!(v.value >= v.low - kRounding && v.value <= v.high + kRounding)) {
      return absl::InvalidArgumentError(
          absl::StrCat("clip_done.", message, ".", v.field, ": not in ", v.low, "..", v.high));
    }
  }
  return absl::OkStatus();
}

absl::Status CheckMeasures(const v1::ClipMeasures& m) {
  if (m.histogram_size() != 0 && m.histogram_size() != kHistogramSize) {
    return absl::InvalidArgumentError(
        absl::StrCat("clip_done.measures.histogram: ", kHistogramSize, " values or none"));
  }
  for (const double share : m.histogram()) {
    const absl::Status valid = Within("measures", {{"histogram", share, 0, 1}});
    if (!valid.ok()) return valid;
  }
  return Within("measures", {{"brightness", m.brightness(), 0, 1},
                             {"contrast", m.contrast(), 0, 1},
                             {"saturation", m.saturation(), 0, 1},
                             {"sharpness", m.sharpness(), 0, kMaxSharpness},
                             {"motion", m.motion(), 0, 1}});
}

absl::Status CheckDrift(const v1::ClipDrift& d) {
  return Within("drift", {{"brightness", d.brightness(), -1, 1},
                          {"contrast", d.contrast(), -1, 1},
                          {"saturation", d.saturation(), -1, 1},
                          {"sharpness", d.sharpness(), -1, kMaxRatio},
                          {"motion", d.motion(), -1, kMaxRatio},
                          {"histogram_distance", d.histogram_distance(), 0, 1},
                          {"static_psnr", d.static_psnr(), -kMaxPsnr, kMaxPsnr},
                          {"static_ssim", d.static_ssim(), -1, 1}});
}

}  // namespace

absl::Status CheckMeasures(const v1::ClipDone& message) {
  const absl::Status measures = CheckMeasures(message.measures());
  return measures.ok() ? CheckDrift(message.drift()) : measures;
}

}  // namespace svi::server
