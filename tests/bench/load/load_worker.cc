#include "tests/bench/load/load_worker.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"

namespace svi::load {
namespace {

constexpr size_t kChunk = 1 << 20;
constexpr absl::Duration kHeartbeat = absl::Seconds(1);

}  // namespace

absl::Duration Uptime() {
  static const absl::Time start = absl::Now();
  return absl::Now() - start;
}

LoadWorker::LoadWorker(std::shared_ptr<grpc::Channel> channel, const std::string& id,
                       const CheapEngine* engine, const Pace& pace, Timer* timer, WorkerFigures* figures)
    : engine_(engine),
      pace_(pace),
      timer_(timer),
      figures_(figures),
      stub_(v1::WorkerService::NewStub(std::move(channel))),
      stall_(pace.stall) {
  context_.set_wait_for_ready(true);
  stub_->async()->Work(&context_, this);
  StartRead(&incoming_);
  {
    absl::MutexLock lock(&mu_);
    v1::WorkerMessage message;
    message.mutable_register_()->set_worker_id(id);
    Send(std::move(message));
  }
  // Messages are sent from the timer's thread, too.
  AddHold();
  StartCall();
}

void LoadWorker::Heartbeat() {
  absl::MutexLock lock(&mu_);
  if (broken_) return;
  v1::WorkerMessage message;
  v1::Heartbeat& heartbeat = *message.mutable_heartbeat();
  if (working_) *heartbeat.mutable_lease() = lease_;
  Send(std::move(message));
}

grpc::Status LoadWorker::AwaitEnd() {
  absl::MutexLock lock(&mu_);
  mu_.Await(absl::Condition(&ended_));
  return status_;
}

void LoadWorker::OnReadDone(bool ok) {
  absl::MutexLock lock(&mu_);
  if (!ok) {
    broken_ = true;
    RemoveHold();
    return;
  }
  if (incoming_.has_assign()) {
    Take(incoming_.assign());
  } else if (incoming_.has_artifact_chunk()) {
    missing_ -= std::min<uint64_t>(missing_, incoming_.artifact_chunk().data().size());
    if (missing_ == 0) Begin();
  } else if (incoming_.has_clip_accepted()) {
    working_ = false;
    figures_->commit.Add(absl::Now() - done_at_);
    ++figures_->clips;
  } else if (incoming_.has_cancel() && IsCurrent(incoming_.cancel().lease())) {
    // Not one that a heartbeat has named which crossed the ClipAccepted.
    working_ = false;
    done_at_ = absl::InfiniteFuture();
  }
  StartRead(&incoming_);
}

bool LoadWorker::IsCurrent(const v1::LeaseId& lease) const {
  return working_ && lease.video() == lease_.video() && lease.clip_index() == lease_.clip_index() &&
         lease.epoch() == lease_.epoch();
}

void LoadWorker::Take(const v1::Assign& assign) {
  if (done_at_ != absl::InfiniteFuture()) figures_->hand_over.Add(absl::Now() - done_at_);
  if (figures_->assigned) figures_->assigned(assign.lease());
  lease_ = assign.lease();
  working_ = true;
  half_way_ = false;
  missing_ = assign.image_bytes() + assign.carry_bytes();
  if (missing_ == 0) Begin();
}

void LoadWorker::Begin() {
  if (pace_.clip == absl::ZeroDuration()) {
    Upload();
    return;
  }
  timer_->After(absl::ZeroDuration(),
                [this, lease = lease_, until = absl::Now() + pace_.clip] { Work(lease, until); });
}

void LoadWorker::Work(const v1::LeaseId& lease, absl::Time until) {
  absl::MutexLock lock(&mu_);
  if (!IsCurrent(lease)) return;
  const absl::Duration left = until - absl::Now();
  if (left <= absl::ZeroDuration()) {
    Upload();
    return;
  }
  v1::WorkerMessage message;
  *message.mutable_progress()->mutable_lease() = lease_;
  v1::Progress& progress = *message.mutable_progress()->mutable_progress();
  progress.set_stage(v1::STAGE_DENOISE);
  const int64_t now = absl::ToInt64Nanoseconds(Uptime());
  progress.mutable_eta()->set_seconds(now / 1'000'000'000);
  progress.mutable_eta()->set_nanos(static_cast<int32_t>(now % 1'000'000'000));
  if (pace_.progress != absl::InfiniteDuration()) Send(std::move(message));
  timer_->After(std::min(left, pace_.progress), [this, lease, until] { Work(lease, until); });
}

void LoadWorker::Upload() {
  SendChunks(v1::ARTIFACT_KIND_CLIP, engine_->mp4, 0, engine_->mp4.size());
  SendChunks(v1::ARTIFACT_KIND_CARRY, engine_->carry, 0, engine_->carry.size() / 2);
  half_way_ = true;
  if (stall_) {
    ++figures_->stalled;
  } else {
    UploadRest();
  }
}

void LoadWorker::UploadRest() {
  half_way_ = false;
  SendChunks(v1::ARTIFACT_KIND_CARRY, engine_->carry, engine_->carry.size() / 2, engine_->carry.size());
  v1::WorkerMessage message;
  *message.mutable_clip_done() = engine_->Done(lease_);
  if (figures_->done_sent) figures_->done_sent(lease_);
  done_at_ = absl::Now();
  Send(std::move(message));
}

void LoadWorker::GoOn() {
  absl::MutexLock lock(&mu_);
  stall_ = false;
  if (half_way_) UploadRest();
}

void LoadWorker::SendChunks(v1::ArtifactKind kind, const std::string& bytes, size_t from, size_t to) {
  for (size_t at = from; at < to; at += kChunk) {
    v1::WorkerMessage message;
    v1::ClipChunk& chunk = *message.mutable_clip_chunk();
    *chunk.mutable_lease() = lease_;
    chunk.set_kind(kind);
    chunk.set_offset(at);
    chunk.set_data(bytes.substr(at, std::min(kChunk, to - at)));
    Send(std::move(message));
  }
}

void LoadWorker::Send(v1::WorkerMessage message) {
  if (broken_) return;
  outgoing_.push_back(std::move(message));
  if (outgoing_.size() == 1) StartWrite(&outgoing_.front());
}

void LoadWorker::OnWriteDone(bool ok) {
  absl::MutexLock lock(&mu_);
  outgoing_.pop_front();
  if (!ok) {
    broken_ = true;
    outgoing_.clear();
    return;
  }
  if (!outgoing_.empty()) StartWrite(&outgoing_.front());
}

void LoadWorker::OnDone(const grpc::Status& status) {
  absl::MutexLock lock(&mu_);
  broken_ = true;
  status_ = status;
  ended_ = true;
}

WorkerPool::WorkerPool(const ServerProcess* server, const CheapEngine* engine)
    : server_(server), engine_(engine) {
  timer_.After(kHeartbeat, [this] { Beat(); });
}

WorkerPool::~WorkerPool() {
  timer_.Stop();
  absl::MutexLock lock(&mu_);
  for (const auto& worker : workers_) worker->Cancel();
  for (const auto& worker : workers_) (void)worker->AwaitEnd();
}

void WorkerPool::Add(int count, const Pace& pace) {
  for (int i = 0; i < count; ++i) {
    absl::MutexLock lock(&mu_);
    // A worker that registers ends the stream of an older one of its name.
    static std::atomic<int> made{0};
    const std::string id = absl::StrCat("load-", made++);
    workers_.push_back(
        std::make_unique<LoadWorker>(server_->Connect(), id, engine_, pace, &timer_, &figures_));
  }
}

void WorkerPool::GoOn() {
  absl::MutexLock lock(&mu_);
  for (const auto& worker : workers_) worker->GoOn();
}

void WorkerPool::Beat() {
  {
    absl::MutexLock lock(&mu_);
    for (const auto& worker : workers_) worker->Heartbeat();
  }
  timer_.After(kHeartbeat, [this] { Beat(); });
}

}  // namespace svi::load
