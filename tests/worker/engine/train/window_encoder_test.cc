#include "worker/engine/train/window_encoder.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "engine/checkpoint_tools.h"
#include "tests/worker/engine/train/numbered_videos.h"
#include "worker/engine/checkpoint/loaders.h"
#include "worker/engine/nn/offload.h"
#include "worker/engine/svi/pictures.h"
#include "worker/engine/svi/variants.h"
#include "worker/engine/train/data_order.h"

namespace svi::engine {
namespace {

using ::testing::ElementsAre;

WindowOptions Options(Variant variant) {
  WindowOptions options;
  options.variant = variant;
  options.num_frames = 17;
  options.first_clip_prob = 0;
  options.p_motion_threshold = 1;
  return options;
}

WindowPlan Plan(Variant variant, int64_t max_stride, int64_t frames, int64_t position) {
  at::Generator random = SampleGenerator(11, position);
  return PlanWindow(Options(variant), max_stride, frames, random);
}

TEST(PlanWindowTest, StaysInsideOfTheVideo) {
  for (const Variant variant : {Variant::kPro, Variant::kFilm, Variant::kShot}) {
    for (const int64_t frames : {17, 18, 33, 40, 100}) {
      std::set<int64_t> strides, starts;
      for (int64_t i = 0; i < 200; ++i) {
        const WindowPlan plan = Plan(variant, 3, frames, i);
        const int64_t last = plan.start + (plan.frames - 1) * plan.stride;
        ASSERT_GE(plan.start, 0);
        ASSERT_LT(last, frames);
        ASSERT_GE(plan.frames, 17);
        ASSERT_LE(plan.frames, variant == Variant::kPro ? 29 : 17);
        ASSERT_EQ(plan.frames % 4, 1);
        strides.insert(plan.stride);
        starts.insert(plan.start);
      }
      // Stride 2 spans 33 frames, 3 spans 49.
      EXPECT_EQ(strides.size(), frames < 33 ? 1u : frames < 49 ? 2u : 3u) << frames;
      EXPECT_EQ(starts.size() > 1, frames != 17) << frames;
    }
  }
}

TEST(PlanWindowTest, TooShort) {
  for (const int64_t frames : {0, 1, 16}) EXPECT_EQ(Plan(Variant::kFilm, 3, frames, 0).frames, 0) << frames;
}

TEST(PlanWindowTest, ShotAnchorsLieOutside) {
  bool before = false, after = false;
  for (int64_t i = 0; i < 200; ++i) {
    const WindowPlan plan = Plan(Variant::kShot, 2, 40, i);
    const int64_t last = plan.start + (plan.frames - 1) * plan.stride;
    ASSERT_GE(plan.anchor, 0);
    ASSERT_LT(plan.anchor, 40);
    ASSERT_TRUE(plan.anchor < plan.start || plan.anchor > last);
    EXPECT_FALSE(plan.anchor_inside);
    before |= plan.anchor < plan.start;
    after |= plan.anchor > last;
  }
  EXPECT_TRUE(before && after);
  const WindowPlan whole = Plan(Variant::kShot, 1, 17, 0);
  EXPECT_TRUE(whole.anchor_inside);
  EXPECT_EQ(whole.anchor, 0);
}

TEST(PlanWindowTest, ProAnchorsLieBeforeEveryClip) {
  std::set<int64_t> anchors;
  for (int64_t i = 0; i < 300; ++i) {
    const WindowPlan plan = Plan(Variant::kPro, 1, 60, i);
    ASSERT_GE(plan.anchor, 0);
    ASSERT_LE(plan.anchor, plan.start);
    anchors.insert(plan.anchor);
  }
  EXPECT_GT(anchors.size(), 15u);
  EXPECT_EQ(Plan(Variant::kFilm, 1, 60, 0).anchor, -1);
}

class EncodeWindowTest : public testing::Test {
 protected:
  static constexpr int kWidth = 64, kHeight = 32;

  static void SetUpTestSuite() {
    dir_ = std::filesystem::path(testing::TempDir()) / ("svi_windows_" + std::to_string(getpid()));
    ASSERT_TRUE(InitModel({"tiny", "float32", 1, dir_}).ok());
    vae_ = LoadVae(dir_, {at::kCPU, at::kFloat}).model;
  }
  static void TearDownTestSuite() {
    vae_.reset();
    std::filesystem::remove_all(dir_);
  }

  // uint8 [F, 3, H, W] of the frames as they come, which need no scaling.
  static at::Tensor Frames(const std::vector<int64_t>& numbers) {
    std::vector<at::Tensor> frames;
    for (const int64_t n : numbers) {
      frames.push_back(CoverPicture(NumberedVideos::Frame(kWidth, kHeight, n), kWidth, kHeight));
    }
    return at::stack(frames);
  }
  // [C, S, h, w].
  static at::Tensor Direct(const std::vector<int64_t>& numbers) {
    return vae_->Encode(ToVideo(Frames(numbers))).select(0, 0);
  }
  static std::vector<int64_t> Range(int64_t first, int64_t count, int64_t stride = 1) {
    std::vector<int64_t> numbers;
    for (int64_t i = 0; i < count; ++i) numbers.push_back(first + i * stride);
    return numbers;
  }
  static CachedWindow Encode(const WindowPlan& plan, const WindowOptions& options) {
    NumberedVideos videos(kWidth, kHeight);
    videos.Add("v", "p", 60);
    auto window = EncodeWindow(plan, options, videos, 0, *vae_, kWidth, kHeight, at::kCPU);
    EXPECT_TRUE(window.ok()) << window.status();
    reads_ = videos.reads();
    return window.ok() ? *std::move(window) : CachedWindow();
  }
  static double Difference(const at::Tensor& a, const at::Tensor& b) {
    if (a.sizes() != b.sizes()) return 1e9;
    return (a - b).abs().max().item<double>();
  }
  static TrainingSample Lay(const CachedWindow& window, const WindowOptions& options) {
    at::Generator random = SampleGenerator(1, 1);
    return LayOut(window, options, random);
  }
  // What inference puts in front of the clip that follows `carry`, [C, n, h, w].
  static at::Tensor CleanSlotsInInference(const Carry& carry) {
    Offloadable<Vae> vae([] { return LoadVae(dir_, {at::kCPU, at::kFloat}).model; }, false);
    return PlanNextClip(vae, carry, at::kCPU).clean_slots.select(0, 0);
  }

  inline static std::string dir_;
  inline static std::unique_ptr<Vae> vae_;
  inline static std::vector<std::vector<int64_t>> reads_;
};

TEST_F(EncodeWindowTest, StreamIsOneEncodeOfTheWindowsFrames) {
  const CachedWindow window = Encode({.frames = 17, .start = 3, .stride = 2}, Options(Variant::kFilm));
  EXPECT_EQ(Difference(window.stream, Direct(Range(3, 17, 2))), 0);
  EXPECT_FALSE(window.anchor.defined());
  EXPECT_FALSE(window.still.defined());
  EXPECT_EQ(reads_.size(), 1u) << "one pass over the video";
}

// The VAE is causal: the two slots that inference gets by encoding the last 5 frames again.
TEST_F(EncodeWindowTest, FilmHistoryIsThatOfInference) {
  const WindowOptions options = Options(Variant::kFilm);
  const TrainingSample sample = Lay(Encode({.frames = 17, .start = 7}, options), options);
  ASSERT_EQ(sample.clean_slots, 2);
  Carry carry;
  carry.variant = Variant::kFilm;
  carry.frames = Frames(Range(7, 5));
  EXPECT_LT(Difference(sample.latents.narrow(1, 0, 2), CleanSlotsInInference(carry)), 1e-6);
  EXPECT_EQ(Difference(sample.latents, Direct(Range(7, 17))), 0);
}

TEST_F(EncodeWindowTest, ShotIsThatOfInference) {
  const WindowOptions options = Options(Variant::kShot);
  for (const int64_t anchor : {2, 40}) {  // before and after
    const TrainingSample sample = Lay(Encode({.frames = 17, .start = 7, .anchor = anchor}, options), options);
    ASSERT_EQ(sample.clean_slots, 2);
    Carry carry;
    carry.variant = Variant::kShot;
    carry.anchor = Direct({anchor}).unsqueeze(0);
    carry.frames = Frames({7});
    EXPECT_LT(Difference(sample.latents.narrow(1, 0, 2), CleanSlotsInInference(carry)), 1e-6);
    EXPECT_EQ(Difference(sample.latents.narrow(1, 2, 3), Direct(Range(7, 17)).narrow(1, 1, 3)), 0);
  }
}

TEST_F(EncodeWindowTest, ProContinuesItsOwnStream) {
  const WindowOptions options = Options(Variant::kPro);
  const TrainingSample sample = Lay(Encode({.frames = 29, .start = 7, .anchor = 7}, options), options);
  const at::Tensor stream = Direct(Range(7, 29));
  // The anchor of the window's first frame is the stream's first latent.
  EXPECT_LT(Difference(sample.latents.narrow(1, 0, 1), stream.narrow(1, 0, 1)), 1e-6);
  int64_t place = 0;
  for (int64_t j = 1; j <= 4; ++j) {
    if (Difference(sample.latents.narrow(1, 1, 4), stream.narrow(1, j, 4)) == 0) place = j;
  }
  EXPECT_GT(place, 0);
}

TEST_F(EncodeWindowTest, AStillBeginningRunsOnWithoutAJump) {
  WindowOptions options = Options(Variant::kFilm);
  options.repeat_first_frame = true;
  const CachedWindow window = Encode({.frames = 17, .start = 7}, options);
  std::vector<int64_t> numbers = {7, 7, 7, 7};
  for (int64_t n = 7; n < 20; ++n) numbers.push_back(n);
  EXPECT_EQ(Difference(window.still, Direct(numbers)), 0);
  EXPECT_LT(Difference(window.still.narrow(1, 0, 2), Direct({7, 7, 7, 7, 7})), 1e-6);
}

TEST_F(EncodeWindowTest, CropsWhereThePlanSays) {
  NumberedVideos wide(2 * kWidth, kHeight);
  wide.Add("v", "p", 20);
  const auto encode = [&](double x) {
    return EncodeWindow({.frames = 17, .crop_x = x, .crop_y = 0.9}, Options(Variant::kFilm), wide, 0, *vae_,
                        kWidth, kHeight, at::kCPU)
        ->stream;
  };
  const Picture frame = NumberedVideos::Frame(2 * kWidth, kHeight, 0);
  for (const double x : {0.0, 0.25, 0.999}) {
    const at::Tensor cut =
        CoverPicture(frame, 2 * kWidth, kHeight).narrow(2, static_cast<int64_t>(x * kWidth), kWidth);
    EXPECT_LT(Difference(encode(x).narrow(1, 0, 1), vae_->Encode(ToVideo(cut)).select(0, 0)), 1e-6) << x;
  }
}

TEST_F(EncodeWindowTest, AVideoThatEndsTooEarlyIsItsOwnFault) {
  NumberedVideos videos(kWidth, kHeight);
  videos.Add("v", "p", 10);
  const auto window =
      EncodeWindow({.frames = 17}, Options(Variant::kFilm), videos, 0, *vae_, kWidth, kHeight, at::kCPU);
  EXPECT_EQ(window.status().code(), absl::StatusCode::kInvalidArgument);
}

}  // namespace
}  // namespace svi::engine
