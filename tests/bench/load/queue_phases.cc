// Making videos, and handing out their clips.
#include <cstdio>

#include "absl/strings/str_cat.h"
#include "absl/synchronization/notification.h"
#include "absl/time/clock.h"
#include "tests/bench/load/load_client.h"
#include "tests/bench/load/load_worker.h"
#include "tests/bench/load/phases.h"

namespace svi::load {
namespace {

// So many at once never find the server too busy (VideoServiceOptions::heavy_limit).
constexpr int kPoliteCallers = 16;

ServerSettings Settings(const Bench& bench) {
  ServerSettings settings;
  settings.database = bench.MakeDatabase();
  return settings;
}

// Waits until `count` of `clips` are made; the share of `limit` that it took.
void AwaitClips(const WorkerFigures& figures, int64_t count, absl::Duration limit) {
  const absl::Time deadline = absl::Now() + limit;
  while (figures.clips < count && absl::Now() < deadline) absl::SleepFor(absl::Milliseconds(5));
  if (figures.clips < count)
    std::fprintf(stderr, "only %d of %d clips were made\n", static_cast<int>(figures.clips),
                 static_cast<int>(count));
}

// A worker that waits for one lease, again and again, and when it came.
class Arrivals {
 public:
  explicit Arrivals(WorkerFigures* figures) {
    figures->assigned = [this](const v1::LeaseId&) {
      absl::MutexLock lock(&mu_);
      arrived_ = absl::Now();
    };
  }
  void Expect() {
    absl::MutexLock lock(&mu_);
    arrived_ = absl::InfiniteFuture();
  }
  absl::Time Await() {
    absl::MutexLock lock(&mu_);
    const auto there = [this]()
                           ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_) { return arrived_ != absl::InfiniteFuture(); };
    mu_.AwaitWithTimeout(absl::Condition(&there), absl::Seconds(100));
    return arrived_;
  }

 private:
  absl::Mutex mu_;
  absl::Time arrived_ ABSL_GUARDED_BY(mu_) = absl::InfiniteFuture();
};

}  // namespace

void MeasureCreates(const Bench& bench) {
  for (const int callers : bench.callers) {
    const ServerProcess server(Settings(bench));
    const CreateLoad warm(server, SpecOf(1), 1, 20);
    const absl::Duration cpu = server.CpuTime();
    const int count = callers == 1 ? 200 : 600;
    const CreateLoad load(server, SpecOf(1), callers, count);
    bench.report->Add({"creates",
                       bench.store(),
                       absl::StrCat(callers, " callers"),
                       {{"videos/s", load.rate},
                        {"p50 ms", load.latency.Millis(0.5)},
                        {"p99 ms", load.latency.Millis(0.99)},
                        {"server CPU ms/video", absl::ToDoubleMilliseconds(server.CpuTime() - cpu) / count},
                        {"refused/video", static_cast<double>(load.refused) / count}}});
  }
}

void MeasureDepth(const Bench& bench) {
  constexpr int kClips = 100;
  const ServerProcess server(Settings(bench));
  int waiting = 0;
  for (const int depth : bench.depths) {
    const CreateLoad load(server, SpecOf(1), kPoliteCallers, depth - waiting);
    // The server has taken in all of them when it gives out leases.
    WorkerPool pool(&server, bench.engine);
    pool.Add(1, {});
    AwaitClips(pool.figures(), kClips, absl::Seconds(60));
    const WorkerFigures& figures = pool.figures();
    bench.report->Add({"queue",
                       bench.store(),
                       absl::StrCat(depth, " waiting"),
                       {{"videos/s while filling", load.rate},
                        {"hand-over p50 ms", figures.hand_over.Millis(0.5)},
                        {"hand-over p99 ms", figures.hand_over.Millis(0.99)},
                        {"of which commit p50 ms", figures.commit.Millis(0.5)},
                        {"server MiB", static_cast<double>(server.ResidentBytes()) / (1 << 20)}}});
    waiting = depth - static_cast<int>(figures.clips);
  }
}

void MeasureIdle(const Bench& bench) {
  constexpr int kVideos = 50;
  const ServerProcess server(Settings(bench));
  const auto stub = v1::VideoService::NewStub(server.Connect());
  Samples whole;
  Samples after_answer;
  WorkerPool pool(&server, bench.engine);
  Arrivals arrivals(&pool.figures());
  pool.Add(1, {});
  for (int i = 0; i < kVideos; ++i) {
    arrivals.Expect();
    const absl::Time start = absl::Now();
    CreateOne(*stub, SpecOf(1));
    const absl::Time answered = absl::Now();
    const absl::Time arrived = arrivals.Await();
    whole.Add(arrived - start);
    after_answer.Add(std::max(arrived - answered, absl::ZeroDuration()));
    AwaitClips(pool.figures(), i + 1, absl::Seconds(20));
  }
  bench.report->Add({"idle server",
                     bench.store(),
                     "1 worker",
                     {{"create to assign p50 ms", whole.Millis(0.5)},
                      {"p99 ms", whole.Millis(0.99)},
                      {"answer to assign p50 ms", after_answer.Millis(0.5)}}});
}

void MeasureWorkers(const Bench& bench) {
  for (const bool at_once : {true, false}) {
    for (const int workers : bench.workers) {
      const ServerProcess server(Settings(bench));
      // A video for each, longer than it can be made.
      const CreateLoad videos(server, SpecOf(100'000), kPoliteCallers, workers);
      WorkerPool pool(&server, bench.engine);
      pool.Add(workers, {at_once ? absl::ZeroDuration() : absl::Seconds(2), absl::Milliseconds(250)});
      const WorkerFigures& figures = pool.figures();
      AwaitClips(figures, workers, absl::Seconds(60));
      const int64_t before = figures.clips;
      const absl::Duration cpu = server.CpuTime();
      const absl::Time start = absl::Now();
      absl::SleepFor(absl::Seconds(at_once ? bench.seconds : 2 * bench.seconds));
      const double seconds = absl::ToDoubleSeconds(absl::Now() - start);
      const auto clips = static_cast<double>(figures.clips - before);
      bench.report->Add({at_once ? "clips in no time" : "clips of 2 s",
                         bench.store(),
                         absl::StrCat(workers, " workers"),
                         {{"clips/s", clips / seconds},
                          {"hand-over p50 ms", figures.hand_over.Millis(0.5)},
                          {"hand-over p99 ms", figures.hand_over.Millis(0.99)},
                          {"of which commit p50 ms", figures.commit.Millis(0.5)},
                          {"server CPU ms/clip",
                           absl::ToDoubleMilliseconds(server.CpuTime() - cpu) / std::max(clips, 1.0)}}});
    }
  }
}

}  // namespace svi::load
