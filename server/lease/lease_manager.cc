#include "server/lease/lease_manager.h"

#include <spdlog/spdlog.h>

#include <algorithm>
#include <set>
#include <tuple>
#include <utility>

#include "absl/strings/strip.h"
#include "absl/time/clock.h"
#include "server/lease/worker_messages.h"
#include "server/queue/plan.h"

namespace svi::server {
namespace {

// Clips looked at in one pass, of those that need the same LoRAs; more than one worker can take from.
constexpr int kCandidates = 256;

google::protobuf::Timestamp ToProto(absl::Time time) {
  google::protobuf::Timestamp proto;
  const int64_t nanos = absl::ToUnixNanos(time);
  proto.set_seconds(nanos / 1000000000);
  proto.set_nanos(static_cast<int32_t>(nanos % 1000000000));
  return proto;
}

JobStore::FailedAttempt Expired(const std::string& why, uint32_t max_attempts) {
  JobStore::FailedAttempt failure;
  failure.error.set_code(static_cast<int>(absl::StatusCode::kDeadlineExceeded));
  failure.error.set_reason("LEASE_EXPIRED");
  failure.error.set_message(why);
  failure.max_attempts = max_attempts;
  return failure;
}

grpc::Status ToGrpc(const absl::Status& status) {
  return {static_cast<grpc::StatusCode>(status.code()), std::string(status.message())};
}

}  // namespace

LeaseManager::LeaseManager(JobStore* store, ArtifactStore* artifacts, EventHub* hub, ServerMetrics* metrics,
                           DispatcherOptions options)
    : store_(store), artifacts_(artifacts), hub_(hub), metrics_(metrics), options_(std::move(options)) {}

absl::Status LeaseManager::Start() {
  auto leases = store_->ListHeldLeases();
  if (!leases.ok()) return leases.status();
  {
    absl::MutexLock lock(&mu_);
    fleet_complete_at_ = options_.clock() + options_.lease_timeout;
    for (const JobStore::HeldLease& lease : *leases) {
      HeldClip& held = Hold(lease.lease, std::string(absl::StripPrefix(lease.worker, "workers/")));
      held.recovered = true;
      held.deadline = options_.clock() + options_.lease_timeout;
      spdlog::info("lease {}: still held by worker {} from before; it may come back", ToString(held.lease),
                   held.worker_id);
    }
  }
  loop_.Start(options_.tick, [this](bool ticked) {
    if (match_wanted_.exchange(false) || ticked) RunOnce(options_.clock());
  });
  return absl::OkStatus();
}

void LeaseManager::WorkChanged() {
  match_wanted_ = true;
  // An empty task wakes the loop; once it has stopped there is nobody to wake.
  (void)loop_.Post([] {});
}

void LeaseManager::VideoEnded(const std::string& video_id) {
  (void)loop_.Post([this, video_id] {
    absl::MutexLock lock(&mu_);
    DropVideo(video_id);
  });
}

bool LeaseManager::WaitIdle(absl::Time deadline) const {
  const auto none_held = [](const Held* held) { return held->empty(); };
  absl::MutexLock lock(&mu_);
  return mu_.AwaitWithDeadline(absl::Condition(+none_held, &held_), deadline);
}

void LeaseManager::Shutdown() {
  loop_.Stop();
  absl::MutexLock lock(&mu_);
  for (auto& [key, session] : sessions_) {
    session.stream->Close({grpc::StatusCode::UNAVAILABLE, "the server is stopping"}, /*abort=*/true);
    if (session.registered) directory_.Remove(session.name());
  }
  sessions_.clear();
  held_.clear();
}

grpc::ServerBidiReactor<v1::WorkerMessage, v1::ServerMessage>* LeaseManager::Work(
    grpc::CallbackServerContext* context) {
  auto stream = std::make_shared<WorkerStream>(context, this, options_.clock);
  WorkerStream* reactor = stream.get();
  const bool posted = loop_.Post([this, stream] {
    absl::MutexLock lock(&mu_);
    WorkerSession& session = sessions_[stream.get()];
    session.stream = stream;
    session.connected = options_.clock();
  });
  reactor->Open();
  if (!posted) reactor->Close({grpc::StatusCode::UNAVAILABLE, "the server is stopping"});
  return reactor;
}

bool LeaseManager::MessageRead(std::shared_ptr<WorkerStream> stream, v1::WorkerMessage message) {
  // std::function wants what can be copied; the message is moved once, into the shared one.
  auto shared = std::make_shared<v1::WorkerMessage>(std::move(message));
  return loop_.Post([this, stream = std::move(stream), shared] {
    absl::MutexLock lock(&mu_);
    WorkerSession* session = Find(stream.get());
    if (session == nullptr) return;
    const absl::Status status = Handle(*session, *shared);
    if (status.ok()) {
      if (session->registered) PublishState(*session);
      stream->ReadNext();
      return;
    }
    spdlog::warn("worker {}: its stream is ended: {}", session->id.empty() ? "(not registered)" : session->id,
                 status.ToString());
    if (session->video_id) {
      JobStore::FailedAttempt failure;
      failure.error.set_code(static_cast<int>(absl::StatusCode::kInternal));
      failure.error.set_reason("WORKER_MISBEHAVED");
      failure.error.set_message("The worker sent what it must not.");
      failure.max_attempts = options_.max_attempts;
      EndAttempt(held_.at(*session->video_id), std::move(failure), "");
    }
    CloseSession(*session, ToGrpc(status), /*abort=*/false);
  });
}

bool LeaseManager::OutgoingDrained(std::shared_ptr<WorkerStream> stream) {
  return loop_.Post([this, stream = std::move(stream)] {
    absl::MutexLock lock(&mu_);
    WorkerSession* session = Find(stream.get());
    if (session != nullptr) PumpInputs(*session);
  });
}

void LeaseManager::StreamEnded(std::shared_ptr<WorkerStream> stream) {
  (void)loop_.Post([this, stream = std::move(stream)] {
    absl::MutexLock lock(&mu_);
    WorkerSession* session = Find(stream.get());
    if (session == nullptr) return;
    if (session->registered) spdlog::info("worker {}: disconnected", session->id);
    CloseSession(*session, grpc::Status::OK, /*abort=*/false);
  });
}

HeldClip& LeaseManager::Hold(const Lease& lease, const std::string& worker_id) {
  held_.erase(lease.video_id);
  HeldClip held(lease, worker_id, ArtifactUpload(artifacts_, ClipKey(lease), options_.max_clip_bytes),
                ArtifactUpload(artifacts_, CarryKey(lease), options_.max_carry_bytes), InputFeed(artifacts_));
  return held_.emplace(lease.video_id, std::move(held)).first->second;
}

WorkerSession* LeaseManager::Find(const WorkerStream* stream) {
  const auto found = sessions_.find(stream);
  return found == sessions_.end() ? nullptr : &found->second;
}

void LeaseManager::CloseSession(WorkerSession& session, const grpc::Status& status, bool abort) {
  if (session.registered) directory_.Remove(session.name());
  if (!session.loras.empty()) fleet_complete_at_ = options_.clock() + options_.lease_timeout;
  if (session.video_id) {
    HeldClip& held = held_.at(*session.video_id);
    held.session = nullptr;
    held.deadline = options_.clock() + options_.lease_timeout;
    spdlog::info("lease {}: worker {} is cut off; it may come back", ToString(held.lease), held.worker_id);
  }
  const std::shared_ptr<WorkerStream> stream = session.stream;
  sessions_.erase(stream.get());
  stream->Close(status, abort);
}

void LeaseManager::PublishState(const WorkerSession& session) {
  v1::Worker worker;
  worker.set_name(session.name());
  worker.set_state(session.draining                       ? v1::WORKER_STATE_DRAINING
                   : session.video_id || session.stopping ? v1::WORKER_STATE_BUSY
                                                          : v1::WORKER_STATE_IDLE);
  worker.set_device(session.profile.device());
  worker.set_model(session.profile.model());
  *worker.mutable_defaults() = session.profile.defaults();
  worker.set_version(session.profile.version());
  if (session.video_id) {
    const Lease& lease = held_.at(*session.video_id).lease;
    worker.set_clip("videos/" + lease.video_id + "/clips/" + std::to_string(lease.clip_index));
  }
  *worker.mutable_connect_time() = ToProto(session.connected);
  *worker.mutable_heartbeat_time() = ToProto(session.stream->last_sign_of_life());
  worker.set_clips_done(session.clips_done);
  worker.mutable_loras()->Add(session.loras.begin(), session.loras.end());
  directory_.Put(std::move(worker));
}

void LeaseManager::RunOnce(absl::Time now) {
  absl::MutexLock lock(&mu_);
  ExpireSilentSessions(now);
  ExpireLeases(now);
  RetryOutcomes();
  Match(now);
}

void LeaseManager::ExpireSilentSessions(absl::Time now) {
  std::vector<std::shared_ptr<WorkerStream>> silent;
  for (auto& [key, session] : sessions_) {
    if (now - session.stream->last_sign_of_life() > options_.lease_timeout) silent.push_back(session.stream);
  }
  for (const auto& stream : silent) {
    WorkerSession& session = *Find(stream.get());
    spdlog::warn("worker {}: silent for longer than {}", session.id.empty() ? "(not registered)" : session.id,
                 absl::FormatDuration(options_.lease_timeout));
    if (session.video_id) {
      metrics_->LeaseExpired();
      EndAttempt(held_.at(*session.video_id), Expired("The worker fell silent.", options_.max_attempts), "");
    }
    CloseSession(session, {grpc::StatusCode::DEADLINE_EXCEEDED, "no message for longer than lease_timeout"},
                 /*abort=*/true);
  }
}

void LeaseManager::ExpireLeases(absl::Time now) {
  std::vector<std::string> overdue;
  for (const auto& [video_id, held] : held_) {
    if (!held.open()) continue;
    const bool cut_off = held.session == nullptr && now > held.deadline;
    // The worker is there and talks, but not of this: it does not know that it has the lease.
    const bool forgotten =
        held.session != nullptr && held.inputs.done() && now - held.last_named > options_.lease_timeout;
    if (cut_off || forgotten) overdue.push_back(video_id);
  }
  for (const std::string& video_id : overdue) {
    HeldClip& held = held_.at(video_id);
    metrics_->LeaseExpired();
    auto failure = Expired(held.session == nullptr ? "The worker was cut off and did not come back."
                                                   : "The worker does not work on the clip.",
                           options_.max_attempts);
    // That the server restarted is no failed attempt.
    failure.handed_back = held.recovered;
    EndAttempt(held, std::move(failure), "LEASE_LOST");
  }
  for (auto& [key, session] : sessions_) {
    if (!session.stopping || now - session.stopping_since <= options_.lease_timeout) continue;
    session.stopping = false;
    PublishState(session);
  }
}

void LeaseManager::RetryOutcomes() {
  std::vector<std::string> ended;
  for (const auto& [video_id, held] : held_) {
    if (!held.open()) ended.push_back(video_id);
  }
  for (const std::string& video_id : ended) {
    if (!Settle(held_.at(video_id))) return;  // the store does not answer now
  }
}

WorkerView LeaseManager::ViewOf(const WorkerSession& session, const std::set<std::string>& wanted) {
  WorkerView view;
  view.id = session.id;
  for (const std::string& video : session.profile.warm_videos()) {
    view.warm_videos.emplace(absl::StripPrefix(video, "videos/"));
  }
  if (session.last_commit) view.warm_videos.insert(session.last_commit->first);
  for (const std::string& name : wanted) {
    if (session.loras.contains(name)) view.loras.insert(name);
  }
  return view;
}

FleetView LeaseManager::ViewFleet(const std::set<std::string>& wanted) const {
  FleetView fleet;
  fleet.complete_at = fleet_complete_at_;
  for (const auto& [key, session] : sessions_) {
    if (session.registered) fleet.loras.push_back(ViewOf(session, wanted).loras);
  }
  return fleet;
}

void LeaseManager::Match(absl::Time now) {
  if (!assigning_) return;
  std::vector<WorkerSession*> idle;
  for (auto& [key, session] : sessions_) {
    if (session.idle()) idle.push_back(&session);
  }
  if (idle.empty()) return;
  auto clips = store_->ListLeasable(kCandidates);
  if (!clips.ok()) {
    spdlog::error("the store does not list leasable clips: {}", clips.status().ToString());
    return;
  }
  // A lease that has ended but could not be settled yet still blocks its video.
  std::erase_if(*clips, [this](const Leasable& clip) { return held_.count(clip.video_id) > 0; });

  std::set<std::string> wanted;
  for (const Leasable& clip : *clips) wanted.insert(clip.loras.begin(), clip.loras.end());
  const FleetView fleet = ViewFleet(wanted);
  std::vector<std::tuple<bool, absl::Time, WorkerSession*, WorkerView>> queue;
  for (WorkerSession* session : idle) {
    WorkerView view = ViewOf(*session, wanted);
    const bool warm = std::any_of(clips->begin(), clips->end(), [&view](const Leasable& clip) {
      return view.warm_videos.contains(clip.video_id);
    });
    queue.emplace_back(!warm, session->idle_since, session, std::move(view));
  }
  // Those with something warm choose first, lest another takes it; then those who have waited longest.
  std::sort(queue.begin(), queue.end(), [](const auto& a, const auto& b) {
    return std::tie(std::get<0>(a), std::get<1>(a), std::get<2>(a)->id) <
           std::tie(std::get<0>(b), std::get<1>(b), std::get<2>(b)->id);
  });
  for (const auto& [cold, since, session, view] : queue) {
    while (const auto chosen = ChooseClip(*clips, view, fleet, now)) {
      const Leasable clip = (*clips)[*chosen];
      clips->erase(clips->begin() + static_cast<std::ptrdiff_t>(*chosen));
      const absl::Status status = Assign(*session, clip, now);
      if (status.ok()) break;
      // Gone in the meantime: take the next. Anything else must not hold up the other videos either.
      if (absl::IsFailedPrecondition(status) || absl::IsNotFound(status)) continue;
      spdlog::error("the store does not lease {}/{}: {}", clip.video_id, clip.clip_index, status.ToString());
      if (absl::IsUnavailable(status)) return;
    }
  }
}

absl::Status LeaseManager::Assign(WorkerSession& session, const Leasable& clip, absl::Time now) {
  auto leased = store_->AcquireLease(clip.video_id, clip.clip_index, session.name(), now);
  if (!leased.ok()) return leased.status();
  HeldClip& held = Hold(leased->lease, session.id);
  held.attempt = leased->attempt;
  held.loras = clip.loras;
  held.session = &session;
  held.last_named = now;
  session.video_id = clip.video_id;

  v1::ServerMessage message;
  v1::Assign& assign = *message.mutable_assign();
  *assign.mutable_lease() = ToLeaseId(held.lease);
  assign.set_prompt(PromptOfClip(leased->spec, clip.clip_index));
  assign.set_seed(SeedOfClip(leased->spec, clip.clip_index));
  assign.set_attempt(leased->attempt);
  *assign.mutable_spec() = std::move(leased->spec);
  assign.mutable_spec()->clear_image();
  // Only what the worker surely has is left out: it made the clip before this one, and nothing since.
  const bool warm = session.last_commit && clip.clip_index > 0 &&
                    *session.last_commit == std::pair(clip.video_id, clip.clip_index - 1);
  if (!warm) {
    assign.set_image_bytes(leased->image.size);
    held.inputs.Add(v1::INPUT_KIND_IMAGE, leased->image);
    if (leased->carry) {
      assign.set_carry_bytes(leased->carry->size);
      assign.set_carry_sha256(leased->carry->sha256);
      held.inputs.Add(v1::INPUT_KIND_CARRY, *leased->carry);
    }
  }
  spdlog::info("lease {}: to worker {}, attempt {}{}", ToString(held.lease), session.id, held.attempt,
               warm ? ", warm" : "");
  session.stream->Send(std::move(message));
  hub_->VideoChanged(clip.video_id);
  PublishState(session);
  return absl::OkStatus();
}

}  // namespace svi::server
