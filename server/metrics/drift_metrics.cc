#include "server/metrics/drift_metrics.h"

#include <cmath>

namespace svi::server {
namespace {

using Buckets = prometheus::Histogram::BucketBoundaries;

const Buckets kDifferences = {0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5};  // of what is 0..1
const Buckets kRatios = {0.05, 0.1, 0.2, 0.3, 0.5, 1, 2, 5};
const Buckets kDecibels = {10, 15, 18, 20, 22, 24, 26, 28, 30, 33, 36, 40, 50};
const Buckets kSimilarities = {0.3, 0.5, 0.6, 0.7, 0.8, 0.85, 0.9, 0.95, 0.98, 0.99};

}  // namespace

DriftMetrics::DriftMetrics(prometheus::Registry& registry)
    : family_(&prometheus::BuildHistogram()
                   .Name("svi_clip_drift")
                   .Help("How far committed clips have gone from their video's first, by measure; the size "
                         "without the sign. static_psnr and static_ssim: of still regions to the picture.")
                   .Register(registry)),
      brightness_(Add("brightness", kDifferences)),
      contrast_(Add("contrast", kDifferences)),
      saturation_(Add("saturation", kDifferences)),
      sharpness_(Add("sharpness", kRatios)),
      motion_(Add("motion", kRatios)),
      histogram_distance_(Add("histogram_distance", kDifferences)),
      static_psnr_(Add("static_psnr", kDecibels)),
      static_ssim_(Add("static_ssim", kSimilarities)) {}

prometheus::Histogram* DriftMetrics::Add(const char* measure, const Buckets& buckets) {
  return &family_->Add({{"measure", measure}}, buckets);
}

void DriftMetrics::Observe(const v1::ClipDrift& drift) {
  brightness_->Observe(std::abs(drift.brightness()));
  contrast_->Observe(std::abs(drift.contrast()));
  saturation_->Observe(std::abs(drift.saturation()));
  sharpness_->Observe(std::abs(drift.sharpness()));
  motion_->Observe(std::abs(drift.motion()));
  histogram_distance_->Observe(drift.histogram_distance());
  if (drift.has_static_psnr()) static_psnr_->Observe(drift.static_psnr());
  if (drift.has_static_ssim()) static_ssim_->Observe(drift.static_ssim());
}

}  // namespace svi::server
