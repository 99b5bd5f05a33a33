// Whole runs on the tiny random model.
#include "engine/trainer.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <cmath>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <map>
#include <string>
#include <vector>

#include "engine/checkpoint_tools.h"
#include "tests/worker/engine/train/moving_squares.h"
#include "worker/engine/checkpoint/loaders.h"
#include "worker/engine/lora/lora_file.h"
#include "worker/engine/weights/safetensors.h"

namespace svi::engine {
namespace {

namespace fs = std::filesystem;

std::string Bytes(const fs::path& path) {
  std::ifstream in(path, std::ios::binary);
  EXPECT_TRUE(in.good()) << path;
  return std::string(std::istreambuf_iterator<char>(in), {});
}

class TrainerTest : public testing::Test {
 protected:
  static void SetUpTestSuite() {
    dir_ = fs::path(testing::TempDir()) / ("svi_trainer_test_" + std::to_string(getpid()));
    ASSERT_TRUE(InitModel({"tiny", "float32", 1, (dir_ / "model").string()}).ok());
    EngineOptions options;
    options.model_dir = (dir_ / "model").string();
    options.device = "cpu";
    options.num_threads = 1;
    auto trainer = Trainer::Load(options);
    ASSERT_TRUE(trainer.ok()) << trainer.status();
    trainer_ = trainer->release();
  }
  static void TearDownTestSuite() {
    delete trainer_;
    fs::remove_all(dir_);
  }

  static TrainOptions Options() {
    TrainOptions options;
    options.width = options.height = 64;
    options.num_frames = 17;
    options.flow_shift = 5;
    options.max_steps = 6;
    options.batch_size = 2;
    options.learning_rate.base = 1e-3;
    options.learning_rate.total_steps = options.max_steps;
    options.lora.rank = 4;
    options.lora.alpha = 4;
    options.seed = 11;
    options.checkpoint_every = 2;
    options.recycling.clean_prob = 0.2;
    options.recycling.clean_buffer_update_prob = 1;
    options.fingerprint = "a";
    return options;
  }

  absl::StatusOr<TrainResult> Run(const TrainOptions& options, const std::string& name,
                                  const TrainCallbacks& callbacks = {}) {
    MovingSquares videos(6);
    return trainer_->Run(options, (dir_ / name).string(), (dir_ / "cache").string(), videos, callbacks);
  }
  // Stops before step `step` + 1.
  static TrainCallbacks StopAfter(int64_t step, int64_t* seen) {
    TrainCallbacks callbacks;
    callbacks.report = [seen](const TrainReport& report) { *seen = report.step; };
    callbacks.stop = [seen, step] { return *seen >= step; };
    return callbacks;
  }

  static fs::path dir_;
  static Trainer* trainer_;
};
fs::path TrainerTest::dir_;
Trainer* TrainerTest::trainer_ = nullptr;

TEST_F(TrainerTest, ALoraComesOutThatTheLibraryReads) {
  std::vector<TrainReport> reports;
  TrainCallbacks callbacks;
  callbacks.report = [&](const TrainReport& report) { reports.push_back(report); };
  const auto result = Run(Options(), "lora", callbacks);
  ASSERT_TRUE(result.ok()) << result.status();
  EXPECT_TRUE(result->model_path.empty());

  const auto transformer = LoadTransformer((dir_ / "model").string(), {}).model;
  const LoraFile file(result->lora_path, TargetsOf(*transformer));
  EXPECT_EQ(file.rank(), 4);
  EXPECT_EQ(file.modules(), 20);  // 2 layers: q, k, v, o of both attentions, and the feed-forward's two
  const TensorFile tensors = ReadSafetensors(result->lora_path);
  EXPECT_EQ(tensors.metadata.at("variant"), "pro");
  EXPECT_EQ(tensors.metadata.at("step"), "6");
  EXPECT_EQ(tensors.metadata.at("base_model_sha256").size(), 64u);
  // B starts at zero: whatever is there was learnt.
  EXPECT_GT(
      tensors.tensors.at("pipe.dit.blocks.0.self_attn.q.lora_B.default.weight").abs().max().item<float>(), 0);

  const TrainReport& last = reports.back();
  EXPECT_EQ(last.step, 6);
  EXPECT_EQ(last.samples, 12);
  EXPECT_TRUE(std::isfinite(last.loss));
  EXPECT_GT(last.gradient_norm, 0);
  EXPECT_EQ(last.learning_rate, 1e-3);
  EXPECT_EQ(last.banked_errors, 12);
  EXPECT_EQ(last.latent_bank_grids.size(), 50u);
  EXPECT_TRUE(last.noise_bank_grids.empty());
  EXPECT_GT(last.latent_bank_std, 0);
  EXPECT_EQ(last.videos, 6);
  EXPECT_EQ(last.checkpoint_step, 6);
}

// The claim that everything else rests on: a run that was stopped and continued is the run that was not.
TEST_F(TrainerTest, AContinuedRunEqualsAnUndisturbedOneBitForBit) {
  TrainOptions options = Options();
  options.recycling.noise_prob = 0.5;
  options.recycling.latent_prob = 0.5;
  options.recycling.buffer_size = 1;
  options.recycling.buffer_replacement = BankReplacement::kFifo;
  options.ema_decay = 0.9;
  options.gradient_accumulation_steps = 2;
  const auto whole = Run(options, "whole");
  ASSERT_TRUE(whole.ok()) << whole.status();

  int64_t seen = 0;
  EXPECT_EQ(Run(options, "parts", StopAfter(3, &seen)).status().code(), absl::StatusCode::kCancelled);
  EXPECT_TRUE(fs::exists(dir_ / "parts" / "checkpoints" / "step-00000003"));
  const auto continued = Run(options, "parts");
  ASSERT_TRUE(continued.ok()) << continued.status();
  EXPECT_EQ(Bytes(continued->lora_path), Bytes(whole->lora_path));
  for (const char* file : {"shared.safetensors", "rank-0.safetensors"}) {
    EXPECT_EQ(Bytes(dir_ / "parts" / "checkpoints" / "step-00000006" / file),
              Bytes(dir_ / "whole" / "checkpoints" / "step-00000006" / file))
        << file;
  }
}

TEST_F(TrainerTest, CheckpointingActivationsChangesNothing) {
  TrainOptions options = Options();
  options.max_steps = 2;
  options.gradient_checkpointing = false;
  const auto plain = Run(options, "plain");
  options.gradient_checkpointing = true;
  const auto checkpointed = Run(options, "checkpointed");
  ASSERT_TRUE(plain.ok() && checkpointed.ok()) << plain.status() << checkpointed.status();
  EXPECT_EQ(Bytes(plain->lora_path), Bytes(checkpointed->lora_path));
}

TEST_F(TrainerTest, EveryVariantTrains) {
  for (const Variant variant : {Variant::kFilm, Variant::kShot, Variant::kPro}) {
    TrainOptions options = Options();
    options.variant = variant;
    options.max_steps = 3;
    options.recycling.noise_prob = options.recycling.latent_prob = 1;
    options.recycling.clean_prob = 0;
    options.first_clip_prob = 0.4;
    if (variant == Variant::kFilm) options.recycling.reencode_prob = 0.5;
    const auto result = Run(options, "variant-" + std::to_string(static_cast<int>(variant)));
    ASSERT_TRUE(result.ok()) << result.status();
    EXPECT_EQ(result->last.step, 3);
  }
}

// The whole model on a handful of samples: the loss must fall, or nothing is learnt.
TEST_F(TrainerTest, FullTrainingLearnsAndExportsAModel) {
  TrainOptions options = Options();
  options.objective = Objective::kFull;
  options.max_steps = 120;
  options.checkpoint_every = 120;
  options.batch_size = 4;
  options.learning_rate.base = 2e-3;
  options.recycling.clean_prob = 1;
  std::vector<double> losses;
  TrainCallbacks callbacks;
  callbacks.report = [&](const TrainReport& report) {
    if (report.phase.empty()) losses.push_back(report.loss);
  };
  const auto result = Run(options, "full", callbacks);
  ASSERT_TRUE(result.ok()) << result.status();
  const auto mean = [&](size_t begin) {
    double sum = 0;
    for (size_t i = begin; i < begin + 30; ++i) sum += losses.at(i);
    return sum / 30;
  };
  EXPECT_LT(mean(90), 0.8 * mean(0));

  EngineOptions engine;
  engine.model_dir = result->model_path;
  engine.device = "cpu";
  engine.num_threads = 1;
  const auto loaded = Engine::Load(engine);
  ASSERT_TRUE(loaded.ok()) << loaded.status();
}

TEST_F(TrainerTest, CleanRunsInjectNothingAndStillBankAsAsked) {
  TrainOptions options = Options();
  options.recycling.clean_prob = 1;
  options.recycling.clean_buffer_update_prob = 0;
  const auto result = Run(options, "clean");
  ASSERT_TRUE(result.ok()) << result.status();
  std::vector<TrainReport> reports;
  TrainCallbacks callbacks;
  callbacks.report = [&](const TrainReport& report) { reports.push_back(report); };
  options.max_steps = 8;
  ASSERT_TRUE(Run(options, "clean", callbacks).ok());
  EXPECT_EQ(reports.back().clean_share, 1);
  EXPECT_EQ(reports.back().banked_errors, 0);
  EXPECT_EQ(reports.back().skipped_errors, 16);
}

TEST_F(TrainerTest, ACheckpointOfAnotherSpecificationIsRefused) {
  ASSERT_TRUE(Run(Options(), "other").ok());
  TrainOptions options = Options();
  options.fingerprint = "b";
  const absl::Status status = Run(options, "other").status();
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_NE(status.message().find("another specification"), std::string::npos) << status;
}

TEST_F(TrainerTest, BadOptionsAreNamed) {
  TrainOptions options = Options();
  options.recycling.reencode_prob = 0.5;
  absl::Status status = Run(options, "bad").status();
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_NE(status.message().find("reencode_prob"), std::string::npos) << status;

  options = Options();
  options.lora.targets = {"no_such_layer"};
  status = Run(options, "bad").status();
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_NE(status.message().find("no_such_layer"), std::string::npos) << status;

  options = Options();
  options.num_frames = 16;
  status = Run(options, "bad").status();
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_NE(status.message().find("num_frames"), std::string::npos) << status;
}

TEST_F(TrainerTest, StoppedWhileEncodingKeepsWhatIsEncoded) {
  TrainOptions options = Options();
  options.seed = 99;  // another cache
  int asked = 0;
  TrainCallbacks callbacks;
  callbacks.stop = [&] { return ++asked > 4; };
  EXPECT_EQ(Run(options, "stopped", callbacks).status().code(), absl::StatusCode::kCancelled);
  std::vector<std::string> lines;
  callbacks = {};
  callbacks.log = [&](const std::string& line) { lines.push_back(line); };
  ASSERT_TRUE(Run(options, "stopped", callbacks).ok());
  bool reused = false;
  for (const std::string& line : lines) {
    reused |= line.starts_with("data set:") && line.find(", 0 found encoded") == std::string::npos;
  }
  EXPECT_TRUE(reused);
}

}  // namespace
}  // namespace svi::engine
