// Private to lease_ledger.cc: what a LeaseLedger does with the messages that all kinds of leases have.
#ifndef SVI_SERVER_LEASE_LEASE_LEDGER_MESSAGES_H_
#define SVI_SERVER_LEASE_LEASE_LEDGER_MESSAGES_H_

#include <spdlog/spdlog.h>

#include <algorithm>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "server/lease/lease_ledger.h"
#include "server/lease/trainer_messages.h"
#include "server/lease/worker_messages.h"

namespace svi::server {

inline constexpr absl::Duration kFirstStoragePause = absl::Seconds(1);
inline constexpr absl::Duration kLongestStoragePause = absl::Minutes(1);

template <typename Kind>
absl::Status LeaseLedger<Kind>::OnRegister(Session& session, const typename Kind::Register& message) {
  if (session.registered) return absl::FailedPreconditionError("Register must come once");
  absl::Status valid = CheckRegister(message);
  if (!valid.ok()) return valid;
  std::optional<Lease> holding;
  if (message.has_holding()) {
    auto parsed = ParseLease(message.holding());
    if (!parsed.ok()) return parsed.status();
    holding = *std::move(parsed);
  }
  Session* older = nullptr;
  for (auto& [key, other] : sessions_) {
    if (other.registered && other.id == message.worker_id()) older = &other;
  }
  if (older != nullptr) {
    spdlog::warn("worker {}: registered again, its older stream is ended", older->id);
    CloseSession(*older, {grpc::StatusCode::ABORTED, "the worker registered on a newer stream"},
                 /*abort=*/true);
  }
  session.registered = true;
  session.id = message.worker_id();
  session.profile = message;
  Introduce(session, message);
  session.idle_since = options_.timer();
  spdlog::info("worker {}: registered for {}s: {}, {}, version {}", session.id, Kind::kWork,
               CleanText(message.device(), 256), CleanText(message.model(), 256),
               CleanText(message.version(), 256));

  Outgoing reply;
  Registered& registered = *reply.mutable_registered();
  *registered.mutable_heartbeat_interval() = ToProto(options_.heartbeat_interval);
  *registered.mutable_lease_timeout() = ToProto(options_.lease_timeout);
  const bool resumed = Resume(session, holding, &registered);
  PublishState(session);
  session.stream->Send(std::move(reply));
  if (holding && !resumed) TellToDrop(session, *holding, "LEASE_LOST");
  match_wanted_ = true;
  return absl::OkStatus();
}

template <typename Kind>
bool LeaseLedger<Kind>::Resume(Session& session, const std::optional<Lease>& holding,
                               Registered* registered) {
  // From another server, which has gone or was cut off from the worker.
  if (holding && !IsHeld(*holding) && Claim(*holding, session.name()).ok()) TakeOver(*holding, session.id);
  std::vector<std::string> lost;
  for (auto& [id, held] : held_) {
    const bool failed = std::holds_alternative<JobStore::FailedAttempt>(held.outcome);
    if (held.worker_id != session.id || held.session != nullptr || failed) continue;
    // Inputs that were cut off are not sent a second time: the lease goes back to the queue instead.
    if (holding && held.lease == *holding && held.supplied()) {
      held.session = &session;
      held.deadline = absl::InfiniteFuture();
      held.last_named = options_.timer();
      held.acknowledged = true;
      held.recovered = false;
      session.job = id;
      TellReceived(held, *registered);
    } else if (held.open() && !held.storing) {
      lost.push_back(id);
    }
  }
  for (const std::string& id : lost) {
    Held& held = held_.at(id);
    auto failure = Failure(absl::StatusCode::kUnavailable, "LEASE_LOST",
                           absl::StrCat("The worker came back without the ", Kind::kWork, "."));
    // An attempt is one that the worker began, and that it was not us who broke it off.
    failure.handed_back = held.recovered || !held.acknowledged || !held.supplied();
    EndAttempt(held, std::move(failure), "");
  }
  if (!holding) return false;
  if (session.job) {
    spdlog::info("lease {}: worker {} is back: {}", ToString(*holding), session.id,
                 registered->ShortDebugString());
    registered->set_resume(true);
    return true;
  }
  if (!RecallCommitted(*holding, registered).value_or(false)) return false;
  // It is done, but the worker does not know yet: it will say so again, and then be told.
  registered->set_resume(true);
  session.cancelled = holding;
  session.stopping = true;
  session.stopping_since = options_.timer();
  return true;
}

template <typename Kind>
absl::Status LeaseLedger<Kind>::OnHeartbeat(Session& session, const typename Kind::Heartbeat& message) {
  if (message.draining() && !session.draining) {
    spdlog::info("worker {}: draining", session.id);
    session.draining = true;
  }
  if (message.has_lease()) return Current(session, message.lease()).status();
  if (session.stopping) Stopped(session);
  return absl::OkStatus();
}

template <typename Kind>
absl::Status LeaseLedger<Kind>::OnFailed(Session& session, const typename Kind::Failed& message) {
  auto held = Current(session, message.lease());
  if (!held.ok()) return held.status();
  if (*held == nullptr) {
    // It was told to drop the lease, and this says that it did.
    Stopped(session);
    return absl::OkStatus();
  }
  JobStore::FailedAttempt failure;
  failure.error = CleanFailure(message.error());
  failure.permanent = message.permanent();
  Reconsider(session, **held, failure);
  failure.handed_back = message.handed_back() && !message.permanent();
  failure.max_attempts = options_.max_attempts;
  EndAttempt(**held, std::move(failure), "");
  return absl::OkStatus();
}

template <typename Kind>
auto LeaseLedger<Kind>::Current(Session& session, const LeaseId& id) -> absl::StatusOr<Held*> {
  auto lease = ParseLease(id);
  if (!lease.ok()) return lease.status();
  if (IsHeld(*lease)) {
    Held& held = held_.at(JobOf(*lease));
    if (held.session == &session) {
      held.acknowledged = true;
      held.last_named = options_.timer();
      return held.open() ? &held : nullptr;
    }
    if (held.worker_id != session.id) {
      return absl::FailedPreconditionError("the lease is another worker's");
    }
  }
  if (session.cancelled != *lease) {
    spdlog::info("lease {}: not current any more, worker {} is told to drop it", ToString(*lease),
                 session.id);
    TellToDrop(session, *lease, "LEASE_LOST");
  }
  session.stopping_since = options_.timer();
  return nullptr;
}

template <typename Kind>
bool LeaseLedger<Kind>::IsHeld(const Lease& lease) const {
  const auto found = held_.find(JobOf(lease));
  return found != held_.end() && found->second.lease == lease;
}

template <typename Kind>
void LeaseLedger<Kind>::AcceptAgain(Session& session, const Lease& lease) {
  spdlog::info("lease {}: worker {} is told again that its {} is committed", ToString(lease), session.id,
               Kind::kWork);
  if (session.stopping && session.cancelled == lease) Stopped(session);
  SendAccepted(session, lease);
}

template <typename Kind>
void LeaseLedger<Kind>::RefuseUpload(Held& held, const absl::Status& why) {
  spdlog::warn("lease {}: the upload of worker {} is refused: {}", ToString(held.lease), held.worker_id,
               why.ToString());
  if (absl::IsDataLoss(why)) {
    EndAttempt(held, Failure(why.code(), "UPLOAD_CORRUPT", CleanText(why.message(), kMaxFailureMessageBytes)),
               Kind::kRefused);
    return;
  }
  auto failure = Failure(absl::StatusCode::kUnavailable, "STORAGE_FAILED",
                         absl::StrCat("The server could not store the ", Kind::kResult, "."));
  failure.handed_back = true;
  PauseForStorage();
  EndAttempt(held, std::move(failure), Kind::kRefused);
}

template <typename Kind>
void LeaseLedger<Kind>::PauseForStorage() {
  storage_pause_ = std::clamp(2 * storage_pause_, kFirstStoragePause, kLongestStoragePause);
  storage_paused_until_ = options_.timer() + storage_pause_;
  spdlog::error("the artifact storage fails: no {} is leased for {}", Kind::kWork,
                absl::FormatDuration(storage_pause_));
}

template <typename Kind>
void LeaseLedger<Kind>::RunOnStorage(std::function<void()> work) {
  storage_->Submit(std::move(work));
}

template <typename Kind>
void LeaseLedger<Kind>::StoreUpload(Held& held, std::function<absl::StatusOr<Finished>()> store) {
  held.storing = true;
  held.session->reading_paused = true;
  RunOnStorage([this, lease = held.lease, stream = held.session->stream, store = std::move(store)] {
    auto finished = std::make_shared<absl::StatusOr<Finished>>(store());
    // Once the loop has stopped, what was stored stays behind for the sweeper, and the lease for the next
    // server.
    (void)loop_.Post([this, lease, stream, finished] {
      absl::MutexLock lock(&mu_);
      UploadStored(lease, *std::move(finished));
      if (Session* session = Find(stream.get()); session != nullptr) session->reading_paused = false;
      stream->ReadNext();
    });
  });
}

template <typename Kind>
void LeaseLedger<Kind>::UploadStored(const Lease& lease, absl::StatusOr<Finished> finished) {
  if (finished.ok()) storage_pause_ = absl::ZeroDuration();
  const auto found = held_.find(JobOf(lease));
  if (found == held_.end() || found->second.lease != lease || !found->second.storing) {
    if (finished.ok()) DiscardUnlessCommitted(lease, *finished);  // the job was cancelled meanwhile
    return;
  }
  Held& held = found->second;
  held.storing = false;
  if (!finished.ok()) {
    RefuseUpload(held, finished.status());
    return;
  }
  held.outcome = *std::move(finished);
  Settle(held);
}

}  // namespace svi::server

#endif  // SVI_SERVER_LEASE_LEASE_LEDGER_MESSAGES_H_
