// Limits and defaults of a TrainingSpec.
#include "client/training_spec.h"

#include <gmock/gmock.h>
#include <google/protobuf/text_format.h>
#include <gtest/gtest.h>

#include <limits>
#include <string>

namespace svi {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::Field;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

// A good spec, changed by `text`.
v1::TrainingSpec Spec(const std::string& text) {
  v1::TrainingSpec spec;
  EXPECT_TRUE(google::protobuf::TextFormat::ParseFromString("dataset: 'scenes' max_steps: 1000", &spec));
  EXPECT_TRUE(google::protobuf::TextFormat::MergeFromString(text, &spec)) << text;
  return spec;
}

TEST(CheckTrainingSpecTest, TheLeastThatIsNeeded) {
  EXPECT_THAT(CheckTrainingSpec(Spec("")), IsEmpty());
  EXPECT_THAT(CheckTrainingSpec({}),
              ElementsAre(Field(&SpecFault::field, "dataset"), Field(&SpecFault::field, "max_steps")));
}

TEST(CheckTrainingSpecTest, LimitsThemselvesAreGood) {
  for (const char* good :
       {"max_steps: 1",
        "max_steps: 10000000",
        "lora_name: 'Ink_1.0-x'",
        "width: 32 height: 4096",
        "num_frames: 9",
        "num_frames: 257",
        "samples_per_video: 1000",
        "max_stride: 16",
        "flow_shift: 0.1",
        "flow_shift: 100",
        "first_clip_prob: 0 prompt_dropout: 1",
        "batch_size: 1024 gradient_accumulation_steps: 1024",
        "learning_rate: 1 learning_rate_min: 1",
        "warmup_steps: 1000",
        "max_steps: 10 checkpoint_every: 10",
        "adam_beta1: 0 adam_beta2: 0",
        "weight_decay: 0 max_grad_norm: 0",
        "seed: 4611686018427387904",
        "lora_rank: 1024 lora_alpha: 0.5",
        "lora_targets: ['q', 'ffn.2']",
        "variant: VARIANT_FILM error_recycling { y_error_num: 2 }",
        "error_recycling { y_error_timestep_min: 400 y_error_timestep_max: 400 buffer_bytes: 1048576 }",
        "error_recycling { noise_prob: 1 latent_prob: 1 y_prob: 1 clean_prob: 1 buffer_size: 100000 }"}) {
    EXPECT_THAT(CheckTrainingSpec(Spec(good)), IsEmpty()) << good;
  }
}

TEST(CheckTrainingSpecTest, EachLimitNamesItsField) {
  const std::pair<const char*, const char*> cases[] = {
      {"max_steps: 10000001", "max_steps"},
      {"lora_name: 'a/b'", "lora_name"},
      {"objective: 9", "objective"},
      {"variant: 9", "variant"},
      {"width: 64", "height"},
      {"width: 33 height: 64", "width"},
      {"width: 64 height: 4128", "height"},
      {"num_frames: 5", "num_frames"},
      {"num_frames: 18", "num_frames"},
      {"num_frames: 261", "num_frames"},
      {"samples_per_video: 0", "samples_per_video"},
      {"max_stride: 17", "max_stride"},
      {"flow_shift: nan", "flow_shift"},
      {"first_clip_prob: 1.01", "first_clip_prob"},
      {"prompt_dropout: -0.1", "prompt_dropout"},
      {"batch_size: 0", "batch_size"},
      {"gradient_accumulation_steps: 1025", "gradient_accumulation_steps"},
      {"learning_rate: 1.5", "learning_rate"},
      {"learning_rate_min: 0.01", "learning_rate_min"},
      {"learning_rate_schedule: 7", "learning_rate_schedule"},
      {"loss_weighting: 7", "loss_weighting"},
      {"warmup_steps: 1001", "warmup_steps"},
      {"weight_decay: inf", "weight_decay"},
      {"adam_beta1: 1", "adam_beta1"},
      {"adam_beta2: nan", "adam_beta2"},
      {"adam_epsilon: 0", "adam_epsilon"},
      {"max_grad_norm: -1", "max_grad_norm"},
      {"seed: 4611686018427387905", "seed"},
      {"ema_decay: 1", "ema_decay"},
      {"lora_rank: 0", "lora_rank"},
      {"lora_alpha: 0", "lora_alpha"},
      {"lora_targets: 'norm_q'", "lora_targets[0]"},
      {"lora_targets: ['q', 'v', 'q']", "lora_targets[2]"},
      {"error_recycling { noise_prob: 2 }", "error_recycling.noise_prob"},
      {"error_recycling { latent_prob: nan }", "error_recycling.latent_prob"},
      {"error_recycling { y_prob: -1 }", "error_recycling.y_prob"},
      {"error_recycling { clean_prob: 1.5 }", "error_recycling.clean_prob"},
      {"error_recycling { clean_buffer_update_prob: 2 }", "error_recycling.clean_buffer_update_prob"},
      {"error_recycling { error_modulate_factor: 2 }", "error_recycling.error_modulate_factor"},
      {"error_recycling { buffer_size: 0 }", "error_recycling.buffer_size"},
      {"error_recycling { buffer_bytes: 1048575 }", "error_recycling.buffer_bytes"},
      {"error_recycling { buffer_replacement_strategy: 5 }", "error_recycling.buffer_replacement_strategy"},
      {"error_recycling { buffer_warmup_iter: 100001 }", "error_recycling.buffer_warmup_iter"},
      {"error_recycling { y_error_sample_from: 4 }", "error_recycling.y_error_sample_from"},
      {"error_recycling { y_error_timestep_min: 600 y_error_timestep_max: 500 }",
       "error_recycling.y_error_timestep_min"},
      {"error_recycling { y_error_timestep_max: 1001 }", "error_recycling.y_error_timestep_max"},
      {"error_recycling { y_error_num: 2 }", "error_recycling.y_error_num"},
      {"variant: VARIANT_FILM error_recycling { y_error_num: 3 }", "error_recycling.y_error_num"},
      {"error_recycling { p_motion_threshold: 2 }", "error_recycling.p_motion_threshold"},
      {"error_recycling { injected_error: 3 }", "error_recycling.injected_error"},
      {"error_recycling { reencode_prob: -1 }", "error_recycling.reencode_prob"},
      {"checkpoint_every: 1001", "checkpoint_every"},
      {"checkpoint_every: 0", "checkpoint_every"},
      {"keep_checkpoints: 0", "keep_checkpoints"},
      {"log_every: 100001", "log_every"},
  };
  for (const auto& [text, field] : cases) {
    EXPECT_THAT(CheckTrainingSpec(Spec(text)), ElementsAre(Field(&SpecFault::field, field))) << text;
  }
}

TEST(CheckTrainingSpecTest, TextIsBoundedUtf8) {
  auto spec = Spec("");
  spec.set_dataset(std::string(1024, 'x'));
  EXPECT_THAT(CheckTrainingSpec(spec), IsEmpty());
  spec.set_dataset(std::string(1025, 'x'));
  EXPECT_THAT(CheckTrainingSpec(spec), ElementsAre(AllOf(Field(&SpecFault::field, "dataset"),
                                                         Field(&SpecFault::what, HasSubstr("1..1024")))));
  for (const std::string& bad : {std::string("\xFF"), std::string("a\0b", 3)}) {
    spec.set_dataset(bad);
    EXPECT_THAT(CheckTrainingSpec(spec), ElementsAre(Field(&SpecFault::field, "dataset")));
  }
}

TEST(CheckTrainingSpecTest, AllFaultsAtOnceWithWhatIsAllowed) {
  EXPECT_THAT(CheckTrainingSpec(Spec("batch_size: 0 error_recycling { y_prob: 2 } log_every: 0")),
              ElementsAre(SpecFault{"batch_size", "must be 1..1024, is 0"},
                          SpecFault{"error_recycling.y_prob", "must be 0..1, is 2"},
                          SpecFault{"log_every", "must be 1..100000, is 0"}));
}

TEST(WithDefaultsTest, FillsWhatDoesNotDependOnTheModel) {
  const auto spec = WithDefaults(Spec(""));
  EXPECT_EQ(spec.objective(), v1::OBJECTIVE_LORA);
  EXPECT_EQ(spec.variant(), v1::VARIANT_PRO);
  EXPECT_EQ(spec.learning_rate(), 1e-4);
  EXPECT_EQ(spec.lora_rank(), 128U);
  EXPECT_EQ(spec.lora_alpha(), 128.0);
  EXPECT_THAT(spec.lora_targets(), ElementsAre("q", "k", "v", "o", "ffn.0", "ffn.2"));
  EXPECT_TRUE(spec.gradient_checkpointing());
  EXPECT_EQ(spec.checkpoint_every(), 500U);
  EXPECT_EQ(spec.prompt_dropout(), 0.0);
  EXPECT_EQ(spec.error_recycling().y_prob(), 0.9);
  EXPECT_EQ(spec.error_recycling().latent_prob(), 0.0);
  EXPECT_EQ(spec.error_recycling().clean_prob(), 0.2);
  EXPECT_EQ(spec.error_recycling().reencode_prob(), 0.0);
  EXPECT_EQ(spec.error_recycling().buffer_bytes(), uint64_t{16} << 30);
  EXPECT_EQ(spec.error_recycling().y_error_num(), 1U);
  EXPECT_FALSE(spec.has_width() || spec.has_height() || spec.has_num_frames() || spec.has_flow_shift());
  EXPECT_TRUE(spec.lora_name().empty());
  EXPECT_THAT(CheckTrainingSpec(spec), IsEmpty());
}

TEST(WithDefaultsTest, DependOnVariantObjectiveAndLength) {
  const auto film = WithDefaults(Spec("variant: VARIANT_FILM objective: OBJECTIVE_FULL max_steps: 20"));
  EXPECT_EQ(film.error_recycling().clean_prob(), 0.5);
  EXPECT_EQ(film.error_recycling().reencode_prob(), 0.1);
  EXPECT_EQ(film.error_recycling().y_error_num(), 2U);
  EXPECT_EQ(film.prompt_dropout(), 0.1);
  EXPECT_EQ(film.checkpoint_every(), 20U);
}

TEST(WithDefaultsTest, WhatIsSaidStays) {
  const auto spec =
      WithDefaults(Spec("lora_rank: 16 seed: 7 gradient_checkpointing: false lora_targets: 'q' "
                        "error_recycling { y_prob: 0 clean_prob: 1 }"));
  EXPECT_EQ(spec.lora_alpha(), 16.0);
  EXPECT_EQ(spec.seed(), 7U);
  EXPECT_FALSE(spec.gradient_checkpointing());
  EXPECT_THAT(spec.lora_targets(), ElementsAre("q"));
  EXPECT_EQ(spec.error_recycling().y_prob(), 0.0);
  EXPECT_EQ(spec.error_recycling().clean_prob(), 1.0);
}

}  // namespace
}  // namespace svi
