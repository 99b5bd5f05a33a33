#include "engine/bench.h"

#include <ATen/ATen.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>
#include <nlohmann/json.hpp>

#include "engine/checkpoint_tools.h"
#include "tests/worker/engine/weights/temp_dir.h"
#include "worker/commands.h"
#include "worker/engine/nn/layers.h"
#include "worker/engine/tools/bench_flops.h"

namespace svi::engine {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::Gt;
using ::testing::HasSubstr;
using ::testing::Le;

uint64_t FlopOf(const std::function<void()>& work) {
  const c10::InferenceMode no_gradients;
  return CountFlop(work);
}

TEST(CountFlopTest, ALinearLayerIsItsProductWhateverItsWeightIsStoredIn) {
  const at::Tensor x = at::randn({2, 5, 8}), weight = at::randn({6, 8}), bias = at::randn({6});
  constexpr uint64_t kFlop = 2 * (2 * 5) * 8 * 6;
  EXPECT_EQ(FlopOf([&] { LinearUpcast(x, weight, bias); }), kFlop);
  EXPECT_EQ(FlopOf([&] { LinearUpcast(x, weight.to(at::kBFloat16)); }), kFlop);
  EXPECT_EQ(FlopOf([&] { (void)at::linear(x, weight, bias); }), kFlop);
}

TEST(CountFlopTest, AConvolutionCountsItsOutputsTimesItsTaps) {
  const at::Tensor x = at::randn({2, 6, 9, 8}), weight = at::randn({4, 3, 3, 3}), bias = at::randn({4});
  const int64_t stride = 2, padding = 1, dilation = 1, groups = 2;
  at::Tensor y;
  const uint64_t flop = FlopOf([&] { y = at::conv2d(x, weight, bias, stride, padding, dilation, groups); });
  ASSERT_THAT(y.sizes().vec(), ElementsAre(2, 4, 5, 4));
  EXPECT_EQ(flop, 2u * (2 * 4 * 5 * 4) * (3 * 3 * 3));
}

TEST(CountFlopTest, AttentionIsTwoProducts) {
  const at::Tensor q = at::randn({2, 3, 7, 16}), k = at::randn({2, 3, 11, 16}), v = at::randn({2, 3, 11, 16});
  EXPECT_EQ(FlopOf([&] { Attend(q, k, v); }), 2u * (2 * 3) * 7 * 11 * (16 + 16));
}

TEST(CountFlopTest, ProductsOfEverySpellingCountOnce) {
  const at::Tensor a = at::randn({4, 5}), b = at::randn({5, 6}), batch = at::randn({3, 4, 5});
  at::Tensor out = at::empty({4, 6});
  EXPECT_EQ(FlopOf([&] { at::mm_out(out, a, b); }), 2u * 4 * 5 * 6);
  EXPECT_EQ(FlopOf([&] { (void)at::addmm(out, a, b); }), 2u * 4 * 5 * 6);
  EXPECT_EQ(FlopOf([&] { (void)at::matmul(batch, b); }), 2u * 3 * 4 * 5 * 6);
  EXPECT_EQ(FlopOf([&] { (void)at::bmm(batch, b.expand({3, 5, 6})); }), 2u * 3 * 4 * 5 * 6);
  EXPECT_EQ(FlopOf([&] { (void)at::mv(a, b.select(1, 0)); }), 2u * 4 * 5);
}

TEST(CountFlopTest, OtherWorkAndWorkOutsideCountNothing) {
  const at::Tensor a = at::randn({8, 8});
  (void)at::mm(a, a);
  EXPECT_EQ(FlopOf([&] { (void)at::softmax(a + a, -1); }), 0u);
  (void)at::mm(a, a);
  EXPECT_EQ(FlopOf([] {}), 0u);
}

class BenchTest : public ::testing::Test {
 protected:
  static void SetUpTestSuite() {
    dir_ = new TempDir;
    ASSERT_TRUE(InitModel({"tiny", "float32", 1, Model()}).ok());
  }
  static void TearDownTestSuite() { delete dir_; }
  static std::string Model() { return dir_->File("model"); }

  static BenchOptions Small(std::vector<std::string> parts) {
    BenchOptions options;
    options.engine.model_dir = Model();
    options.engine.device = "cpu";
    options.engine.num_threads = 1;
    options.width = 64;
    options.height = 96;
    options.num_frames = 9;
    options.num_inference_steps = 1;
    options.repeats = 1;
    options.parts = std::move(parts);
    return options;
  }
  static absl::StatusOr<BenchReport> Run(const BenchOptions& options) {
    return RunBench(options, [](const std::string&) {});
  }

  static TempDir* dir_;
};
TempDir* BenchTest::dir_ = nullptr;

// The tiny preset's transformer by hand.
TEST_F(BenchTest, CountsWhatTheTransformerComputes) {
  const absl::StatusOr<BenchReport> report = Run(Small({"dit"}));
  ASSERT_TRUE(report.ok()) << report.status();
  ASSERT_EQ(report->parts.size(), 2u);
  constexpr double kTokens = 3 * 3 * 2, kText = 512, kDim = 96, kFfn = 192, kLayers = 2, kPatch = 48 * 4;
  constexpr double kTimesteps = 2, kFreqs = 64;  // the clean slot's and the others'
  constexpr double kSelf = kTokens * (4 * kDim * kDim + 2 * kTokens * kDim);
  constexpr double kCross = kTokens * (2 * kDim * kDim + 2 * kText * kDim);  // keys and values are cached
  constexpr double kBlocks = kLayers * (kSelf + kCross + kTokens * 2 * kDim * kFfn);
  constexpr double kEnds = 2 * kTokens * kPatch * kDim;
  constexpr double kTime = kTimesteps * (kFreqs * kDim + kDim * kDim + kDim * 6 * kDim);
  EXPECT_NEAR(report->parts[0].gflop * 1e9, 2 * (kBlocks + kEnds + kTime), 1);
  EXPECT_NEAR(report->parts[1].gflop, 2 * report->parts[0].gflop, 1e-6);
}

// Streaming costs what the whole costs: each later latent the same.
TEST_F(BenchTest, DecodingALatentMoreCostsALatent) {
  BenchOptions options = Small({"vae-decode"});
  const absl::StatusOr<BenchReport> three = Run(options);
  options.num_frames = 17;
  const absl::StatusOr<BenchReport> five = Run(options);
  ASSERT_TRUE(three.ok() && five.ok());
  ASSERT_EQ(three->parts.size(), 2u);
  ASSERT_EQ(three->parts[0].name, "vae-decode-latent");
  EXPECT_NEAR(five->parts[1].gflop - three->parts[1].gflop, 2 * three->parts[0].gflop, 1e-6);
}

TEST_F(BenchTest, RunsSingleRows) {
  BenchOptions options = Small({"text-encoder-short", "vae-encode-first"});
  options.repeats = 2;
  const absl::StatusOr<BenchReport> report = Run(options);
  ASSERT_TRUE(report.ok()) << report.status();
  std::vector<std::string> names;
  for (const BenchPart& part : report->parts) names.push_back(part.name);
  EXPECT_THAT(names, ElementsAre("vae-encode-first", "text-encoder-short"));
}

// Only when it is named, and with nothing of the frozen model's weights among what is computed for gradients.
TEST_F(BenchTest, AStepOfTrainingCostsTwoPassesAndThreeIfCheckpointed) {
  BenchOptions options = Small({"dit-forward", "train"});
  options.lora_rank = 2;
  const absl::StatusOr<BenchReport> report = Run(options);
  ASSERT_TRUE(report.ok()) << report.status();
  ASSERT_EQ(report->parts.size(), 3u);
  EXPECT_EQ(report->parts[1].name, "train-step");
  EXPECT_EQ(report->parts[2].name, "train-step-checkpointed");
  const double forward = report->parts[0].gflop, plain = report->parts[1].gflop;
  EXPECT_THAT(plain,
              AllOf(Gt(forward), Le(6 * forward)));  // with the text's keys and values, which dit-forward has
  EXPECT_NEAR(report->parts[2].gflop - plain, forward, 0.4 * forward);
  options.lora_rank = 0;
  EXPECT_THAT(std::string(Run(options).status().message()), HasSubstr("--lora-rank"));
}

TEST_F(BenchTest, RefusesWhatItCannotRun) {
  const auto refusal = [](BenchOptions options) { return Run(options).status(); };
  BenchOptions options = Small({"vae"});
  EXPECT_EQ(refusal(options).code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(std::string(refusal(options).message()), HasSubstr("part \"vae\""));
  options = Small({});
  options.width = 60;
  EXPECT_THAT(std::string(refusal(options).message()), HasSubstr("width"));
  options = Small({});
  options.num_frames = 8;
  EXPECT_THAT(std::string(refusal(options).message()), HasSubstr("frames"));
  options = Small({});
  options.repeats = 0;
  EXPECT_THAT(std::string(refusal(options).message()), HasSubstr("repeats"));
  options = Small({"dit"});
  options.engine.guidance = "twice";
  EXPECT_THAT(std::string(refusal(options).message()), HasSubstr("--guidance"));
  options = Small({"vae-encode"});
  options.engine.vae_dtype = "float16";
  EXPECT_THAT(std::string(refusal(options).message()), HasSubstr("--vae-dtype"));
  options = Small({"dit"});
  options.engine.model_dir = dir_->File("nowhere");
  EXPECT_EQ(refusal(options).code(), absl::StatusCode::kNotFound);
}

TEST_F(BenchTest, TheCommandWritesAllPartsAsJson) {
  const std::string file = dir_->File("report.json");
  ASSERT_EQ(worker::Bench({"--model=" + Model(), "--device=cpu", "--threads=1", "--width=64", "--height=64",
                           "--frames=5", "--steps=2", "--repeats=1", "--json=" + file}),
            worker::kOk);
  std::ifstream in(file);
  const nlohmann::json json = nlohmann::json::parse(in);
  EXPECT_EQ(json["threads"], 1);
  EXPECT_EQ(json["repeats"], 1);
  EXPECT_THAT(json["gemm_gflops"].get<double>(), Gt(0));
  EXPECT_THAT(json["load_seconds"].get<double>(), Gt(0));
  std::vector<std::string> names;
  for (const auto& part : json["parts"]) {
    names.push_back(part["name"]);
    SCOPED_TRACE(names.back());
    EXPECT_FALSE(part["shape"].get<std::string>().empty());
    EXPECT_THAT(part["min_seconds"].get<double>(), AllOf(Gt(0), Le(part["seconds"].get<double>())));
    EXPECT_THAT(part["seconds"].get<double>(), Le(part["max_seconds"].get<double>()));
    EXPECT_THAT(part["gflop"].get<double>(), Gt(0));
    EXPECT_THAT(part["share_of_gemm"].get<double>(), Gt(0));
    EXPECT_THAT(part["peak_bytes"].get<uint64_t>(), Gt(uint64_t{16} << 20));  // LibTorch alone is more
  }
  EXPECT_THAT(names, ElementsAre("dit-forward", "dit-guided", "vae-encode-first", "vae-encode-whole",
                                 "vae-decode-latent", "vae-decode-whole", "text-encoder-short",
                                 "text-encoder-full", "clip"));
}

TEST_F(BenchTest, TheCommandNamesAWrongFlag) {
  EXPECT_EQ(worker::Bench({}), worker::kUsage);
  EXPECT_EQ(worker::Bench({"--model=" + Model(), "--part=nothing"}), worker::kUsage);
  EXPECT_EQ(worker::Bench({"--model=" + Model(), "extra"}), worker::kUsage);
}

}  // namespace
}  // namespace svi::engine
