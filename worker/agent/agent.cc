#include "worker/agent/agent.h"

#include <spdlog/spdlog.h>

#include <algorithm>
#include <utility>

#include "absl/time/clock.h"
#include "client/sha256.h"
#include "worker/agent/failure.h"
#include "worker/agent/lease_text.h"
#include "worker/agent/memory.h"
#include "worker/media/media.h"

namespace svi::worker {
namespace {

// After a hand-back, and after the last message: how long the server may take.
constexpr absl::Duration kGoodbye = absl::Seconds(5);
// Between the news that no more work is wanted and the end of the stream: an Assign that crosses it is handed
// back.
constexpr absl::Duration kLinger = absl::Milliseconds(200);

}  // namespace

Agent::Agent(engine::Engine* engine, WorkerMetrics* metrics, AgentOptions options)
    : engine_(engine),
      metrics_(metrics),
      options_(std::move(options)),
      backoff_(options_.min_backoff),
      warm_(options_.warm_videos) {
  metrics_->SetMemory(engine_->memory());
}

Agent::~Agent() {
  if (making_) making_->cancelled = true;
}

void Agent::Run() {
  while (true) {
    const absl::Time now = absl::Now();
    OnTimers(now);
    if (Finished(now)) break;
    mailbox_->RunOne(NextDeadline());
  }
  if (stream_) {
    Disconnected();
  }
  const absl::Time deadline = absl::Now() + kGoodbye;
  while (open_streams_ > 0 && mailbox_->RunOne(deadline)) {
  }
  if (making_) making_->cancelled = true;
  spdlog::info("stopped");
}

void Agent::Drain() {
  mailbox_->Post([this] { OnDrain(false); });
}

void Agent::HandBack() {
  mailbox_->Post([this] { OnDrain(true); });
}

absl::Time Agent::NextDeadline() const {
  absl::Time next =
      std::min({drain_deadline_, exit_deadline_, close_time_, next_heartbeat_, register_deadline_});
  if (!stream_) next = std::min(next, next_connect_);
  return next;
}

void Agent::OnTimers(absl::Time now) {
  if (now >= drain_deadline_) {
    drain_deadline_ = absl::InfiniteFuture();
    HandBackNow();
  }
  if (now >= register_deadline_ && stream_) {
    spdlog::warn("the server does not answer");
    Disconnected();
  }
  if (!stream_ && now >= next_connect_ && !(draining_ && !lease_)) Connect();
  if (now >= next_heartbeat_) SendHeartbeat();
  if (now >= close_time_) {
    close_time_ = absl::InfiniteFuture();
    if (stream_ && !half_closed_ && !writing_) {
      half_closed_ = true;
      stream_->HalfClose();
    }
  }
}

// Draining, nothing held, and the server has heard all there is to say or cannot be reached.
bool Agent::Finished(absl::Time now) {
  if (!draining_) return false;
  if (now >= exit_deadline_) return true;
  if (lease_) return false;
  if (!stream_ || !registered_) return true;
  if (exit_deadline_ == absl::InfiniteFuture()) exit_deadline_ = now + kGoodbye;
  const bool all_said = !writing_ && control_.empty();
  if (all_said && !half_closed_ && close_time_ == absl::InfiniteFuture()) close_time_ = now + kLinger;
  return false;
}

void Agent::OnDrain(bool hand_back) {
  if (!draining_) {
    draining_ = true;
    spdlog::info(lease_ ? "draining: finishing the clip under way" : "draining");
    drain_deadline_ = absl::Now() + options_.drain_timeout;
    if (registered_) SendHeartbeat();
  }
  if (hand_back) drain_deadline_ = absl::InfinitePast();
}

void Agent::HandBackNow() {
  exit_deadline_ = absl::Now() + kGoodbye;
  if (!lease_ || lease_->phase == Phase::kFailed) return;
  spdlog::info("lease {}: handed back", LeaseText(lease_->work->assign.lease()));
  Fail(HandedBack(lease_->work->assign.lease()), "handed_back");
}

void Agent::StartEngine() {
  if (making_ || !lease_ || lease_->phase != Phase::kMaking || lease_->started) return;
  lease_->started = true;
  making_ = lease_->work;
  engine_thread_.Run([this, work = making_, mailbox = mailbox_] {
    auto outcome = std::make_shared<ClipOutcome>(Make(work));
    mailbox->Post([this, work, outcome] { OnMade(work, std::move(*outcome)); });
  });
}

Agent::ClipOutcome Agent::Make(const std::shared_ptr<ClipWork>& work) {
  ClipOutcome outcome;
  outcome.picture = work->picture;
  if (!outcome.picture) {
    absl::StatusOr<engine::Picture> picture = media::DecodePicture(work->image);
    work->image = std::string();
    if (!picture.ok()) {
      outcome.clip = WithReason(picture.status(), "BAD_PICTURE");
      return outcome;
    }
    outcome.picture = std::make_shared<engine::Picture>(*std::move(picture));
  }
  const v1::Assign& assign = work->assign;
  absl::StatusOr<ClipPlan> plan = PlanClip(assign.spec(), assign.lease().clip_index(), assign.prompt(),
                                           assign.seed(), engine_->info().defaults, *outcome.picture);
  if (!plan.ok()) {
    outcome.clip = plan.status();
    return outcome;
  }
  ClipHooks hooks;
  hooks.cancelled = [work] { return work->cancelled.load(); };
  hooks.progress = [this, work, mailbox = mailbox_](const v1::Progress& progress) {
    metrics_->OnProgress(progress, absl::Now());
    metrics_->SetMemory(engine_->memory());
    mailbox->Post([this, work, progress] { OnProgress(work, progress); });
  };
  static const std::string kNoCarry;
  outcome.clip = MakeClip(*engine_, *plan, *outcome.picture, work->carry ? *work->carry : kNoCarry, hooks);
  if (outcome.clip.ok()) {
    outcome.clip_sha256 = Sha256::Of(outcome.clip->mp4);
    outcome.carry_sha256 = Sha256::Of(outcome.clip->carry);
  }
  return outcome;
}

void Agent::OnProgress(const std::shared_ptr<ClipWork>& work, v1::Progress progress) {
  // Bounded: progress is for people, and a slow connection must not pile it up.
  constexpr size_t kMaxProgress = 256;
  if (!lease_ || lease_->work != work || lease_->phase != Phase::kMaking || !registered_) return;
  v1::WorkerMessage message;
  *message.mutable_progress()->mutable_lease() = work->assign.lease();
  *message.mutable_progress()->mutable_progress() = std::move(progress);
  progress_.push_back(std::move(message));
  if (progress_.size() > kMaxProgress) progress_.pop_front();
  PumpWrites();
}

void Agent::OnMade(const std::shared_ptr<ClipWork>& work, ClipOutcome outcome) {
  making_.reset();
  if (lease_ && lease_->work == work && lease_->phase == Phase::kMaking) {
    const v1::LeaseId& id = work->assign.lease();
    if (outcome.clip.ok()) {
      const MadeClip& clip = *outcome.clip;
      spdlog::info("lease {}: made, {} frames, {} + {} bytes", LeaseText(id), clip.frame_count,
                   clip.mp4.size(), clip.carry.size());
      if (clip.lora_time > absl::ZeroDuration()) metrics_->ObserveLoraSwitch(clip.lora_time);
      metrics_->ObserveStage("encode", clip.encode_time);
      metrics_->ObserveStage("denoise", clip.denoise_time);
      metrics_->ObserveStage("decode", clip.decode_time);
      metrics_->ObserveStage("mux", clip.mux_time);
      lease_->outcome = std::move(outcome);
      lease_->phase = Phase::kUploading;
      lease_->upload_start = absl::Now();
      PumpWrites();
    } else {
      spdlog::error("lease {}: failed: {}", LeaseText(id), outcome.clip.status().ToString());
      Fail(ToClipFailed(id, outcome.clip.status()), "failed");
    }
  } else if (!lease_ && registered_) {
    SendHeartbeat();  // names no lease: the server learns that the engine is free again
  }
  StartEngine();
}

void Agent::Fail(v1::ClipFailed failure, const char* outcome) {
  lease_->work->cancelled = true;
  lease_->failure = std::move(failure);
  lease_->phase = Phase::kFailed;
  progress_.clear();
  metrics_->CountClip(outcome);
  PumpWrites();
}

void Agent::DropLease(const char* outcome) {
  lease_->work->cancelled = true;
  lease_.reset();
  progress_.clear();
  metrics_->SetBusy(false);
  if (outcome) metrics_->CountClip(outcome);
}

}  // namespace svi::worker
