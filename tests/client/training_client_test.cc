// TrainingClient against a server that breaks connections at chosen points.
#include "client/training_client.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <iterator>
#include <thread>
#include <vector>

#include "tests/client/scripted_service.h"
#include "tests/client/scripted_training.h"

namespace svi::client {
namespace {

using ::testing::ElementsAre;

class TrainingClientTest : public ::testing::Test {
 protected:
  TrainingClient MakeClient() {
    ClientOptions options;
    options.endpoint.server = service_.address();
    options.initial_backoff = absl::Milliseconds(1);
    options.max_backoff = absl::Milliseconds(2);
    return TrainingClient(options, &interrupt_);
  }

  ScriptedTraining training_;
  ScriptedService service_{1, &training_};
  Interrupt interrupt_;
};

TEST_F(TrainingClientTest, AWatchThatBreaksAtEveryPointMissesAndRepeatsNothing) {
  {
    absl::MutexLock lock(&training_.mutex_);
    training_.watch_faults = {0, 1, 1, 2, 5, 4, 0};
  }
  TrainingClient client = MakeClient();
  std::vector<uint64_t> seen;
  const auto run = client.Watch("r", 0, [&](const v1::TrainingEvent& event) {
    if (event.sequence() != 0) seen.push_back(event.sequence());
    return absl::OkStatus();
  });
  ASSERT_TRUE(run.ok()) << run.status();
  EXPECT_EQ(run->state(), v1::TRAINING_STATE_SUCCEEDED);
  EXPECT_THAT(seen, ElementsAre(1, 2, 3, 4, 5));
}

TEST_F(TrainingClientTest, AnInterruptEndsAWatch) {
  {
    absl::MutexLock lock(&training_.mutex_);
    training_.hold_watch = true;
  }
  TrainingClient client = MakeClient();
  std::thread stop([this] {
    {
      absl::MutexLock lock(&training_.mutex_);
      training_.mutex_.Await(absl::Condition(&training_.holding));
    }
    interrupt_.Trigger();
  });
  EXPECT_TRUE(absl::IsCancelled(
      client.Watch("r", 0, [](const v1::TrainingEvent&) { return absl::OkStatus(); }).status()));
  stop.join();
}

TEST_F(TrainingClientTest, NamesMayBeShort) {
  EXPECT_EQ(TrainingRunName("r"), "trainingRuns/r");
  EXPECT_EQ(TrainingRunName("trainingRuns/r"), "trainingRuns/r");
  EXPECT_EQ(LoraResourceName("boats"), "loras/boats");
  EXPECT_EQ(LoraResourceName("loras/boats"), "loras/boats");
  TrainingClient client = MakeClient();
  EXPECT_EQ(client.GetTrainingRun("r")->name(), "trainingRuns/r");
  EXPECT_EQ(client.GetLora("boats")->rank(), 16u);
}

}  // namespace
}  // namespace svi::client
