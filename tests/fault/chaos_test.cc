// Everything at once: parts of a busy fleet are taken away at random, and no video suffers.
#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <cstdlib>
#include <deque>
#include <iostream>
#include <nlohmann/json.hpp>
#include <random>
#include <thread>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "tests/fault/client.h"
#include "tests/fault/fleet.h"
#include "tests/fault/injector.h"
#include "tests/fault/invariants.h"
#include "tests/fault/recipes.h"

namespace svi::fault {
namespace {

constexpr int kClients = 6;
constexpr uint32_t kShortSeconds = 40;
// From here on it is worth waiting for the sweeper, whose grace is a minute.
constexpr uint32_t kLongSeconds = 300;
constexpr absl::Duration kSweepLimit = absl::Minutes(3);

uint32_t FromEnvironment(const char* name, uint32_t otherwise) {
  const char* const text = std::getenv(name);
  uint32_t value = otherwise;
  EXPECT_TRUE(text == nullptr || absl::SimpleAtoi(text, &value)) << name << " is not a number";
  return value;
}

// Orphans go away by themselves.
void AwaitSweep(Fleet& fleet, Outcome& outcome) {
  const absl::Time give_up = absl::Now() + kSweepLimit;
  while (outcome.orphans > 0 && absl::Now() < give_up) {
    absl::SleepFor(absl::Seconds(1));
    CheckArtifacts(fleet, outcome);
  }
  EXPECT_EQ(outcome.orphans, 0);
}

TEST(Chaos, NoVideoIsLostDoubledOrChanged) {
  const uint32_t seed = FromEnvironment("SVI_FAULT_SEED", std::random_device{}());
  const uint32_t seconds = FromEnvironment("SVI_FAULT_SECONDS", kShortSeconds);
  std::cout << "chaos: SVI_FAULT_SEED=" << seed << " SVI_FAULT_SECONDS=" << seconds << std::endl;
  std::cout << "chaos: networks: " << (Network::Unavailable().empty() ? "yes" : Network::Unavailable())
            << std::endl;
  const std::vector<Recipe> recipes = MakeRecipes();
  ASSERT_FALSE(HasFailure());

  const absl::Time start = absl::Now();
  Fleet fleet;
  Injector injector(&fleet, seed);
  ASSERT_FALSE(HasFailure());
  std::deque<Client> clients;
  std::vector<std::thread> threads;
  std::atomic<bool> stop = false;
  for (int i = 0; i < kClients; ++i) {
    clients.emplace_back(absl::StrCat("client", i), fleet.Addresses(), &recipes, seed + 1 + i);
  }
  for (Client& client : clients) threads.emplace_back([&client, &stop] { client.Run(stop); });
  injector.Run(absl::Now() + absl::Seconds(seconds));
  stop = true;
  // What could not start because a store was away still has to.
  std::atomic<bool> checked = false;
  std::thread keeper([&fleet, &checked] {
    while (!checked) {
      fleet.Tend();
      absl::SleepFor(absl::Milliseconds(100));
    }
  });
  for (std::thread& thread : threads) thread.join();

  std::vector<Asked> asked;
  ClientFigures figures;
  for (const Client& client : clients) {
    asked.insert(asked.end(), client.asked().begin(), client.asked().end());
    figures.calls_again += client.figures().calls_again;
    figures.watches_again += client.figures().watches_again;
  }
  Client auditor("auditor", fleet.Addresses(), &recipes, seed);
  Outcome outcome;
  const std::vector<v1::Video> videos = AwaitAll(auditor, asked);
  const absl::Duration took = absl::Now() - start;
  CheckNoneLostOrDoubled(auditor, asked);
  for (size_t i = 0; i < videos.size(); ++i) {
    CheckVideo(asked[i], videos[i], outcome);
    CheckBits(auditor, asked[i], videos[i]);
  }
  CheckArtifacts(fleet, outcome);
  const int orphans = outcome.orphans;
  if (seconds >= kLongSeconds) AwaitSweep(fleet, outcome);
  checked = true;
  keeper.join();
  EXPECT_GT(outcome.clips, 0);

  const nlohmann::json line = {{"seed", seed},
                               {"seconds", absl::ToInt64Seconds(took)},
                               {"videos", asked.size()},
                               {"succeeded", outcome.succeeded},
                               {"cancelled", outcome.cancelled},
                               {"failed", outcome.failed},
                               {"clips", outcome.clips},
                               {"clips_made_again", outcome.clips_again},
                               {"attempts", outcome.attempts},
                               {"faults", injector.counts()},
                               {"calls_made_again", figures.calls_again},
                               {"watches_resumed", figures.watches_again},
                               {"orphans_at_the_end", orphans},
                               {"held", !HasFailure()}};
  std::cout << line.dump() << std::endl;
}

}  // namespace
}  // namespace svi::fault
