#include "worker/agent/agent.h"

#include <spdlog/spdlog.h>

#include <utility>

#include "absl/time/clock.h"
#include "client/sha256.h"
#include "client/training_client.h"
#include "worker/agent/failure.h"
#include "worker/agent/lease_text.h"
#include "worker/media/media.h"

namespace svi::worker {
Agent::Agent(engine::Engine* engine, WorkerMetrics* metrics, LoraCache* lora_cache, AgentOptions options)
    : LeaseAgent(options),
      engine_(engine),
      metrics_(metrics),
      lora_cache_(lora_cache),
      options_(std::move(options)),
      warm_(options_.warm_videos),
      watch_(options_.engine_patience, [this, mailbox = mailbox_] {
        options_.on_stuck();
        mailbox->Post([this] { OnStuck(); });
      }) {
  metrics_->SetMemory(engine_->memory());
}

Agent::~Agent() { Abandon(); }

void Agent::Abandon() {
  if (making_) making_->interrupt.Trigger();
}

void Agent::OnDraining() { spdlog::info(lease_ ? "draining: finishing the clip under way" : "draining"); }

void Agent::HandBackLease() {
  if (!lease_ || lease_->phase == Phase::kFailed) return;
  spdlog::info("lease {}: handed back", LeaseText(lease_->work->assign.lease()));
  Fail(HandedBack(lease_->work->assign.lease()), "handed_back");
}

void Agent::StartEngine() {
  if (making_ || !lease_ || lease_->phase != Phase::kMaking || lease_->started) return;
  lease_->started = true;
  making_ = lease_->work;
  engine_thread_.Run([this, work = making_, mailbox = mailbox_] {
    watch_.Alive();
    auto outcome = std::make_shared<ClipOutcome>(Make(work));
    watch_.Idle();
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
  watch_.Idle();  // fetching has a patience of its own
  if (absl::Status status = FetchLoras(*work); !status.ok()) {
    outcome.clip = status;
    return outcome;
  }
  watch_.Alive();
  ClipHooks hooks;
  hooks.cancelled = [this, work] {
    watch_.Alive();
    return work->interrupt.triggered();
  };
  hooks.progress = [this, work, mailbox = mailbox_](const v1::Progress& progress) {
    metrics_->OnProgress(progress, absl::Now());
    metrics_->SetMemory(engine_->memory());
    mailbox->Post([this, work, progress] { OnProgress(work, progress); });
  };
  static const std::string kNoCarry;
  const v1::ClipMeasures* first = assign.has_first_clip_measures() ? &assign.first_clip_measures() : nullptr;
  outcome.clip =
      MakeClip(*engine_, *plan, *outcome.picture, work->carry ? *work->carry : kNoCarry, first, hooks);
  if (outcome.clip.ok()) {
    outcome.clip_sha256 = Sha256::Of(outcome.clip->mp4);
    outcome.carry_sha256 = Sha256::Of(outcome.clip->carry);
  }
  return outcome;
}

absl::Status Agent::FetchLoras(ClipWork& work) {
  const v1::Assign& assign = work.assign;
  if (assign.spec().lora().empty()) return absl::OkStatus();
  client::ClientOptions options;
  options.endpoint = options_.endpoint;
  options.retry_for = options_.lora_patience;
  options.on_retry = [](const absl::Status& error, absl::Duration) {
    spdlog::warn("fetching a LoRA: {}; trying again", std::string(error.message()));
  };
  client::TrainingClient server(std::move(options), &work.interrupt);
  return lora_cache_->Provide(assign.spec().lora(), assign.published_loras(),
                              [&server](const std::string& name, client::FileDownload& file) {
                                return server.DownloadLora(name, file);
                              });
}

void Agent::OnProgress(const std::shared_ptr<ClipWork>& work, v1::Progress progress) {
  // Bounded: progress is for people, and a slow connection must not pile it up.
  constexpr size_t kMaxProgress = 256;
  if (!lease_ || lease_->work != work || lease_->phase != Phase::kMaking || !registered()) return;
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
      if (clip.drift) metrics_->SetDrift(*clip.drift);
      lease_->outcome = std::move(outcome);
      lease_->phase = Phase::kUploading;
      lease_->upload_start = absl::Now();
      PumpWrites();
    } else {
      spdlog::error("lease {}: failed: {}", LeaseText(id), outcome.clip.status().ToString());
      Fail(ToClipFailed(id, outcome.clip.status()), "failed");
    }
  } else if (!lease_ && registered()) {
    SendHeartbeat();  // names no lease: the server learns that the engine is free again
  }
  StartEngine();
}

void Agent::OnStuck() {
  if (!making_) return;  // it came to itself just now
  spdlog::critical("the engine has made no step for {}: it hangs; this worker ends",
                   absl::FormatDuration(options_.engine_patience));
  stuck_ = true;
  OnDrain(/*hand_back=*/true);  // first, or else the server would give it the clip once more
  if (lease_ && lease_->phase == Phase::kMaking) {
    Fail(EngineStuck(lease_->work->assign.lease()), "failed");
  }
}

void Agent::Fail(v1::ClipFailed failure, const char* outcome) {
  lease_->work->interrupt.Trigger();
  lease_->failure = std::move(failure);
  lease_->phase = Phase::kFailed;
  progress_.clear();
  metrics_->CountClip(outcome);
  PumpWrites();
}

void Agent::DropLease(const char* outcome) {
  lease_->work->interrupt.Trigger();
  lease_.reset();
  progress_.clear();
  metrics_->SetBusy(false);
  if (outcome) metrics_->CountClip(outcome);
}

}  // namespace svi::worker
