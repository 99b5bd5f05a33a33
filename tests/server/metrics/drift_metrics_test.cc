#include "server/metrics/drift_metrics.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <prometheus/text_serializer.h>

#include <sstream>

namespace svi::server {
namespace {

using testing::HasSubstr;

TEST(DriftMetrics, CountsSizesWithoutSigns) {
  prometheus::Registry registry;
  DriftMetrics metrics(registry);
  v1::ClipDrift darker, brighter;
  darker.set_brightness(-0.25);
  darker.set_static_psnr(25.5);
  brighter.set_brightness(0.5);
  brighter.set_motion(-0.5);
  brighter.set_static_psnr(34.5);
  brighter.set_static_ssim(0.75);
  metrics.Observe(darker);
  metrics.Observe(brighter);
  std::ostringstream out;
  prometheus::TextSerializer().Serialize(out, registry.Collect());
  for (const char* line :
       {"svi_clip_drift_count{measure=\"brightness\"} 2\n",
        "svi_clip_drift_sum{measure=\"brightness\"} 0.75\n",
        "svi_clip_drift_bucket{measure=\"brightness\",le=\"0.2\"} 0\n",
        "svi_clip_drift_bucket{measure=\"brightness\",le=\"0.5\"} 2\n",
        "svi_clip_drift_sum{measure=\"motion\"} 0.5\n", "svi_clip_drift_sum{measure=\"static_psnr\"} 60\n",
        "svi_clip_drift_bucket{measure=\"static_psnr\",le=\"26\"} 1\n",
        "svi_clip_drift_count{measure=\"static_ssim\"} 1\n",
        "svi_clip_drift_count{measure=\"histogram_distance\"} 2\n"}) {
    EXPECT_THAT(out.str(), HasSubstr(line));
  }
}

}  // namespace
}  // namespace svi::server
