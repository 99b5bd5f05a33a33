#include "tests/fault/injector.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <csignal>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"

namespace svi::fault {
namespace {

// Parts that are away at the same time.
constexpr size_t kMostTaken = 3;
constexpr absl::Duration kShortestPause = absl::Milliseconds(100);
constexpr absl::Duration kLongestPause = absl::Milliseconds(2500);
constexpr absl::Duration kShortestFault = absl::Milliseconds(50);
// A lease ends after 3 s of silence: some are shorter, some longer.
constexpr absl::Duration kWorkerFault = absl::Seconds(6);
constexpr absl::Duration kServerFault = absl::Seconds(5);
constexpr absl::Duration kStoreFault = absl::Seconds(4);
// Then it is killed.
constexpr absl::Duration kEndFault = absl::Seconds(12);

}  // namespace

Injector::Injector(Fleet* fleet, uint32_t seed) : fleet_(*fleet), random_(seed) {
  for (Service& server : fleet_.servers) AddFaultsOf(server, "server");
  for (Service& worker : fleet_.workers) AddFaultsOf(worker, "worker");
  for (size_t i = 0; i < fleet_.networks.size(); ++i) {
    AddFaultsOf(fleet_.networks[i], fleet_.workers[i].name());
  }
  AddFaultsOfStores();
}

void Injector::AddFaultsOf(Service& service, const std::string& kind) {
  const absl::Duration longest = kind == "server" ? kServerFault : kWorkerFault;
  faults_.push_back({kind + " killed", service.name(), longest, [&service] { service.Kill(); },
                     [&service] { service.Start(); }});
  faults_.push_back({kind + " stopped", service.name(), longest, [&service] { service.Signal(SIGSTOP); },
                     [&service] { service.Signal(SIGCONT); }});
  faults_.push_back({kind + " told to end", service.name(), kEndFault, [&service] { service.Terminate(); },
                     [&service] { service.Start(); }});
}

void Injector::AddFaultsOf(Network& network, const std::string& worker) {
  faults_.push_back({"worker cut off", worker, kWorkerFault, [&network] { network.Cut(); },
                     [&network] { network.Mend(); }});
  faults_.push_back({"worker's line slow", worker, kWorkerFault, [&network] { network.Slow(); },
                     [&network] { network.Mend(); }});
}

void Injector::AddFaultsOfStores() {
  PostgresServer& postgres = fleet_.postgres;
  const auto start = [&postgres] { postgres.Start(); };
  faults_.push_back(
      {"PostgreSQL killed", "PostgreSQL", kStoreFault, [&postgres] { postgres.Kill(); }, start});
  faults_.push_back({"PostgreSQL ended at once", "PostgreSQL", kStoreFault,
                     [&postgres] { postgres.Kill(SIGQUIT); }, start});
  faults_.push_back({"PostgreSQL stopped", "PostgreSQL", kStoreFault,
                     [&postgres] { postgres.SignalAll(SIGSTOP); },
                     [&postgres] { postgres.SignalAll(SIGCONT); }});
  S3Server& s3 = fleet_.s3;
  faults_.push_back({"S3 killed", "S3", kStoreFault, [&s3] { s3.Kill(); }, [&s3] { s3.Restart(); }});
  faults_.push_back(
      {"S3 stopped", "S3", kStoreFault, [&s3] { s3.Signal(SIGSTOP); }, [&s3] { s3.Signal(SIGCONT); }});
}

absl::Duration Injector::Random(absl::Duration shortest, absl::Duration longest) {
  const int64_t micros = std::uniform_int_distribution<int64_t>(absl::ToInt64Microseconds(shortest),
                                                                absl::ToInt64Microseconds(longest))(random_);
  return absl::Microseconds(micros);
}

void Injector::TakeOne() {
  const Fault& fault = faults_[std::uniform_int_distribution<size_t>(0, faults_.size() - 1)(random_)];
  const absl::Duration time = Random(kShortestFault, fault.longest);
  const bool busy = std::any_of(taken_.begin(), taken_.end(),
                                [&fault](const Taken& taken) { return taken.part == fault.part; });
  if (busy || taken_.size() >= kMostTaken) return;
  fprintf(stderr, "%s  %s: %s for %s\n",
          absl::FormatTime("%H:%M:%E2S", absl::Now(), absl::UTCTimeZone()).c_str(), fault.part.c_str(),
          fault.kind.c_str(), absl::FormatDuration(time).c_str());
  ++counts_[fault.kind];
  fault.take();
  taken_.push_back({fault.part, absl::Now() + time, fault.give});
}

void Injector::GiveBack(absl::Time now) {
  for (auto taken = taken_.begin(); taken != taken_.end();) {
    if (taken->until > now) {
      ++taken;
      continue;
    }
    taken->give();
    taken = taken_.erase(taken);
  }
}

void Injector::Run(absl::Time end) {
  absl::Time next = absl::Now();
  while (absl::Now() < end && !testing::Test::HasFailure()) {
    if (absl::Now() >= next) {
      TakeOne();
      next = absl::Now() + Random(kShortestPause, kLongestPause);
    }
    absl::SleepFor(kShortestFault);
    GiveBack(absl::Now());
    fleet_.Tend();
  }
  GiveBack(absl::InfiniteFuture());
}

}  // namespace svi::fault
