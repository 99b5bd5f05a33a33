// A fleet of workers and a stream of videos in simulated time, with the real ScheduleIndex between them.
#ifndef SVI_TESTS_SERVER_QUEUE_SCHEDULE_SIMULATION_H_
#define SVI_TESTS_SERVER_QUEUE_SCHEDULE_SIMULATION_H_

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <queue>
#include <set>
#include <string>
#include <vector>

#include "absl/time/time.h"
#include "server/queue/schedule_index.h"

namespace svi::server {

struct SimVideo {
  std::string tenant = "default";
  uint32_t clips = 1;
  bool endless = false;  // then `clips` does not count
  double seconds = 60;   // of each clip
  int32_t priority = 0;
  std::vector<std::string> loras;
};

[[nodiscard]] SimVideo Endless(std::string tenant, double seconds, std::vector<std::string> loras = {});
[[nodiscard]] SimVideo Finite(std::string tenant, uint32_t clips, double seconds);

// What came of a video.
struct SimOutcome {
  SimVideo video;
  double arrived = 0;
  double started = -1;   // its first clip; -1: not yet
  double finished = -1;  // its last clip
  uint32_t done = 0;
};

// Times are seconds since the simulation's start.
class ScheduleSimulation {
 public:
  // A clip that is given to a worker.
  struct Start {
    double time = 0;
    std::string tenant;
    double ready = 0;
    // When the clip of that tenant which has waited longest became ready, this one included.
    double oldest_ready = 0;
    bool warm = false;
  };

  ScheduleSimulation(size_t workers, std::map<std::string, TenantLimits> limits);

  // LoRAs of worker `index`; to be called before Run.
  void GiveLoras(size_t worker, std::set<std::string> loras);
  void AddVideo(double at, SimVideo video);
  void Run(double until);
  // True once every video with an end has finished.
  [[nodiscard]] bool Drained() const { return unfinished_ == 0; }
  // As a server that starts anew: the index forgets, and learns all again from what the store would hold.
  void Restart();

  std::function<void(const Start&)> on_start = [](const Start&) {};

  [[nodiscard]] const std::vector<SimOutcome>& outcomes() const { return outcomes_; }
  [[nodiscard]] const ScheduleIndex& index() const { return *index_; }
  [[nodiscard]] double now() const { return now_; }
  [[nodiscard]] uint64_t starts() const { return starts_; }
  [[nodiscard]] uint64_t warm_starts() const { return warm_starts_; }
  [[nodiscard]] size_t running(const std::string& tenant) const;
  [[nodiscard]] static absl::Time At(double seconds);
  [[nodiscard]] static std::string IdOf(size_t video);

 private:
  struct Worker {
    std::set<std::string> loras;
    std::vector<std::string> warm;
    std::vector<std::string> merged;
  };
  struct Event {
    double time;
    uint64_t order;  // of events at the same time
    size_t video;
    int worker;  // that has finished a clip of it; -1: the video arrives
    bool operator>(const Event& other) const {
      return time != other.time ? time > other.time : order > other.order;
    }
  };

  void Ready(size_t video);
  void Finish(size_t video, size_t worker);
  bool Give(size_t worker);
  void Match();

  const std::map<std::string, TenantLimits> limits_;
  std::unique_ptr<ScheduleIndex> index_;
  std::vector<Worker> workers_;
  std::vector<size_t> idle_;
  std::vector<SimOutcome> outcomes_;
  std::map<std::string, CurrentClip> current_;  // the store
  std::vector<ServedClip> served_;
  std::map<std::string, std::multiset<double>> ready_;  // by tenant, of the clips that wait
  std::map<std::string, size_t> running_;
  std::priority_queue<Event, std::vector<Event>, std::greater<>> events_;
  double now_ = 0;
  uint64_t order_ = 0;
  uint64_t starts_ = 0;
  uint64_t warm_starts_ = 0;
  size_t unfinished_ = 0;
};

}  // namespace svi::server

#endif  // SVI_TESTS_SERVER_QUEUE_SCHEDULE_SIMULATION_H_
