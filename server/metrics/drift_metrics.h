// How far served clips drift, for Prometheus.
#ifndef SVI_SERVER_METRICS_DRIFT_METRICS_H_
#define SVI_SERVER_METRICS_DRIFT_METRICS_H_

#include <prometheus/family.h>
#include <prometheus/histogram.h>
#include <prometheus/registry.h>

#include "svi/v1/resources.pb.h"

namespace svi::server {

// svi_clip_drift{measure}, `measure` being a field of ClipDrift: a histogram for each, of the size of the
// drift without its sign, so that drift both ways adds up; static_psnr (dB) and static_ssim as they are.
// Thread-safe.
class DriftMetrics {
 public:
  explicit DriftMetrics(prometheus::Registry& registry);

  // Of a committed clip after a video's first, whose drift is 0 by definition.
  void Observe(const v1::ClipDrift& drift);

 private:
  prometheus::Histogram* Add(const char* measure, const prometheus::Histogram::BucketBoundaries& buckets);

  prometheus::Family<prometheus::Histogram>* family_;
  prometheus::Histogram* brightness_;
  prometheus::Histogram* contrast_;
  prometheus::Histogram* saturation_;
  prometheus::Histogram* sharpness_;
  prometheus::Histogram* motion_;
  prometheus::Histogram* histogram_distance_;
  prometheus::Histogram* static_psnr_;
  prometheus::Histogram* static_ssim_;
};

}  // namespace svi::server

#endif  // SVI_SERVER_METRICS_DRIFT_METRICS_H_
