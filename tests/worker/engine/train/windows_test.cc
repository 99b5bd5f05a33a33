#include "worker/engine/train/windows.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <set>
#include <stdexcept>
#include <string>
#include <vector>

#include "worker/engine/train/data_order.h"

namespace svi::engine {
namespace {

using ::testing::ElementsAre;

constexpr int64_t kFrames = 17;  // 5 slots
constexpr double kAnchor = 100;

// Slot s of the stream is full of s, of `still` of 50 + s, the anchor of 100.
CachedWindow Numbered(int64_t latents) {
  CachedWindow window;
  window.stream = at::arange(latents, at::kFloat).reshape({1, -1, 1, 1}).expand({3, -1, 2, 4}).contiguous();
  window.anchor = at::full({3, 1, 2, 4}, kAnchor, at::kFloat);
  window.still = window.stream.narrow(1, 0, std::min<int64_t>(latents, 5)) + 50;
  window.prompt = at::ones({2, 6});
  return window;
}

std::vector<double> SlotsOf(const TrainingSample& sample) {
  std::vector<double> slots;
  EXPECT_EQ(sample.latents.sizes(), at::IntArrayRef({3, 5, 2, 4}));
  for (int64_t s = 0; s < sample.latents.size(1); ++s) {
    const at::Tensor slot = sample.latents.select(1, s);
    EXPECT_EQ(slot.min().item<double>(), slot.max().item<double>());
    slots.push_back(slot.max().item<double>());
  }
  return slots;
}

WindowOptions Options(Variant variant, double first_clip_prob = 0) {
  WindowOptions options;
  options.variant = variant;
  options.num_frames = kFrames;
  options.first_clip_prob = first_clip_prob;
  options.p_motion_threshold = 1;
  return options;
}

TrainingSample At(int64_t position, const CachedWindow& window, const WindowOptions& options) {
  at::Generator random = SampleGenerator(3, position);
  return LayOut(window, options, random);
}

TEST(WindowsTest, FirstClipOfAllVariants) {
  for (const Variant variant : {Variant::kPro, Variant::kFilm, Variant::kShot}) {
    const TrainingSample sample = At(0, Numbered(8), Options(variant, 1));
    EXPECT_THAT(SlotsOf(sample), ElementsAre(0, 1, 2, 3, 4));
    EXPECT_EQ(sample.clean_slots, 1);
    EXPECT_EQ(sample.history_slots, 0) << "the picture is an anchor";
    EXPECT_EQ(sample.prompt.sizes(), at::IntArrayRef({2, 6}));
  }
}

TEST(WindowsTest, Film) {
  const TrainingSample sample = At(0, Numbered(5), Options(Variant::kFilm));
  EXPECT_THAT(SlotsOf(sample), ElementsAre(0, 1, 2, 3, 4));
  EXPECT_EQ(sample.clean_slots, 2);
  EXPECT_EQ(sample.history_slots, 2);
}

TEST(WindowsTest, FilmWithoutMotion) {
  WindowOptions options = Options(Variant::kFilm);
  options.p_motion_threshold = 0;
  const TrainingSample alone = At(0, Numbered(5), options);
  EXPECT_THAT(SlotsOf(alone), ElementsAre(0, 1, 2, 3, 4));
  EXPECT_EQ(alone.clean_slots, 1);
  EXPECT_EQ(alone.history_slots, 0);

  options.repeat_first_frame = true;
  const TrainingSample repeated = At(0, Numbered(5), options);
  EXPECT_THAT(SlotsOf(repeated), ElementsAre(50, 51, 52, 53, 54));
  EXPECT_EQ(repeated.clean_slots, 2);
  EXPECT_EQ(repeated.history_slots, 2);
}

TEST(WindowsTest, Shot) {
  const TrainingSample sample = At(0, Numbered(5), Options(Variant::kShot));
  EXPECT_THAT(SlotsOf(sample), ElementsAre(kAnchor, 0, 1, 2, 3));
  EXPECT_EQ(sample.clean_slots, 2);
  EXPECT_EQ(sample.history_slots, 1);
}

TEST(WindowsTest, ProTakesEveryPlaceEquallyOften) {
  std::map<double, int> motion;
  for (int64_t i = 0; i < 400; ++i) {
    const TrainingSample sample = At(i, Numbered(8), Options(Variant::kPro));
    const std::vector<double> slots = SlotsOf(sample);
    EXPECT_EQ(slots[0], kAnchor);
    for (size_t s = 2; s < 5; ++s) EXPECT_EQ(slots[s], slots[s - 1] + 1);
    EXPECT_EQ(sample.clean_slots, 2);
    EXPECT_EQ(sample.history_slots, 1);
    ++motion[slots[1]];
  }
  // z_1 … z_4: z_0 encodes one frame only, and what begins after z_4 ends after the stream's 8 latents.
  ASSERT_EQ(motion.size(), 4u);
  for (const auto& [slot, count] : motion) EXPECT_NEAR(count, 100, 35) << slot;
  EXPECT_EQ(motion.begin()->first, 1);
  // A video that gave F latents only has one place.
  for (int64_t i = 0; i < 20; ++i) {
    EXPECT_THAT(SlotsOf(At(i, Numbered(5), Options(Variant::kPro))), ElementsAre(kAnchor, 1, 2, 3, 4));
  }
}

TEST(WindowsTest, SharesAreAsAskedFor) {
  WindowOptions options = Options(Variant::kFilm, 0.25);
  options.p_motion_threshold = 0.6;
  options.repeat_first_frame = true;
  int first = 0, still = 0;
  for (int64_t i = 0; i < 2000; ++i) {
    const TrainingSample sample = At(i, Numbered(5), options);
    first += sample.clean_slots == 1;
    still += SlotsOf(sample)[0] == 50;
  }
  EXPECT_NEAR(first, 2000 * 0.25, 80);
  EXPECT_NEAR(still, 2000 * 0.75 * 0.4, 80);
}

// What the trainer draws after the layout must not depend on how the layout came out.
TEST(WindowsTest, EveryLayoutTakesEquallyMuchOfTheGenerator) {
  std::set<double> next;
  for (const Variant variant : {Variant::kPro, Variant::kFilm, Variant::kShot}) {
    for (const double first_clip_prob : {0.0, 1.0}) {
      at::Generator random = SampleGenerator(3, 4);
      (void)LayOut(Numbered(8), Options(variant, first_clip_prob), random);
      next.insert(at::rand({1}, random, at::kDouble).item<double>());
    }
  }
  EXPECT_EQ(next.size(), 1u);
}

TEST(WindowsTest, SamplesAreCopies) {
  const CachedWindow window = Numbered(5);
  for (const double first_clip_prob : {0.0, 1.0}) {
    for (const Variant variant : {Variant::kPro, Variant::kFilm, Variant::kShot}) {
      At(0, window, Options(variant, first_clip_prob)).latents.fill_(-1);
    }
  }
  EXPECT_TRUE(at::equal(window.stream, Numbered(5).stream));
  EXPECT_TRUE(at::equal(window.anchor, Numbered(5).anchor));
}

TEST(WindowsTest, FramesOfAWindow) {
  WindowOptions options = Options(Variant::kFilm);
  EXPECT_EQ(WindowFrames(options, 16), 0);
  EXPECT_EQ(WindowFrames(options, 17), 17);
  EXPECT_EQ(WindowFrames(options, 1000), 17);
  options.variant = Variant::kPro;  // up to 2F - 2 = 8 latents
  EXPECT_EQ(WindowFrames(options, 16), 0);
  EXPECT_EQ(WindowFrames(options, 20), 17);
  EXPECT_EQ(WindowFrames(options, 21), 21);
  EXPECT_EQ(WindowFrames(options, 29), 29);
  EXPECT_EQ(WindowFrames(options, 1000), 29);
  options.max_stream_latents = 6;
  EXPECT_EQ(WindowFrames(options, 1000), 21);
}

TEST(WindowsTest, BadOptionsAndWindows) {
  for (const int64_t frames : {5, 16, 261}) {
    WindowOptions options = Options(Variant::kPro);
    options.num_frames = frames;
    EXPECT_THROW(CheckWindowOptions(options), std::invalid_argument) << frames;
  }
  WindowOptions options = Options(Variant::kPro, 1.5);
  EXPECT_THROW(CheckWindowOptions(options), std::invalid_argument);
  options = Options(Variant::kPro);
  options.max_stream_latents = 4;
  EXPECT_THROW(CheckWindowOptions(options), std::invalid_argument);
  EXPECT_NO_THROW(CheckWindowOptions(Options(Variant::kPro)));

  EXPECT_THROW(At(0, Numbered(4), Options(Variant::kPro)), std::invalid_argument);
  CachedWindow bare = Numbered(5);
  bare.anchor = bare.still = at::Tensor();
  EXPECT_THROW(At(0, bare, Options(Variant::kShot)), std::invalid_argument);
  EXPECT_NO_THROW(At(0, bare, Options(Variant::kFilm)));
  options = Options(Variant::kFilm);
  options.repeat_first_frame = true;
  EXPECT_THROW(At(0, bare, options), std::invalid_argument);
}

}  // namespace
}  // namespace svi::engine
