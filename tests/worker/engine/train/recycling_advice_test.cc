#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <functional>

#include "worker/engine/train/error_recycling.h"

namespace svi::engine {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

TEST(RecyclingAdviceTest, DefaultsAreValidForEveryVariant) {
  for (const Variant variant : {Variant::kPro, Variant::kFilm, Variant::kShot}) {
    ErrorRecyclingOptions options;
    options.clean_prob = DefaultCleanProb(variant);
    options.reencode_prob = DefaultReencodeProb(variant);
    EXPECT_NO_THROW(CheckErrorRecyclingOptions(options, 1));
    RecyclingContext context;
    context.variant = variant;
    EXPECT_THAT(RecyclingWarnings(options, context), IsEmpty());
  }
  EXPECT_EQ(DefaultCleanProb(Variant::kFilm), 0.5);
  EXPECT_EQ(DefaultCleanProb(Variant::kPro), 0.2);
}

TEST(RecyclingAdviceTest, NamesTheFieldThatIsOutOfItsLimits) {
  struct Case {
    const char* field;
    std::function<void(ErrorRecyclingOptions&)> spoil;
  };
  for (const Case& bad : {
           Case{"noise_prob", [](auto& o) { o.noise_prob = -0.1; }},
           Case{"latent_prob", [](auto& o) { o.latent_prob = 1.1; }},
           Case{"y_prob", [](auto& o) { o.y_prob = std::nan(""); }},
           Case{"clean_prob", [](auto& o) { o.clean_prob = 2; }},
           Case{"clean_buffer_update_prob", [](auto& o) { o.clean_buffer_update_prob = -1; }},
           Case{"error_modulate_factor", [](auto& o) { o.error_modulate_factor = 1.5; }},
           Case{"p_motion_threshold", [](auto& o) { o.p_motion_threshold = 3; }},
           Case{"reencode_prob", [](auto& o) { o.reencode_prob = -3; }},
           Case{"buffer_size", [](auto& o) { o.buffer_size = 0; }},
           Case{"buffer_bytes", [](auto& o) { o.buffer_bytes = 1000; }},
           Case{"buffer_warmup_iter", [](auto& o) { o.buffer_warmup_iter = -1; }},
           Case{"y_error_num", [](auto& o) { o.y_error_num = 3; }},
           Case{"y_error_timestep_min", [](auto& o) { o.y_error_timestep_min = -1; }},
           Case{"y_error_timestep_max",
                [](auto& o) { o.y_error_timestep_min = 10, o.y_error_timestep_max = 9; }},
       }) {
    ErrorRecyclingOptions options;
    bad.spoil(options);
    try {
      CheckErrorRecyclingOptions(options, 2);
      ADD_FAILURE() << bad.field << " was accepted";
    } catch (const std::invalid_argument& error) {
      EXPECT_THAT(error.what(), HasSubstr(std::string("error_recycling.") + bad.field + " must be"));
    }
  }
}

TEST(RecyclingAdviceTest, SaysWhereARunDepartsFromTheAuthorsAdvice) {
  ErrorRecyclingOptions options;
  options.latent_prob = 0.9;
  options.clean_prob = 0.5;
  RecyclingContext context;
  context.parameters = 5'000'000'000;
  context.effective_batch = 8;
  context.vae_reduced_precision = context.vae_tiled = true;
  context.anchor_inside_clip = true;
  EXPECT_THAT(RecyclingWarnings(options, context),
              ElementsAre(HasSubstr("history alone"), HasSubstr("the effective batch, 8, is below 64"),
                          HasSubstr("reduced precision and tiled"), HasSubstr("outside it"),
                          HasSubstr("clean_prob 0.5 is above 0.2")));
  context.variant = Variant::kFilm;
  context.vae_reduced_precision = false;
  context.parameters = 14'000'000'000;
  EXPECT_THAT(RecyclingWarnings(options, context),
              ElementsAre(HasSubstr("effective batch"), HasSubstr("is tiled")));
}

TEST(RecyclingAdviceTest, ARunThatInjectsNothingIsNotWarnedOfItsErrors) {
  ErrorRecyclingOptions options;
  options.latent_prob = 0.9;
  options.clean_prob = 1;
  RecyclingContext context;
  context.effective_batch = 1;
  EXPECT_THAT(RecyclingWarnings(options, context), IsEmpty());
}

}  // namespace
}  // namespace svi::engine
