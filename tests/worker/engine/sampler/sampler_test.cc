#include "worker/engine/sampler/sampler.h"

#include <cmath>
#include <limits>
#include <stdexcept>

#include "worker/engine/weights/safetensors.h"

namespace svi::engine {
namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();

struct Run {
  Sampler kind;
  const char* name;
  int steps;
  double shift;
};

std::vector<Run> AllRuns() {
  std::vector<Run> runs;
  for (const auto& [kind, name] :
       {std::pair(Sampler::kUniPc, "unipc"), std::pair(Sampler::kEuler, "euler")}) {
    for (const auto& [steps, shift] :
         {std::pair(1, 5.0), {2, 5.0}, {4, 5.0}, {20, 3.0}, {50, 5.0}, {50, 8.0}}) {
      runs.push_back({kind, name, steps, shift});
    }
  }
  return runs;
}

// The fixture: Wan's FlowUniPCMultistepScheduler and SVI's FlowMatchScheduler, run by tests/golden/sampler.
class SamplerParity : public ::testing::TestWithParam<Run> {
 protected:
  at::Tensor Golden(const std::string& what) const {
    static const auto tensors =
        ReadSafetensors(SVI_SOURCE_DIR "/tests/golden/sampler/sampler.safetensors").tensors;
    return tensors.at(std::string(GetParam().name) + ".steps" + std::to_string(GetParam().steps) + "_shift" +
                      std::to_string(static_cast<int>(GetParam().shift)) + "." + what);
  }
};

TEST_P(SamplerParity, Schedule) {
  const auto sampler = MakeSampler(GetParam().kind, GetParam().steps, GetParam().shift);
  const Schedule& schedule = sampler->schedule();
  const auto steps = static_cast<size_t>(GetParam().steps);
  const at::Tensor sigmas = Golden("sigmas").to(at::kDouble);
  const at::Tensor timesteps = Golden("timesteps").to(at::kDouble);
  ASSERT_EQ(schedule.sigmas.size(), steps + 1);
  ASSERT_EQ(schedule.timesteps.size(), steps);
  EXPECT_EQ(schedule.sigmas.back(), 0.0);
  for (size_t i = 0; i < steps; ++i) {
    EXPECT_NEAR(schedule.sigmas[i], sigmas[i].item<double>(), 1e-6) << i;
    // Wan's are whole numbers and have to be exact; SVI's are float32 near 1000.
    const double tolerance = GetParam().kind == Sampler::kUniPc ? 0.0 : 2e-4;
    EXPECT_NEAR(schedule.timesteps[i], timesteps[i].item<double>(), tolerance) << i;
  }
}

// The reference's levels come out of files as float32, its timesteps were formed before.
TEST_P(SamplerParity, LevelsAloneGiveTheTimesteps) {
  const auto steps = static_cast<size_t>(GetParam().steps);
  const at::Tensor sigmas = Golden("sigmas"), timesteps = Golden("timesteps").to(at::kDouble);
  std::vector<double> levels;
  for (size_t i = 0; i < steps; ++i) levels.push_back(sigmas[i].item<float>());
  levels.push_back(0.0);
  const Schedule schedule = ScheduleOf(GetParam().kind, levels);
  ASSERT_EQ(schedule.timesteps.size(), steps);
  for (size_t i = 0; i < steps; ++i) EXPECT_EQ(schedule.timesteps[i], timesteps[i].item<double>()) << i;
}

TEST_P(SamplerParity, Trajectory) {
  const auto sampler = MakeSampler(GetParam().kind, GetParam().steps, GetParam().shift);
  const at::Tensor golden = Golden("x");
  at::Tensor x = golden[0];
  for (int i = 0; i < GetParam().steps; ++i) {
    const double t = sampler->schedule().timesteps[static_cast<size_t>(i)];
    x = sampler->Step(x * 0.3 + static_cast<float>(std::sin(t / 1000)), x);
    EXPECT_LE((x - golden[i + 1]).abs().max().item<double>(), 3e-6) << "step " << i;
  }
  EXPECT_THROW((void)sampler->Step(x, x), std::logic_error);
}

INSTANTIATE_TEST_SUITE_P(All, SamplerParity, ::testing::ValuesIn(AllRuns()), [](const auto& info) {
  return std::string(info.param.name) + std::to_string(info.param.steps) + "Shift" +
         std::to_string(static_cast<int>(info.param.shift));
});

// With one clean sample behind every velocity, any consistent sampler has to end in it.
TEST(FlowSampler, EndsInTheCleanSample) {
  for (const Sampler kind : {Sampler::kUniPc, Sampler::kEuler}) {
    const auto sampler = MakeSampler(kind, 7, 5.0);
    const at::Tensor clean = at::linspace(-2, 2, 24).view({2, 3, 4}), noise = at::ones({2, 3, 4});
    const auto& sigmas = sampler->schedule().sigmas;
    at::Tensor x = clean * (1 - sigmas[0]) + noise * sigmas[0];
    for (size_t i = 0; i + 1 < sigmas.size(); ++i) {
      EXPECT_LE((x - (clean * (1 - sigmas[i]) + noise * sigmas[i])).abs().max().item<double>(), 2e-6) << i;
      x = sampler->Step(noise - clean, x);
    }
    EXPECT_LE((x - clean).abs().max().item<double>(), 2e-6);
  }
}

// The chain overwrites the clean slots of what a step returns, and of what it gave to the one before.
TEST(FlowSampler, IsNotDisturbedByChangesToItsArgumentsAndResults) {
  for (const Sampler kind : {Sampler::kUniPc, Sampler::kEuler}) {
    const auto changed = MakeSampler(kind, 5, 5.0), left = MakeSampler(kind, 5, 5.0);
    at::Tensor x = at::linspace(-1, 1, 6);
    for (int i = 0; i < 5; ++i) {
      at::Tensor sample = x.clone(), velocity = x * 0.3 + 0.1;
      at::Tensor result = changed->Step(velocity, sample);
      x = left->Step(x * 0.3 + 0.1, x.clone());
      EXPECT_TRUE(at::equal(result, x)) << i;
      sample.zero_();
      velocity.zero_();
      result.zero_();
    }
  }
}

TEST(FlowSampler, KeepsTheSamplesDtypeAndChecksShapes) {
  for (const Sampler kind : {Sampler::kUniPc, Sampler::kEuler}) {
    const auto sampler = MakeSampler(kind, 3, 5.0);
    EXPECT_THROW((void)sampler->Step(at::ones({2}), at::ones({3})), std::invalid_argument);
    EXPECT_EQ(sampler->Step(at::ones({3}, at::kBFloat16), at::ones({3})).scalar_type(), at::kFloat);
  }
}

TEST(FlowSampler, RefusesImpossibleSchedules) {
  for (const Sampler kind : {Sampler::kUniPc, Sampler::kEuler}) {
    for (const int steps : {0, -1, 10001}) EXPECT_THROW(MakeSampler(kind, steps, 5.0), std::invalid_argument);
    for (const double shift : {0.0, -1.0, kInfinity, std::nan("")}) {
      EXPECT_THROW(MakeSampler(kind, 4, shift), std::invalid_argument);
    }
  }
}

TEST(ScheduleOf, RefusesLevelsThatDoNotFallToZero) {
  for (const Sampler kind : {Sampler::kUniPc, Sampler::kEuler}) {
    for (const std::vector<double>& levels : std::vector<std::vector<double>>{
             {}, {0.0}, {1.5, 0.0}, {0.5, 0.5, 0.0}, {0.5, 0.25}, {0.5, 0.0, -0.5}, {std::nan(""), 0.0}}) {
      EXPECT_THROW((void)ScheduleOf(kind, levels), std::invalid_argument) << levels.size();
    }
  }
  EXPECT_THROW((void)ScheduleOf(Sampler::kUniPc, {1.0, 0.0}), std::invalid_argument);
  EXPECT_EQ(ScheduleOf(Sampler::kEuler, {1.0, 0.0}).timesteps, std::vector<double>{1000.0});
}

}  // namespace
}  // namespace svi::engine
