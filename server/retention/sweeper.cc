#include "server/retention/sweeper.h"

#include <spdlog/spdlog.h>

#include <algorithm>
#include <random>
#include <utility>

#include "absl/strings/str_cat.h"
#include "server/retention/garbage.h"

namespace svi::server {
namespace {

constexpr int kVideosAtOnce = 500;

}  // namespace

absl::Duration RetentionPolicy::For(const std::string& tenant) const {
  const auto own = tenants.find(tenant);
  return own == tenants.end() ? keep : own->second;
}

absl::Duration RetentionPolicy::Shortest() const {
  absl::Duration shortest = keep;
  for (const auto& [tenant, own] : tenants) shortest = std::min(shortest, own);
  return shortest;
}

absl::Status AddRetention(const std::string& text, RetentionPolicy* policy) {
  const size_t equals = text.find('=');
  const std::string tenant = equals == std::string::npos ? "" : text.substr(0, equals);
  absl::Duration keep;
  if (equals == 0 || !absl::ParseDuration(text.substr(equals == std::string::npos ? 0 : equals + 1), &keep) ||
      keep <= absl::ZeroDuration()) {
    return absl::InvalidArgumentError(absl::StrCat(
        "--retention: must be TIME or TENANT=TIME, with a TIME like 720h, more than 0; is \"", text, "\""));
  }
  if (equals == std::string::npos) {
    policy->keep = keep;
  } else {
    policy->tenants[tenant] = keep;
  }
  return absl::OkStatus();
}

void Sweeper::Start() {
  thread_ = std::thread([this] { Run(); });
}

void Sweeper::Stop() {
  {
    absl::MutexLock lock(&mu_);
    stopped_ = true;
    stop_.Notify();
  }
  if (thread_.joinable()) thread_.join();
}

bool Sweeper::stopped() const {
  absl::MutexLock lock(&mu_);
  return stopped_;
}

void Sweeper::Run() {
  std::mt19937_64 random{std::random_device()()};
  absl::Duration pause = options_.interval * std::uniform_real_distribution<double>(0, 1)(random);
  while (true) {
    {
      absl::MutexLock lock(&mu_);
      const auto stopped = [this]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_) { return stopped_; };
      if (stop_.AwaitFor(&mu_, pause, stopped)) return;
    }
    RunOnce();
    pause = options_.interval;
  }
}

SweepCounts Sweeper::RunOnce() {
  SweepCounts counts;
  counts.dry_run = options_.orphans == SweeperOptions::Orphans::kReport;
  const absl::Time now = options_.clock();
  counts.complete = SweepVideos(now, &counts) && SweepOrphans(now, &counts);
  if (counts.expired_videos + counts.orphans + counts.foreign + counts.errors > 0) {
    spdlog::info(
        "sweep {}: {} videos expired{} ({} bytes), {} orphans {} ({} bytes), {} foreign files left alone, {} "
        "errors",
        counts.complete ? "complete" : "broken off", counts.expired_videos,
        options_.retention_dry_run ? " and would have been deleted" : "", counts.expired_bytes,
        counts.orphans, counts.dry_run ? "found" : "deleted", counts.orphan_bytes, counts.foreign,
        counts.errors);
  }
  parts_.swept(counts);
  return counts;
}

bool Sweeper::SweepVideos(absl::Time now, SweepCounts* counts) {
  const absl::Duration shortest = options_.retention.Shortest();
  if (shortest == absl::InfiniteDuration()) return true;
  std::optional<EndedVideo> last;
  while (true) {
    const auto videos = parts_.jobs->ListEnded(now - shortest, last, kVideosAtOnce);
    if (!videos.ok()) {
      spdlog::error("sweep: the store does not list videos: {}", videos.status().ToString());
      ++counts->errors;
      return true;
    }
    if (videos->empty()) return true;
    for (const EndedVideo& video : *videos) {
      if (stopped()) return false;
      if (video.end_time + options_.retention.For(video.tenant) < now) Expire(video.id, counts);
    }
    last = videos->back();
  }
}

void Sweeper::Expire(const std::string& id, SweepCounts* counts) {
  if (options_.retention_dry_run) {
    spdlog::info("sweep: video {} would be deleted: its retention is over", id);
    ++counts->expired_videos;
    return;
  }
  const auto unused = parts_.jobs->DeleteVideo(id);
  if (absl::IsNotFound(unused.status())) return;  // another server was faster
  if (!unused.ok()) {
    spdlog::error("sweep: video {} cannot be deleted: {}", id, unused.status().ToString());
    ++counts->errors;
    return;
  }
  spdlog::info("sweep: video {} is deleted: its retention is over", id);
  ++counts->expired_videos;
  parts_.video_deleted(id);
  for (const ArtifactRef& artifact : *unused) {
    const absl::Status deleted = parts_.artifacts->Delete(artifact);
    if (deleted.ok()) {
      counts->expired_bytes += artifact.size;
      continue;
    }
    spdlog::warn("artifact {} stays behind for a later sweep: {}", artifact.key, deleted.ToString());
    ++counts->errors;
  }
}

bool Sweeper::SweepOrphans(absl::Time now, SweepCounts* counts) {
  if (options_.orphans == SweeperOptions::Orphans::kKeep) return true;
  GarbageFinder finder(parts_.jobs, parts_.training);
  std::string owner;
  std::vector<ArtifactInfo> artifacts;  // of the owner
  bool store_away = false;              // nor would it tell of the others
  const auto finish_owner = [&] {
    const auto garbage = finder.Find(owner, artifacts);
    artifacts.clear();
    if (garbage.ok()) {
      DeleteOrphans(*garbage, now, counts);
      return;
    }
    spdlog::error("sweep: the store does not tell of {}: {}", owner, garbage.status().ToString());
    ++counts->errors;
    store_away = absl::IsUnavailable(garbage.status());
  };
  bool broken_off = false;
  const absl::Status visited = parts_.artifacts->Visit([&](const ArtifactInfo& artifact) {
    if (stopped()) {
      broken_off = true;
      return false;
    }
    const std::optional<ArtifactName> name = ParseArtifactKey(artifact.key);
    if (!name.has_value()) {
      ++counts->foreign;
      return true;
    }
    if (name->owner != owner && !artifacts.empty()) finish_owner();
    if (store_away) return false;
    owner = name->owner;
    artifacts.push_back(artifact);
    return true;
  });
  if (!visited.ok()) {
    spdlog::error("sweep: the artifacts cannot be listed: {}", visited.ToString());
    ++counts->errors;
  }
  // The last owner's list may not be whole, otherwise.
  if (visited.ok() && !broken_off && !store_away && !artifacts.empty()) finish_owner();
  return !broken_off;
}

void Sweeper::DeleteOrphans(const std::vector<ArtifactInfo>& orphans, absl::Time now, SweepCounts* counts) {
  for (const ArtifactInfo& orphan : orphans) {
    if (orphan.modified + options_.orphan_grace > now) continue;
    if (stopped()) return;
    if (options_.orphans == SweeperOptions::Orphans::kReport) {
      spdlog::info("sweep: nothing refers to artifact {} ({} bytes)", orphan.key, orphan.size);
    } else {
      const absl::Status deleted = parts_.artifacts->Delete({orphan.key, orphan.size, ""});
      if (!deleted.ok()) {
        spdlog::warn("sweep: artifact {} cannot be deleted: {}", orphan.key, deleted.ToString());
        ++counts->errors;
        continue;
      }
      spdlog::info("sweep: artifact {} is deleted: nothing referred to it", orphan.key);
    }
    ++counts->orphans;
    counts->orphan_bytes += orphan.size;
  }
}

}  // namespace svi::server
