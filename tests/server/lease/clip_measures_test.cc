#include "server/lease/clip_measures.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>
#include <limits>

namespace svi::server {
namespace {

using testing::HasSubstr;

v1::ClipDone Plausible() {
  v1::ClipDone done;
  v1::ClipMeasures& measures = *done.mutable_measures();
  measures.set_brightness(0.4);
  measures.set_contrast(0.2);
  measures.set_saturation(1);
  measures.set_sharpness(0.05);
  measures.set_motion(0.01);
  for (int i = 0; i < 48; ++i) measures.add_histogram(1.0 / 16);
  v1::ClipDrift& drift = *done.mutable_drift();
  drift.set_brightness(-1);
  drift.set_sharpness(900);
  drift.set_histogram_distance(0.5);
  drift.set_static_psnr(100);
  drift.set_static_ssim(-0.5);
  return done;
}

TEST(CheckMeasures, PlausibleOnesAndNone) {
  EXPECT_TRUE(CheckMeasures(Plausible()).ok()) << CheckMeasures(Plausible());
  EXPECT_TRUE(CheckMeasures(v1::ClipDone()).ok());
}

TEST(CheckMeasures, NamesWhatCannotBe) {
  const double nan = std::numeric_limits<double>::quiet_NaN(), inf = std::numeric_limits<double>::infinity();
  const auto refused = [](const std::string& field, const std::function<void(v1::ClipDone&)>& change) {
    v1::ClipDone done = Plausible();
    change(done);
    const absl::Status status = CheckMeasures(done);
    EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument) << field;
    EXPECT_THAT(std::string(status.message()), HasSubstr(field + ":"));
  };
  refused("clip_done.measures.brightness", [](auto& d) { d.mutable_measures()->set_brightness(1.1); });
  refused("clip_done.measures.contrast", [&](auto& d) { d.mutable_measures()->set_contrast(nan); });
  refused("clip_done.measures.saturation", [](auto& d) { d.mutable_measures()->set_saturation(-0.1); });
  refused("clip_done.measures.sharpness", [](auto& d) { d.mutable_measures()->set_sharpness(9); });
  refused("clip_done.measures.motion", [](auto& d) { d.mutable_measures()->set_motion(2); });
  refused("clip_done.measures.histogram", [](auto& d) { d.mutable_measures()->add_histogram(0); });
  refused("clip_done.measures.histogram", [](auto& d) { d.mutable_measures()->set_histogram(3, 1.5); });
  refused("clip_done.drift.brightness", [](auto& d) { d.mutable_drift()->set_brightness(1.5); });
  refused("clip_done.drift.contrast", [&](auto& d) { d.mutable_drift()->set_contrast(-inf); });
  refused("clip_done.drift.saturation", [](auto& d) { d.mutable_drift()->set_saturation(-2); });
  refused("clip_done.drift.sharpness", [&](auto& d) { d.mutable_drift()->set_sharpness(inf); });
  refused("clip_done.drift.motion", [](auto& d) { d.mutable_drift()->set_motion(-1.5); });
  refused("clip_done.drift.histogram_distance",
          [](auto& d) { d.mutable_drift()->set_histogram_distance(-1); });
  refused("clip_done.drift.static_psnr", [](auto& d) { d.mutable_drift()->set_static_psnr(101); });
  refused("clip_done.drift.static_ssim", [&](auto& d) { d.mutable_drift()->set_static_ssim(nan); });
}

}  // namespace
}  // namespace svi::server
