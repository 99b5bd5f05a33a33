#include "server/metrics/server_metrics.h"

#include <arpa/inet.h>
#include <gmock/gmock.h>
#include <sys/socket.h>
#include <unistd.h>

namespace svi::server {
namespace {

using ::testing::HasSubstr;

std::string Get(int port) {
  const int fd = socket(AF_INET, SOCK_STREAM, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(static_cast<uint16_t>(port));
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  std::string answer;
  if (connect(fd, reinterpret_cast<sockaddr*>(&address), sizeof(address)) == 0) {
    const std::string request = "GET /metrics HTTP/1.0\r\n\r\n";
    EXPECT_EQ(write(fd, request.data(), request.size()), static_cast<ssize_t>(request.size()));
    char buffer[4096];
    for (ssize_t got = 0; (got = read(fd, buffer, sizeof(buffer))) > 0;) answer.append(buffer, got);
  }
  close(fd);
  return answer;
}

TEST(ServerMetricsTest, NamesAndValues) {
  ServerMetrics metrics;
  v1::Clip clip;
  clip.mutable_denoise_time()->set_seconds(3);
  metrics.ClipCommitted(clip);
  metrics.ClipEnded("failed");
  metrics.LeaseExpired();
  metrics.TrainingEnded("permanent");
  metrics.TrainingLeaseExpired();
  metrics.BytesServed("clip", 123);
  metrics.WatchersChanged(2);
  metrics.WatchersChanged(-1);
  metrics.EventsDropped(4);
  const std::string text = metrics.Text();
  for (const char* line :
       {"svi_clips_total{outcome=\"committed\"} 1\n", "svi_clips_total{outcome=\"failed\"} 1\n",
        "svi_clip_stage_seconds_sum{stage=\"denoise\"} 3\n",
        "svi_clip_stage_seconds_count{stage=\"mux\"} 1\n", "svi_lease_expiries_total 1\n",
        "svi_training_attempts_total{outcome=\"committed\"} 0\n",
        "svi_training_attempts_total{outcome=\"permanent\"} 1\n", "svi_training_lease_expiries_total 1\n",
        "svi_bytes_served_total{kind=\"clip\"} 123\n", "svi_watchers 1\n", "svi_events_dropped_total 4\n"}) {
    EXPECT_THAT(text, HasSubstr(line));
  }
}

TEST(ServerMetricsTest, AsksItsSourcesAtEachScrapeOverHttp) {
  ServerMetrics metrics;
  int64_t queued = 5;
  const auto one_worker = [](v1::WorkerState state) {
    v1::Worker worker;
    worker.set_state(state);
    return std::vector<v1::Worker>{worker};
  };
  ServerMetrics::Sources sources;
  sources.jobs = [&]() -> absl::StatusOr<JobStore::Counts> {
    JobStore::Counts counts;
    counts.videos = {{v1::VIDEO_STATE_QUEUED, queued}};
    counts.leasable_clips = queued;
    return counts;
  };
  sources.workers = [&] { return one_worker(v1::WORKER_STATE_BUSY); };
  sources.training = [&]() -> absl::StatusOr<TrainingStore::Counts> {
    return TrainingStore::Counts{{{v1::TRAINING_STATE_RUNNING, queued}}, 3};
  };
  sources.trainers = [&] { return one_worker(v1::WORKER_STATE_DRAINING); };
  std::map<std::string, ServerMetrics::TenantClips> tenants = {{"acme", {4, 2}}};
  sources.tenants = [&] { return tenants; };
  metrics.SetSources(std::move(sources));
  const auto port = metrics.Expose("127.0.0.1:0");
  ASSERT_TRUE(port.ok()) << port.status();
  EXPECT_THAT(Get(*port), HasSubstr("svi_queue_depth 5\n"));
  queued = 6;
  EXPECT_THAT(Get(*port), HasSubstr("svi_tenant_clips{state=\"waiting\",tenant=\"acme\"} 4\n"));
  tenants = {{"other", {0, 1}}};
  const std::string text = Get(*port);
  EXPECT_THAT(text, HasSubstr("svi_videos{state=\"queued\"} 6\n"));
  EXPECT_THAT(text, HasSubstr("svi_videos{state=\"failed\"} 0\n"));
  EXPECT_THAT(text, HasSubstr("svi_workers{state=\"busy\"} 1\n"));
  EXPECT_THAT(text, HasSubstr("svi_workers{state=\"idle\"} 0\n"));
  EXPECT_THAT(text, HasSubstr("svi_training_runs{state=\"running\"} 6\n"));
  EXPECT_THAT(text, HasSubstr("svi_training_runs{state=\"queued\"} 0\n"));
  EXPECT_THAT(text, HasSubstr("svi_trainers{state=\"draining\"} 1\n"));
  EXPECT_THAT(text, HasSubstr("svi_loras 3\n"));
  EXPECT_THAT(text, HasSubstr("svi_tenant_clips{state=\"running\",tenant=\"other\"} 1\n"));
  EXPECT_THAT(text, HasSubstr("svi_tenant_clips{state=\"waiting\",tenant=\"acme\"} 0\n"));
}

}  // namespace
}  // namespace svi::server
