#include "worker/engine/train/latent_cache.h"

#include <ATen/Parallel.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <functional>
#include <memory>
#include <set>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "engine/checkpoint_tools.h"
#include "tests/worker/engine/train/numbered_videos.h"
#include "tests/worker/media/media_test_util.h"
#include "worker/data/dataset.h"
#include "worker/engine/train/data_order.h"

namespace svi::engine {
namespace {

namespace fs = std::filesystem;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;

class LatentCacheTest : public testing::Test {
 protected:
  static void SetUpTestSuite() {
    at::set_num_threads(1);  // the model is tiny
    models_ = fs::path(testing::TempDir()) / ("svi_cache_models_" + std::to_string(getpid()));
    ASSERT_TRUE(InitModel({"tiny", "float32", 1, models_ + "/one"}).ok());
    ASSERT_TRUE(InitModel({"tiny", "float32", 2, models_ + "/other"}).ok());
  }
  static void TearDownTestSuite() { fs::remove_all(models_); }

  void SetUp() override {
    dir_ = testing::TempDir() + "/svi_cache_" + testing::UnitTest::GetInstance()->current_test_info()->name();
    fs::remove_all(dir_);
    videos_.Add("a", "a boat", 30);
    videos_.Add("b", "a cat", 17);
    videos_.Add("c", "a boat", 60);
  }
  void TearDown() override { fs::remove_all(dir_); }

  LatentCacheOptions Options(Variant variant = Variant::kPro) const {
    LatentCacheOptions options;
    options.dir = dir_ + "/cache";
    options.model_dir = models_ + "/one";
    options.width = 64;
    options.height = 32;
    options.window.variant = variant;
    options.window.num_frames = 9;
    options.samples_per_video = 2;
    options.max_stride = 2;
    options.seed = 4;
    return options;
  }

  // Counts how often the models are loaded.
  CacheModels Models(const LatentCacheOptions& options) {
    CacheModels models = CacheModelsOf(options.model_dir, at::kCPU);
    return {[this, load = models.vae] { return ++vaes_, load(); },
            [this, load = models.prompts] { return ++prompt_encoders_, load(); }, at::kCPU};
  }
  CacheReport Fill(const LatentCacheOptions& options, VideoSource& videos, int64_t rank = 0,
                   int64_t size = 1) {
    vaes_ = prompt_encoders_ = 0;
    LatentCache cache(options, videos);
    return cache.Fill(Models(options), rank, size, {});
  }
  CacheReport Fill(const LatentCacheOptions& options) { return Fill(options, videos_); }
  std::unique_ptr<LatentCache> Open(const LatentCacheOptions& options, VideoSource& videos) {
    auto cache = std::make_unique<LatentCache>(options, videos);
    cache->Open();
    return cache;
  }
  std::unique_ptr<LatentCache> Open(const LatentCacheOptions& options) { return Open(options, videos_); }

  std::vector<std::string> FilesWith(const std::string& part) const {
    std::set<std::string> files;
    for (const auto& entry : fs::recursive_directory_iterator(dir_)) {
      const std::string path = entry.path();
      if (entry.is_regular_file() && path.find(part) != std::string::npos) files.insert(path);
    }
    return {files.begin(), files.end()};
  }

  static void ExpectEqual(const CachedWindow& a, const CachedWindow& b) {
    EXPECT_TRUE(at::equal(a.stream, b.stream));
    EXPECT_TRUE(at::equal(a.anchor, b.anchor));
    EXPECT_TRUE(at::equal(a.prompt, b.prompt));
  }

  inline static std::string models_;
  std::string dir_;
  NumberedVideos videos_{64, 32};
  int vaes_ = 0, prompt_encoders_ = 0;
};

TEST_F(LatentCacheTest, EncodesOnceAndThenOnlyReads) {
  const LatentCacheOptions options = Options();
  const CacheReport first = Fill(options);
  EXPECT_EQ(first.videos, 3);
  EXPECT_EQ(first.encoded, 6);
  EXPECT_EQ(first.reused, 0);
  EXPECT_THAT(first.skipped, IsEmpty());
  EXPECT_EQ(vaes_, 1);
  EXPECT_EQ(prompt_encoders_, 1);

  const size_t reads = videos_.reads().size();
  const CacheReport second = Fill(options);
  EXPECT_EQ(second.encoded, 0);
  EXPECT_EQ(second.reused, 6);
  EXPECT_EQ(vaes_ + prompt_encoders_, 0) << "a complete cache needs no model";
  EXPECT_EQ(videos_.reads().size(), reads);
}

TEST_F(LatentCacheTest, WindowsAreWhatTheVariantNeeds) {
  for (const Variant variant : {Variant::kPro, Variant::kFilm, Variant::kShot}) {
    LatentCacheOptions options = Options(variant);
    options.window.repeat_first_frame = true;
    Fill(options);
    const auto cache = Open(options);
    ASSERT_EQ(cache->size(), 6);
    for (int64_t i = 0; i < 6; ++i) {
      const CachedWindow window = cache->Load(i);
      const int64_t channels = window.stream.size(0), latents = window.stream.size(1);
      EXPECT_EQ(window.stream.sizes(), at::IntArrayRef({channels, latents, 2, 4}));
      if (variant == Variant::kPro) {
        EXPECT_TRUE(latents == 3 || latents == 4) << latents;
      } else {
        EXPECT_EQ(latents, 3);
      }
      EXPECT_EQ(window.anchor.defined(), variant != Variant::kFilm);
      EXPECT_EQ(window.still.defined(), variant == Variant::kFilm);
      at::Generator random = SampleGenerator(1, i);
      EXPECT_EQ(LayOut(window, options.window, random).latents.sizes(), at::IntArrayRef({channels, 3, 2, 4}));
    }
  }
}

TEST_F(LatentCacheTest, PromptsAreTheTextEncodersOwn) {
  const LatentCacheOptions options = Options();
  Fill(options);
  EXPECT_EQ(FilesWith("/prompts-").size(), 3u) << "one a text, and the empty one";
  const auto cache = Open(options);
  const auto encoder = CacheModelsOf(options.model_dir, at::kCPU).prompts();
  const auto expect = [&](const std::string& text, const at::Tensor& got) {
    const at::Tensor whole = encoder->Encode({text})[0].select(0, 0);
    EXPECT_GT(got.size(0), 0);
    EXPECT_LT(got.size(0), whole.size(0));
    EXPECT_TRUE(at::equal(got, whole.narrow(0, 0, got.size(0)))) << text;
    EXPECT_EQ(whole.narrow(0, got.size(0), whole.size(0) - got.size(0)).abs().max().item<double>(), 0)
        << text;
  };
  expect("a boat", cache->Load(0).prompt);
  expect("a cat", cache->Load(2).prompt);
  expect("a boat", cache->Load(4).prompt);
  expect("", cache->EmptyPrompt());
}

TEST_F(LatentCacheTest, ResumesAfterLosses) {
  const LatentCacheOptions options = Options();
  Fill(options);
  std::vector<CachedWindow> before;
  for (int64_t i = 0; i < 6; ++i) before.push_back(Open(options)->Load(i));
  const std::string fingerprint = Open(options)->fingerprint();

  const std::vector<std::string> windows = FilesWith("/windows-"), prompts = FilesWith("/prompts-");
  ASSERT_EQ(windows.size(), 6u);
  fs::remove(windows[1]);
  fs::resize_file(windows[2], fs::file_size(windows[2]) / 2);
  media::WriteFile(windows[3], "");
  media::WriteFile(windows[5] + ".tmp", "half of a file");
  fs::remove(prompts[0]);
  const CacheReport report = Fill(options);
  EXPECT_EQ(report.encoded, 3);
  EXPECT_EQ(report.reused, 3);
  EXPECT_EQ(prompt_encoders_, 1);
  EXPECT_EQ(Open(options)->fingerprint(), fingerprint);
  for (int64_t i = 0; i < 6; ++i) ExpectEqual(Open(options)->Load(i), before[static_cast<size_t>(i)]);
}

TEST_F(LatentCacheTest, StopsWhenAskedAndGoesOn) {
  const LatentCacheOptions options = Options();
  Fill(options);
  const std::string fingerprint = Open(options)->fingerprint();
  fs::remove_all(options.dir);

  int asked = 0;
  CacheCallbacks callbacks;
  callbacks.cancelled = [&] { return ++asked > 3 + 3; };  // after three prompts and three windows
  LatentCache cache(options, videos_);
  const CacheReport stopped = cache.Fill(Models(options), 0, 1, callbacks);
  EXPECT_TRUE(stopped.stopped);
  EXPECT_EQ(stopped.encoded, 3);
  std::vector<std::string> progress;
  callbacks.cancelled = [] { return false; };
  callbacks.progress = [&](const char* what, int64_t done, int64_t total) {
    progress.push_back(what + std::string(" ") + std::to_string(done) + "/" + std::to_string(total));
  };
  const CacheReport rest = cache.Fill(Models(options), 0, 1, callbacks);
  EXPECT_FALSE(rest.stopped);
  EXPECT_EQ(rest.encoded, 3);
  EXPECT_EQ(rest.reused, 3);
  EXPECT_THAT(progress, ElementsAre("prompts 1/3", "prompts 2/3", "prompts 3/3", "videos 1/3", "videos 2/3",
                                    "videos 3/3"));
  cache.Open();
  EXPECT_EQ(cache.fingerprint(), fingerprint);
}

TEST_F(LatentCacheTest, RanksTogetherMakeWhatOneMakes) {
  const LatentCacheOptions alone = Options();
  Fill(alone);
  LatentCacheOptions shared = Options();
  shared.dir = dir_ + "/shared";
  const CacheReport second = Fill(shared, videos_, 1, 2), first = Fill(shared, videos_, 0, 2);
  EXPECT_EQ(first.videos, 2);
  EXPECT_EQ(second.videos, 1);
  EXPECT_EQ(first.encoded + second.encoded, 6);
  const auto one = Open(alone), two = Open(shared);
  ASSERT_EQ(two->size(), one->size());
  EXPECT_EQ(two->fingerprint(), one->fingerprint());
  for (int64_t i = 0; i < one->size(); ++i) ExpectEqual(one->Load(i), two->Load(i));
}

TEST_F(LatentCacheTest, WhatDecidesTheContentInvalidates) {
  NumberedVideos video(64, 32);
  video.Add("a", "a boat", 30);
  Fill(Options(), video);
  using Change = std::pair<const char*, std::function<void(LatentCacheOptions&)>>;
  for (const auto& [what, change] : {
           Change("width", [](auto& o) { o.width = 32; }),
           Change("height", [](auto& o) { o.height = 64; }),
           Change("num_frames", [](auto& o) { o.window.num_frames = 13; }),
           Change("variant", [](auto& o) { o.window.variant = Variant::kShot; }),
           Change("stream", [](auto& o) { o.window.max_stream_latents = 3; }),
           Change("stride", [](auto& o) { o.max_stride = 1; }),
           Change("seed", [](auto& o) { o.seed = 5; }),
           Change("model", [this](auto& o) { o.model_dir = models_ + "/other"; }),
       }) {
    LatentCacheOptions options = Options();
    change(options);
    const CacheReport report = Fill(options, video);
    EXPECT_EQ(report.encoded, 2) << what;
    EXPECT_EQ(report.reused, 0) << what;
    EXPECT_EQ(prompt_encoders_, std::string(what) == "model" ? 1 : 0) << what;
  }
  // How samples are laid out is decided later; and nothing was overwritten.
  LatentCacheOptions options = Options();
  options.window.first_clip_prob = 0.9;
  options.window.p_motion_threshold = 0.1;
  options.memory_bytes = 0;
  EXPECT_EQ(Fill(options, video).reused, 2);
}

TEST_F(LatentCacheTest, AModelIsKnownByItsContent) {
  const LatentCacheOptions options = Options();
  Fill(options);
  LatentCacheOptions moved = options;
  moved.model_dir = models_ + "/copy";
  fs::copy(options.model_dir, moved.model_dir, fs::copy_options::recursive);
  EXPECT_EQ(Fill(moved).reused, 6);
  // Another VAE in its place; the text encoder stays.
  fs::copy(models_ + "/other/vae", moved.model_dir + "/vae",
           fs::copy_options::recursive | fs::copy_options::overwrite_existing);
  EXPECT_EQ(Fill(moved).encoded, 6);
  EXPECT_EQ(prompt_encoders_, 0);
  fs::remove_all(moved.model_dir);
}

TEST_F(LatentCacheTest, ChangedFilesAndCaptions) {
  const LatentCacheOptions options = Options();
  Fill(options);
  videos_.mutable_items()[0].prompt = "a ship";
  const CacheReport caption = Fill(options);
  EXPECT_EQ(caption.reused, 6) << "a caption has no say in latents";
  EXPECT_EQ(prompt_encoders_, 1);
  videos_.mutable_items()[1].identity = "2";
  const CacheReport file = Fill(options);
  EXPECT_EQ(file.encoded, 2);
  EXPECT_EQ(file.reused, 4);
}

TEST_F(LatentCacheTest, OneVideoWithSeveralCaptions) {
  videos_.Add("a", "the sea", 30);
  videos_.Add("b", "a cat", 17);  // the same row again
  const LatentCacheOptions options = Options();
  const CacheReport report = Fill(options);
  EXPECT_EQ(report.encoded, 6);
  ASSERT_EQ(report.skipped.size(), 1u);
  EXPECT_EQ(report.skipped[0].name, "b");
  EXPECT_THAT(report.skipped[0].why, HasSubstr("twice"));
  const auto cache = Open(options);
  ASSERT_EQ(cache->size(), 8);
  EXPECT_TRUE(at::equal(cache->Load(0).stream, cache->Load(6).stream));
  EXPECT_FALSE(at::equal(cache->Load(0).prompt, cache->Load(6).prompt));
}

TEST_F(LatentCacheTest, BadVideosAmongGoodOnesAreNamed) {
  fs::create_directories(dir_ + "/set");
  const auto put = [&](const std::string& name, const std::string& bytes) {
    media::WriteFile(dir_ + "/set/" + name, bytes);
  };
  const auto clip = [](int frames) { return media::MakeClip({.width = 96, .height = 64}, 0, frames); };
  put("good.mp4", clip(20));
  put("short.mp4", clip(8));
  std::string damaged = clip(60);
  for (size_t i = damaged.size() / 2; i < damaged.size() / 2 + 200; ++i)
    damaged[i] = static_cast<char>(~damaged[i]);
  put("damaged.mp4", damaged);
  put("text.mp4", "no video");
  put("set.jsonl", R"({"path": "damaged.mp4", "prompt": "a"}
{"path": "short.mp4", "prompt": "b"}
{"path": "good.mp4", "prompt": "c"}
{"path": "text.mp4", "prompt": "d"}
{"path": "none.mp4", "prompt": "e"})");
  auto videos = data::OpenDataset(dir_ + "/set/set.jsonl");
  ASSERT_TRUE(videos.ok()) << videos.status();
  const LatentCacheOptions options = Options();
  const CacheReport report = Fill(options, **videos);
  EXPECT_EQ(report.videos, 4);
  EXPECT_EQ(report.unusable, 3);
  EXPECT_EQ(report.encoded, 2);
  ASSERT_EQ(report.skipped.size(), 3u);
  EXPECT_EQ(report.skipped[0].name, "damaged.mp4");
  EXPECT_EQ(report.skipped[1].name, "short.mp4");
  EXPECT_EQ(report.skipped[1].why, "it has 8 frames, a window takes 9");
  EXPECT_EQ(report.skipped[2].name, "text.mp4");
  for (const auto& skipped : report.skipped) EXPECT_THAT(skipped.why, Not(HasSubstr(dir_)));
  EXPECT_EQ((*videos)->skipped().size(), 1u);
  EXPECT_EQ(Open(options, **videos)->size(), 2);
  // They are named again, not forgotten, when everything else is there.
  EXPECT_EQ(Fill(options, **videos).skipped.size(), 3u);
}

TEST_F(LatentCacheTest, AnchorsWithNoFrameOutsideAreCounted) {
  NumberedVideos videos(64, 32);
  videos.Add("exact", "x", 9);
  videos.Add("long", "x", 60);
  const LatentCacheOptions options = Options(Variant::kShot);
  EXPECT_EQ(Fill(options, videos).anchors_inside, 2);
  EXPECT_EQ(Fill(options, videos).anchors_inside, 2) << "also when they are found encoded";
}

TEST_F(LatentCacheTest, HalfTheSizeInBfloat16) {
  LatentCacheOptions options = Options();
  Fill(options);
  const auto exact = Open(options);
  const auto bytes = [&] { return fs::file_size(FilesWith("/windows-")[0]); };
  const auto whole = bytes();
  options.dir = dir_ + "/half";
  fs::remove_all(dir_ + "/cache");
  options.store_bfloat16 = true;
  Fill(options);
  EXPECT_LT(bytes(), whole * 0.7);
  const CachedWindow window = Open(options)->Load(0);
  EXPECT_EQ(window.stream.scalar_type(), at::kFloat);
  EXPECT_EQ(window.prompt.scalar_type(), at::kFloat);
}

TEST_F(LatentCacheTest, MemoryIsABudget) {
  LatentCacheOptions options = Options();
  Fill(options);
  const auto kept = Open(options);
  options.memory_bytes = 0;
  const auto read = Open(options);
  for (int64_t i = 0; i < kept->size(); ++i) ExpectEqual(kept->Load(i), read->Load(i));
  // Kept windows outlive their files.
  for (const std::string& file : FilesWith("/windows-")) fs::remove(file);
  EXPECT_NO_THROW(kept->Load(3));
  EXPECT_ANY_THROW(read->Load(3));
}

// Tensors that were made in inference mode refuse to be part of a graph.
TEST_F(LatentCacheTest, WindowsCanBeTrainedOn) {
  const LatentCacheOptions options = Options();
  Fill(options);
  const auto cache = Open(options);
  const CachedWindow window = cache->Load(0);
  EXPECT_FALSE(window.stream.is_inference());
  EXPECT_FALSE(window.prompt.is_inference());
  EXPECT_FALSE(cache->EmptyPrompt().is_inference());
}

TEST_F(LatentCacheTest, BadOptionsAndNothingToOpen) {
  LatentCacheOptions options = Options();
  EXPECT_THROW(Open(options), std::invalid_argument);
  options.width = 50;
  EXPECT_THROW(LatentCache(options, videos_), std::invalid_argument);
  options = Options();
  options.window.num_frames = 8;
  EXPECT_THROW(LatentCache(options, videos_), std::invalid_argument);
  options = Options();
  options.model_dir = dir_ + "/none";
  EXPECT_ANY_THROW(LatentCache(options, videos_));
  fs::create_directories(dir_);
  media::WriteFile(dir_ + "/file", "");
  options = Options();
  options.dir = dir_ + "/file";
  try {
    Fill(options);
    ADD_FAILURE() << "a file is no folder";
  } catch (const std::exception& error) {
    EXPECT_THAT(error.what(), Not(HasSubstr(dir_)));
  }
}

}  // namespace
}  // namespace svi::engine
