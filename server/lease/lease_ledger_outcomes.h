// Private to lease_ledger.cc: how leases end: committed, failed, or taken away.
#ifndef SVI_SERVER_LEASE_LEASE_LEDGER_OUTCOMES_H_
#define SVI_SERVER_LEASE_LEASE_LEDGER_OUTCOMES_H_

#include <spdlog/spdlog.h>

#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "absl/strings/str_cat.h"
#include "server/lease/lease_ledger.h"
#include "server/lease/trainer_messages.h"
#include "server/lease/worker_messages.h"

namespace svi::server {

// Of svi_clips_total and svi_training_attempts_total.
inline const char* OutcomeLabel(const JobStore::FailedAttempt& failure) {
  const std::string& reason = failure.error.reason();
  if (failure.handed_back) return "handed_back";
  if (failure.permanent) return "permanent";
  if (reason == "LEASE_EXPIRED" || reason == "LEASE_LOST") return "expired";
  if (reason == "UPLOAD_CORRUPT" || reason == "STORAGE_FAILED") return "refused";
  return "failed";
}

template <typename Kind>
JobStore::FailedAttempt LeaseLedger<Kind>::Failure(absl::StatusCode code, const char* reason,
                                                   std::string message) const {
  JobStore::FailedAttempt failure;
  failure.error.set_code(static_cast<int>(code));
  failure.error.set_reason(reason);
  failure.error.set_message(std::move(message));
  failure.max_attempts = options_.max_attempts;
  return failure;
}

template <typename Kind>
void LeaseLedger<Kind>::TellToDrop(Session& session, const Lease& lease, const std::string& reason) {
  session.cancelled = lease;
  // A worker that has another lease by now has long stopped.
  if (!session.job) {
    session.stopping = true;
    session.stopping_since = options_.timer();
  }
  Outgoing message;
  *message.mutable_cancel()->mutable_lease() = ToLeaseId(lease);
  message.mutable_cancel()->set_reason(reason);
  session.stream->Send(std::move(message));
}

template <typename Kind>
void LeaseLedger<Kind>::Detach(Held& held, const std::string& tell_worker) {
  Session* session = std::exchange(held.session, nullptr);
  if (session == nullptr) return;
  session->job.reset();
  session->idle_since = options_.timer();
  if (!tell_worker.empty()) TellToDrop(*session, held.lease, tell_worker);
  PublishState(*session);
}

template <typename Kind>
void LeaseLedger<Kind>::EndAttempt(Held& held, JobStore::FailedAttempt failure,
                                   const std::string& tell_worker) {
  Detach(held, tell_worker);
  spdlog::warn("lease {}: worker {}, attempt {} {}: {}: {}", ToString(held.lease), held.worker_id,
               held.attempt, failure.handed_back ? "handed back" : "failed", failure.error.reason(),
               failure.error.message());
  CountEnd(OutcomeLabel(failure));
  held.outcome = std::move(failure);
  Settle(held);
}

template <typename Kind>
bool LeaseLedger<Kind>::Settle(Held& held) {
  match_wanted_ = true;
  return std::holds_alternative<Finished>(held.outcome) ? SettleFinished(held) : SettleFailed(held);
}

template <typename Kind>
bool LeaseLedger<Kind>::SettleFinished(Held& held) {
  const Finished finished = std::get<Finished>(held.outcome);
  const absl::Status status = Commit(held, finished);
  if (absl::IsUnavailable(status)) {
    spdlog::error("lease {}: not committed yet, will be tried again: {}", ToString(held.lease),
                  status.ToString());
    return false;
  }
  // A commit whose answer got lost looks like a lease that is not current: then it is there all the same.
  const absl::StatusOr<bool> committed =
      absl::IsAborted(status) ? RecallCommitted(held.lease, nullptr) : absl::StatusOr<bool>(status.ok());
  if (!committed.ok()) {
    spdlog::error("lease {}: whether it is committed is not known yet: {}", ToString(held.lease),
                  committed.status().ToString());
    return false;
  }
  if (*committed) {
    AcceptResult(held, finished);
    return true;
  }
  Discard(finished);
  spdlog::warn("lease {}: worker {}, attempt {}: its {} is refused: {}", ToString(held.lease), held.worker_id,
               held.attempt, Kind::kResult, status.ToString());
  CountEnd("refused");
  if (absl::IsAborted(status) || absl::IsNotFound(status)) {
    Detach(held, "LEASE_LOST");
    held_.erase(std::string(JobOf(held.lease)));
    return true;
  }
  Detach(held, Kind::kRefused);
  held.outcome = Failure(absl::StatusCode::kInternal, "STORAGE_FAILED",
                         absl::StrCat("The server could not commit the ", Kind::kResult, "."));
  return SettleFailed(held);
}

template <typename Kind>
void LeaseLedger<Kind>::DiscardUnlessCommitted(const Lease& lease, const Finished& finished) {
  const absl::StatusOr<bool> committed = RecallCommitted(lease, nullptr);
  if (committed.ok() && !*committed) Discard(finished);
}

template <typename Kind>
void LeaseLedger<Kind>::AcceptResult(Held& held, const Finished& finished) {
  const Lease lease = held.lease;
  Session* session = held.session;
  Committed(held, finished);
  Detach(held, "");
  held_.erase(JobOf(lease));
  Changed(JobOf(lease));
  if (session != nullptr) SendAccepted(*session, lease);
}

template <typename Kind>
void LeaseLedger<Kind>::SendAccepted(Session& session, const Lease& lease) {
  Outgoing message;
  *Kind::MutableAccepted(message) = ToLeaseId(lease);
  session.stream->Send(std::move(message));
}

template <typename Kind>
bool LeaseLedger<Kind>::SettleFailed(Held& held) {
  const std::string id = JobOf(held.lease);
  const absl::Status status = StoreFailure(held, std::get<JobStore::FailedAttempt>(held.outcome));
  if (absl::IsUnavailable(status)) {
    spdlog::error("lease {}: its end is not stored yet, will be tried again: {}", ToString(held.lease),
                  status.ToString());
    return false;
  }
  if (!status.ok()) {
    spdlog::warn("lease {}: had ended already: {}", ToString(held.lease), status.ToString());
  }
  held_.erase(id);
  Changed(id);
  return true;
}

template <typename Kind>
void LeaseLedger<Kind>::DeleteArtifacts(const std::vector<ArtifactRef>& artifacts) {
  for (const ArtifactRef& artifact : artifacts) {
    const absl::Status status = artifacts_->Delete(artifact);
    // Harmless but for its bytes.
    if (!status.ok()) spdlog::warn("artifact {} is left behind: {}", artifact.key, status.ToString());
  }
}

template <typename Kind>
void LeaseLedger<Kind>::DropJob(const std::string& id) {
  const auto found = held_.find(id);
  if (found == held_.end()) return;
  Held& held = found->second;
  spdlog::info("lease {}: worker {}, attempt {}: {}", ToString(held.lease), held.worker_id, held.attempt,
               Kind::kEnded);
  if (const auto* finished = std::get_if<Finished>(&held.outcome))
    DiscardUnlessCommitted(held.lease, *finished);
  CountEnd("cancelled");
  Detach(held, Kind::kEnded);
  held_.erase(found);
  match_wanted_ = true;
}

}  // namespace svi::server

#endif  // SVI_SERVER_LEASE_LEASE_LEDGER_OUTCOMES_H_
