// Two servers on one PostgreSQL.
#include <algorithm>
#include <map>
#include <string>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "tests/bench/load/load_client.h"
#include "tests/bench/load/load_worker.h"
#include "tests/bench/load/notice_counter.h"
#include "tests/bench/load/phases.h"
#include "tests/conformance/s3_server.h"

namespace svi::load {
namespace {

constexpr Pace kPace = {absl::Seconds(2), absl::Milliseconds(50)};  // 20 a second
constexpr int kPoliteCallers = 16;

// Workers are at the first server; all their videos, or only one, are watched at the second.
void MeasureNotices(const Bench& bench, int workers, bool watch_all) {
  ServerSettings settings;
  settings.database = bench.MakeDatabase();
  const ServerProcess first(settings);
  const ServerProcess second(settings);
  const CreateLoad videos(first, SpecOf(100'000), kPoliteCallers, workers);
  WorkerPool pool(&first, bench.engine);
  pool.Add(workers, kPace);
  while (pool.figures().clips < workers) absl::SleepFor(absl::Milliseconds(5));
  WatcherPool watchers(&second);
  Samples late;
  for (const std::string& video : videos.names) {
    watchers.Add(video, [&late](const v1::VideoEvent& event) {
      if (!event.has_progress()) return;
      const google::protobuf::Duration& sent = event.progress().eta();
      late.Add(Uptime() - absl::Seconds(sent.seconds()) - absl::Nanoseconds(sent.nanos()));
    });
    if (!watch_all) break;
  }
  watchers.AwaitOpen();
  const NoticeCounter counter(settings.database);
  absl::SleepFor(absl::Seconds(1));
  late.Clear();
  const int64_t notices = counter.notices();
  const int64_t bytes = counter.bytes();
  const int64_t progress = counter.progress();
  absl::SleepFor(absl::Seconds(bench.seconds));
  bench.report->Add(
      {"two servers",
       bench.store(),
       absl::StrCat(workers, " workers, ", watch_all ? "all" : "1", " watched at the other"),
       {{"progress/s of workers", workers / absl::ToDoubleSeconds(kPace.progress)},
        {"NOTIFY/s", static_cast<double>(counter.notices() - notices) / bench.seconds},
        {"bytes/s", static_cast<double>(counter.bytes() - bytes) / bench.seconds},
        {"progress/s across", static_cast<double>(counter.progress() - progress) / bench.seconds},
        {"late p50 ms", late.Millis(0.5)},
        {"late p99 ms", late.Millis(0.99)}}});
}

// While `depth` videos wait, one more, which goes before all others, is created at one server; the only
// worker, at the other, takes one clip after the other in no time.
void MeasureDiscovery(const Bench& bench, int depth) {
  constexpr int kVideos = 10;
  const S3Server s3;
  ServerSettings settings;
  settings.database = bench.MakeDatabase();
  settings.flags = {absl::StrCat("--artifacts=s3://", S3Server::kBucket),
                    absl::StrCat("--s3-endpoint=", s3.endpoint()),
                    absl::StrCat("--s3-credentials=", s3.credentials_file())};
  const ServerProcess first(settings);
  const ServerProcess second(settings);
  const CreateLoad filled(first, SpecOf(1), kPoliteCallers, depth);
  absl::Mutex mu;
  std::map<std::string, absl::Time> assigned;
  WorkerPool pool(&second, bench.engine);
  pool.figures().assigned = [&](const v1::LeaseId& lease) {
    absl::MutexLock lock(&mu);
    assigned.emplace(lease.video(), absl::Now());
  };
  pool.Add(1, {});
  const auto stub = v1::VideoService::NewStub(first.Connect());
  v1::VideoSpec urgent = SpecOf(1);
  urgent.set_priority(100);
  Samples waited;
  for (int i = 0; i < kVideos; ++i) {
    const std::string name = CreateOne(*stub, urgent);
    const absl::Time start = absl::Now();
    absl::MutexLock lock(&mu);
    const auto found = [&] { return assigned.contains(name); };
    if (!mu.AwaitWithTimeout(absl::Condition(&found), absl::Seconds(60))) assigned.emplace(name, absl::Now());
    waited.Add(std::max(assigned.at(name) - start, absl::ZeroDuration()));
  }
  bench.report->Add({"another server's video",
                     bench.store(),
                     absl::StrCat(depth, " waiting"),
                     {{"until its Assign p50 ms", waited.Millis(0.5)}, {"longest ms", waited.Millis(1)}}});
}

}  // namespace

void MeasurePeers(const Bench& bench) {
  if (bench.postgres == nullptr) return;
  for (const bool watch_all : {false, true}) {
    for (const int workers : bench.workers) MeasureNotices(bench, workers, watch_all);
  }
  for (const int depth : bench.depths) MeasureDiscovery(bench, depth);
}

}  // namespace svi::load
