#include "server/lease/lease_ledger.h"

#include <spdlog/spdlog.h>

#include <algorithm>
#include <tuple>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "absl/time/clock.h"
#include "server/lease/lease_ledger_messages.h"
#include "server/lease/lease_ledger_outcomes.h"
#include "server/lease/message_checks.h"

namespace svi::server {
namespace {

grpc::Status ToGrpc(const absl::Status& status) {
  return {static_cast<grpc::StatusCode>(status.code()), std::string(status.message())};
}

}  // namespace

template <typename Kind>
absl::Status LeaseLedger<Kind>::Start() {
  auto leases = ListHeldLeases();
  if (!leases.ok()) return leases.status();
  {
    absl::MutexLock lock(&mu_);
    for (const auto& lease : *leases) {
      TakeOver(lease.lease, std::string(absl::StripPrefix(lease.worker, "workers/")));
    }
    reconciled_ = options_.timer();
  }
  storage_ = std::make_unique<Executor>(options_.storage_threads);
  loop_.Start(options_.tick, [this](bool ticked) {
    if (match_wanted_.exchange(false) || ticked) RunOnce(options_.clock());
  });
  return absl::OkStatus();
}

template <typename Kind>
void LeaseLedger<Kind>::WorkChanged() {
  match_wanted_ = true;
  // An empty task wakes the loop; once it has stopped there is nobody to wake.
  (void)loop_.Post([] {});
}

template <typename Kind>
void LeaseLedger<Kind>::JobEnded(const std::string& id) {
  (void)loop_.Post([this, id] {
    absl::MutexLock lock(&mu_);
    DropJob(id);
  });
}

template <typename Kind>
bool LeaseLedger<Kind>::WaitIdle(absl::Time deadline) const {
  const auto none_held = [](const std::map<std::string, Held>* held) { return held->empty(); };
  absl::MutexLock lock(&mu_);
  return mu_.AwaitWithDeadline(absl::Condition(+none_held, &held_), deadline);
}

template <typename Kind>
void LeaseLedger<Kind>::Shutdown() {
  loop_.Stop();
  storage_.reset();  // after the loop, which gives it work
  absl::MutexLock lock(&mu_);
  for (auto& [key, session] : sessions_) {
    session.stream->Close({grpc::StatusCode::UNAVAILABLE, "the server is stopping"}, /*abort=*/true);
    if (session.registered) directory_.Remove(session.name());
  }
  sessions_.clear();
  held_.clear();
}

template <typename Kind>
auto LeaseLedger<Kind>::Accept(grpc::CallbackServerContext* context)
    -> grpc::ServerBidiReactor<Incoming, Outgoing>* {
  auto stream = std::make_shared<Stream>(context, this, options_.timer);
  Stream* reactor = stream.get();
  const bool posted = loop_.Post([this, stream] {
    absl::MutexLock lock(&mu_);
    Session& session = sessions_[stream.get()];
    session.stream = stream;
    session.connected = options_.clock();
  });
  reactor->Open();
  if (!posted) reactor->Close({grpc::StatusCode::UNAVAILABLE, "the server is stopping"});
  return reactor;
}

template <typename Kind>
bool LeaseLedger<Kind>::MessageRead(std::shared_ptr<Stream> stream, Incoming message) {
  // std::function wants what can be copied; the message is moved once, into the shared one.
  auto shared = std::make_shared<Incoming>(std::move(message));
  return loop_.Post([this, stream = std::move(stream), shared] {
    absl::MutexLock lock(&mu_);
    Session* session = Find(stream.get());
    if (session == nullptr) return;
    absl::Status status;
    if (shared->message_case() == Incoming::MESSAGE_NOT_SET) {
      status = absl::InvalidArgumentError("the message is empty");
    } else if (!session->registered && !shared->has_register_()) {
      status = absl::FailedPreconditionError("Register must come first");
    } else {
      status = Handle(*session, *shared);
    }
    if (status.ok()) {
      if (session->registered) PublishState(*session);
      if (!session->reading_paused) stream->ReadNext();
      return;
    }
    spdlog::warn("worker {}: its stream is ended: {}", session->id.empty() ? "(not registered)" : session->id,
                 status.ToString());
    if (session->job) {
      EndAttempt(
          held_.at(*session->job),
          Failure(absl::StatusCode::kInternal, "WORKER_MISBEHAVED", "The worker sent what it must not."), "");
    }
    CloseSession(*session, ToGrpc(status), /*abort=*/false);
  });
}

template <typename Kind>
bool LeaseLedger<Kind>::OutgoingDrained(std::shared_ptr<Stream> stream) {
  return loop_.Post([this, stream = std::move(stream)] {
    absl::MutexLock lock(&mu_);
    Session* session = Find(stream.get());
    if (session != nullptr) PumpInputs(*session);
  });
}

template <typename Kind>
void LeaseLedger<Kind>::StreamEnded(std::shared_ptr<Stream> stream) {
  (void)loop_.Post([this, stream = std::move(stream)] {
    absl::MutexLock lock(&mu_);
    Session* session = Find(stream.get());
    if (session == nullptr) return;
    if (session->registered) spdlog::info("worker {}: disconnected", session->id);
    CloseSession(*session, grpc::Status::OK, /*abort=*/false);
  });
}

template <typename Kind>
auto LeaseLedger<Kind>::Hold(const Lease& lease, const std::string& worker_id) -> Held& {
  held_.erase(JobOf(lease));
  return held_.emplace(JobOf(lease), MakeHeld(lease, worker_id)).first->second;
}

template <typename Kind>
void LeaseLedger<Kind>::TakeOver(const Lease& lease, const std::string& worker_id) {
  const auto older = held_.find(JobOf(lease));
  if (older != held_.end()) Detach(older->second, "LEASE_LOST");
  Held& held = Hold(lease, worker_id);
  held.recovered = true;
  held.deadline = options_.timer() + options_.lease_timeout;
  spdlog::info("lease {}: still held by worker {} from before; it may come back", ToString(held.lease),
               held.worker_id);
}

template <typename Kind>
auto LeaseLedger<Kind>::Give(Session& session, const Lease& lease, uint32_t attempt) -> Held& {
  Held& held = Hold(lease, session.id);
  held.attempt = attempt;
  held.session = &session;
  held.last_named = options_.timer();
  session.job = JobOf(lease);
  return held;
}

template <typename Kind>
auto LeaseLedger<Kind>::Find(const Stream* stream) -> Session* {
  const auto found = sessions_.find(stream);
  return found == sessions_.end() ? nullptr : &found->second;
}

template <typename Kind>
auto LeaseLedger<Kind>::IdleSessions() -> std::vector<Session*> {
  std::vector<Session*> idle;
  for (auto& [key, session] : sessions_) {
    if (session.idle()) idle.push_back(&session);
  }
  std::sort(idle.begin(), idle.end(), [](const Session* a, const Session* b) {
    return std::tie(a->idle_since, a->id) < std::tie(b->idle_since, b->id);
  });
  return idle;
}

template <typename Kind>
void LeaseLedger<Kind>::Stopped(Session& session) {
  session.stopping = false;
  session.idle_since = options_.timer();
  match_wanted_ = true;
}

template <typename Kind>
void LeaseLedger<Kind>::CloseSession(Session& session, const grpc::Status& status, bool abort) {
  if (session.registered) {
    directory_.Remove(session.name());
    Leaving(session);
  }
  if (session.job) {
    Held& held = held_.at(*session.job);
    held.session = nullptr;
    held.deadline = options_.timer() + options_.lease_timeout;
    spdlog::info("lease {}: worker {} is cut off; it may come back", ToString(held.lease), held.worker_id);
  }
  const std::shared_ptr<Stream> stream = session.stream;
  sessions_.erase(stream.get());
  stream->Close(status, abort);
}

template <typename Kind>
void LeaseLedger<Kind>::PublishState(const Session& session) {
  v1::Worker worker;
  worker.set_name(session.name());
  worker.set_state(session.draining                  ? v1::WORKER_STATE_DRAINING
                   : session.job || session.stopping ? v1::WORKER_STATE_BUSY
                                                     : v1::WORKER_STATE_IDLE);
  worker.set_device(session.profile.device());
  worker.set_model(session.profile.model());
  worker.set_version(session.profile.version());
  *worker.mutable_connect_time() = ToProto(session.connected);
  const absl::Duration silence = options_.timer() - session.stream->last_sign_of_life();
  *worker.mutable_heartbeat_time() = ToProto(options_.clock() - silence);
  Describe(session, worker);
  directory_.Put(std::move(worker));
}

template <typename Kind>
void LeaseLedger<Kind>::RunOnce(absl::Time now) {
  absl::MutexLock lock(&mu_);
  const absl::Time timer = options_.timer();
  Reconcile(timer);
  ExpireSilentSessions(timer);
  ExpireLeases(timer);
  RetryOutcomes();
  if (assigning_ && timer >= storage_paused_until_) Match(now);
}

template <typename Kind>
void LeaseLedger<Kind>::Reconcile(absl::Time now) {
  if (options_.reconcile_interval == absl::InfiniteDuration()) return;
  if (now - reconciled_ < options_.reconcile_interval) return;
  reconciled_ = now;
  const auto leases = ListHeldLeases();
  if (!leases.ok()) {
    spdlog::warn("the store does not list this server's leases: {}", leases.status().ToString());
    return;
  }
  std::map<std::string, Lease> stored;
  for (const auto& lease : *leases) {
    stored.emplace(JobOf(lease.lease), lease.lease);
    // Of a server that has gone; or this one's, of which it did not hear when it took it.
    if (!IsHeld(lease.lease)) {
      TakeOver(lease.lease, std::string(absl::StripPrefix(lease.worker, "workers/")));
    }
  }
  std::vector<std::string> gone;
  for (const auto& [id, held] : held_) {
    if (held.open() && stored.count(id) == 0) gone.push_back(id);
  }
  for (const std::string& id : gone) {
    Held& held = held_.at(id);
    spdlog::info("lease {}: worker {}: is not this server's any more", ToString(held.lease), held.worker_id);
    CountEnd("refused");
    Detach(held, "LEASE_LOST");
    held_.erase(id);
    Changed(id);
    match_wanted_ = true;
  }
}

template <typename Kind>
void LeaseLedger<Kind>::ExpireSilentSessions(absl::Time now) {
  std::vector<std::shared_ptr<Stream>> silent;
  for (auto& [key, session] : sessions_) {
    if (now - session.stream->last_sign_of_life() > options_.lease_timeout) silent.push_back(session.stream);
  }
  for (const auto& stream : silent) {
    Session& session = *Find(stream.get());
    spdlog::warn("worker {}: silent for longer than {}", session.id.empty() ? "(not registered)" : session.id,
                 absl::FormatDuration(options_.lease_timeout));
    if (session.job) {
      CountExpiry();
      EndAttempt(held_.at(*session.job),
                 Failure(absl::StatusCode::kDeadlineExceeded, "LEASE_EXPIRED", "The worker fell silent."),
                 "");
    }
    CloseSession(session, {grpc::StatusCode::DEADLINE_EXCEEDED, "no message for longer than lease_timeout"},
                 /*abort=*/true);
  }
}

template <typename Kind>
void LeaseLedger<Kind>::ExpireLeases(absl::Time now) {
  std::vector<std::string> overdue;
  for (const auto& [id, held] : held_) {
    if (!held.open() || held.storing) continue;
    const bool cut_off = held.session == nullptr && now > held.deadline;
    // The worker is there and talks, but not of this: it does not know that it has the lease.
    const bool forgotten =
        held.session != nullptr && held.supplied() && now - held.last_named > options_.lease_timeout;
    if (cut_off || forgotten) overdue.push_back(id);
  }
  for (const std::string& id : overdue) {
    Held& held = held_.at(id);
    CountExpiry();
    auto failure =
        Failure(absl::StatusCode::kDeadlineExceeded, "LEASE_EXPIRED",
                held.session == nullptr ? std::string("The worker was cut off and did not come back.")
                                        : absl::StrCat("The worker does not work on the ", Kind::kWork, "."));
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

template <typename Kind>
void LeaseLedger<Kind>::RetryOutcomes() {
  std::vector<std::string> ended;
  for (const auto& [id, held] : held_) {
    if (!held.open()) ended.push_back(id);
  }
  for (const std::string& id : ended) {
    if (!Settle(held_.at(id))) return;  // the store does not answer now
  }
}

template class LeaseLedger<ClipKind>;
template class LeaseLedger<RunKind>;

}  // namespace svi::server
