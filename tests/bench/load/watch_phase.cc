// Many watchers, and events that flow.
#include <map>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "tests/bench/load/load_client.h"
#include "tests/bench/load/load_worker.h"
#include "tests/bench/load/phases.h"

namespace svi::load {
namespace {

constexpr int kVideos = 20;  // each has a worker, and its share of the watchers
constexpr Pace kPace = {absl::Seconds(1), absl::Milliseconds(500)};

// When workers said that clips were done. Thread-safe.
class DoneTimes {
 public:
  void Sent(const v1::LeaseId& lease) {
    absl::MutexLock lock(&mu_);
    times_[{lease.video(), lease.clip_index()}] = absl::Now();
  }
  absl::Duration Since(const std::string& video, uint32_t clip) const {
    absl::MutexLock lock(&mu_);
    const auto found = times_.find({video, clip});
    return found == times_.end() ? absl::ZeroDuration() : absl::Now() - found->second;
  }

 private:
  mutable absl::Mutex mu_;
  std::map<std::pair<std::string, uint32_t>, absl::Time> times_ ABSL_GUARDED_BY(mu_);
};

}  // namespace

void MeasureWatchers(const Bench& bench) {
  for (const int watchers : bench.watchers) {
    ServerSettings settings;
    settings.database = bench.MakeDatabase();
    const ServerProcess server(settings);
    const CreateLoad videos(server, SpecOf(100'000), 1, kVideos);
    DoneTimes done;
    Samples progress_late;
    Samples clip_late;
    WorkerPool workers(&server, bench.engine);
    workers.figures().done_sent = [&done](const v1::LeaseId& lease) { done.Sent(lease); };
    workers.Add(kVideos, kPace);
    while (workers.figures().clips < 2 * kVideos) absl::SleepFor(absl::Milliseconds(5));  // warm

    const int64_t bytes = server.ResidentBytes();
    WatcherPool pool(&server);
    for (int i = 0; i < watchers; ++i) {
      const std::string& video = videos.names[static_cast<size_t>(i) % kVideos];
      pool.Add(video, [&, video](const v1::VideoEvent& event) {
        if (event.has_progress()) {
          const google::protobuf::Duration& sent = event.progress().eta();
          progress_late.Add(Uptime() - absl::Seconds(sent.seconds()) - absl::Nanoseconds(sent.nanos()));
        } else if (event.has_clip_done()) {
          clip_late.Add(done.Since(video, event.clip_done().index()));
        }
      });
    }
    pool.AwaitOpen();
    absl::SleepFor(absl::Seconds(1));  // what they find, and what is in between, is old
    progress_late.Clear();
    clip_late.Clear();
    const absl::Duration cpu = server.CpuTime();
    const absl::Time start = absl::Now();
    absl::SleepFor(absl::Seconds(bench.seconds));
    const double seconds = absl::ToDoubleSeconds(absl::Now() - start);
    const auto events = static_cast<double>(progress_late.size() + clip_late.size());
    bench.report->Add(
        {"watchers",
         bench.store(),
         absl::StrCat(watchers, " watchers"),
         {{"events/s", events / seconds},
          {"progress p50 ms", progress_late.Millis(0.5)},
          {"progress p99 ms", progress_late.Millis(0.99)},
          {"clip done p50 ms", clip_late.Millis(0.5)},
          {"clip done p99 ms", clip_late.Millis(0.99)},
          {"KiB/watcher", static_cast<double>(server.ResidentBytes() - bytes) / 1024 / watchers},
          {"server threads", server.threads()},
          {"server CPU %", 100 * absl::ToDoubleSeconds(server.CpuTime() - cpu) / seconds}}});
  }
}

}  // namespace svi::load
