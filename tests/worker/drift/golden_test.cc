// Against scikit-image, scipy and numpy on the same pictures (tests/golden/drift/make_fixtures.py).
#include <gtest/gtest.h>

#include <algorithm>
#include <fstream>
#include <nlohmann/json.hpp>
#include <numeric>

#include "tests/worker/drift/scenes.h"
#include "worker/drift/clip_meter.h"
#include "worker/drift/drift.h"
#include "worker/drift/similarity.h"

namespace svi::drift {
namespace {

constexpr int kWidth = 72, kHeight = 45, kFrames = 5;

nlohmann::json Golden() {
  return nlohmann::json::parse(std::ifstream(SVI_SOURCE_DIR "/tests/golden/drift/golden.json"));
}

engine::Picture SlopeWithGrain(uint32_t seed, int spread, int offset) {
  engine::Picture picture{.width = kWidth, .height = kHeight, .rgb = {}};
  Noise noise(seed);
  for (int y = 0; y < kHeight; ++y) {
    for (int x = 0; x < kWidth; ++x) {
      for (const int slope : {2 * x, 3 * y, 60 + x + y}) {
        const int level = slope + noise.Next() % (2 * spread + 1) - spread + offset;
        picture.rgb.push_back(static_cast<uint8_t>(std::clamp(level, 0, 255)));
      }
    }
  }
  return picture;
}

std::vector<engine::Picture> ClipWithSquare(uint32_t first_seed, int offset) {
  std::vector<engine::Picture> frames;
  for (int i = 0; i < kFrames; ++i) {
    engine::Picture frame = SlopeWithGrain(first_seed + i, 4, offset);
    for (int y = 3; y < 13; ++y) {
      for (int x = 5 + 4 * i; x < 15 + 4 * i; ++x) {
        uint8_t* rgb = &frame.rgb[3 * (y * kWidth + x)];
        rgb[0] = 250, rgb[1] = 30, rgb[2] = 40;
      }
    }
    frames.push_back(std::move(frame));
  }
  return frames;
}

ClipMeter Meter(const std::vector<engine::Picture>& frames, engine::Picture reference) {
  ClipMeter meter(std::move(reference));
  for (const engine::Picture& frame : frames) EXPECT_TRUE(meter.Add(frame).ok());
  return meter;
}

void ExpectMeasures(const ClipMeasures& m, const nlohmann::json& golden) {
  EXPECT_NEAR(m.brightness, golden["brightness"].get<double>(), 1e-6);
  EXPECT_NEAR(m.contrast, golden["contrast"].get<double>(), 1e-6);
  EXPECT_NEAR(m.saturation, golden["saturation"].get<double>(), 1e-6);
  EXPECT_NEAR(m.sharpness, golden["sharpness"].get<double>(), 1e-6);
  EXPECT_NEAR(m.motion, golden["motion"].get<double>(), 1e-6);
  for (size_t i = 0; i < m.histogram.size(); ++i) {
    EXPECT_NEAR(m.histogram[i], golden["histogram"][i].get<double>(), 1e-12) << i;
  }
}

TEST(DriftGolden, MeasuresAreNumpys) {
  const nlohmann::json golden = Golden();
  const ClipMeasures first = Meter(ClipWithSquare(100, 0), {}).measures();
  const ClipMeasures later = Meter(ClipWithSquare(200, 15), {}).measures();
  ExpectMeasures(first, golden["first"]);
  ExpectMeasures(later, golden["later"]);
  EXPECT_NEAR(HistogramDistance(first, later), golden["histogram_distance"].get<double>(), 1e-9);
}

TEST(DriftGolden, StillRegionsAreScikitImages) {
  const nlohmann::json golden = Golden()["still"];
  const StillSimilarity still = Meter(ClipWithSquare(200, 15), SlopeWithGrain(7, 4, 0)).still();
  EXPECT_NEAR(still.share, golden["share"].get<double>(), 1e-12);
  EXPECT_LT(still.share, 0.8) << "the square moves";
  ASSERT_TRUE(still.psnr && still.ssim);
  EXPECT_NEAR(*still.psnr, golden["psnr"].get<double>(), 1e-4);
  EXPECT_NEAR(*still.ssim, golden["ssim"].get<double>(), 1e-4);
}

TEST(DriftGolden, SsimOfWholePicturesIsScikitImages) {
  const engine::Picture a = SlopeWithGrain(1, 30, 0), b = SlopeWithGrain(2, 30, 12);
  const auto luma = [](const engine::Picture& picture) {
    std::vector<double> values;
    for (size_t i = 0; i < picture.rgb.size(); i += 3) {
      values.push_back(0.2126 * picture.rgb[i] + 0.7152 * picture.rgb[i + 1] + 0.0722 * picture.rgb[i + 2]);
    }
    return values;
  };
  const std::vector<double> map = SsimMap(luma(a), luma(b), kWidth, kHeight);
  ASSERT_EQ(map.size(), static_cast<size_t>((kWidth - 10) * (kHeight - 10)));
  const double mean = std::accumulate(map.begin(), map.end(), 0.0) / static_cast<double>(map.size());
  EXPECT_NEAR(mean, Golden()["whole"]["ssim"].get<double>(), 1e-6);
}

TEST(DriftGolden, NoWindowFitsInSmallPictures) {
  EXPECT_TRUE(SsimMap(std::vector<double>(100), std::vector<double>(100), 10, 10).empty());
}

}  // namespace
}  // namespace svi::drift
