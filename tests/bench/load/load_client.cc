#include "tests/bench/load/load_client.h"

#include <cstdio>
#include <cstdlib>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "server/rpc/status.h"

namespace svi::load {
namespace {

[[noreturn]] void Fail(const char* what, const grpc::Status& status) {
  std::fprintf(stderr, "%s: %d: %s\n", what, status.error_code(), status.error_message().c_str());
  std::exit(1);
}

// What all callers of a CreateLoad have in common.
struct Crowd {
  v1::CreateVideoRequest request;
  CreateLoad* load = nullptr;
  Timer timer;
  absl::Mutex mu;
  int left ABSL_GUARDED_BY(mu) = 0;
  int busy ABSL_GUARDED_BY(mu) = 0;
};

class Caller {
 public:
  Caller(std::shared_ptr<grpc::Channel> channel, Crowd* crowd)
      : crowd_(crowd), stub_(v1::VideoService::NewStub(std::move(channel))) {}

  void Next() {
    {
      absl::MutexLock lock(&crowd_->mu);
      if (crowd_->left == 0) {
        --crowd_->busy;
        return;
      }
      --crowd_->left;
    }
    Call();
  }

 private:
  void Call() {
    context_ = std::make_unique<grpc::ClientContext>();
    context_->set_wait_for_ready(true);
    start_ = absl::Now();
    stub_->async()->CreateVideo(context_.get(), &crowd_->request, &video_,
                                [this](const grpc::Status& status) { Answered(status); });
  }
  void Answered(const grpc::Status& status) {
    google::rpc::RetryInfo retry;
    if (server::GetRetryInfo(server::FromGrpcStatus(status), &retry)) {
      {
        absl::MutexLock lock(&crowd_->mu);
        ++crowd_->load->refused;
      }
      const google::protobuf::Duration& delay = retry.retry_delay();
      crowd_->timer.After(absl::Seconds(delay.seconds()) + absl::Nanoseconds(delay.nanos()),
                          [this] { Call(); });
      return;
    }
    if (!status.ok()) Fail("CreateVideo", status);
    crowd_->load->latency.Add(absl::Now() - start_);
    {
      absl::MutexLock lock(&crowd_->mu);
      crowd_->load->names.push_back(video_.name());
    }
    Next();
  }

  Crowd* const crowd_;
  const std::unique_ptr<v1::VideoService::Stub> stub_;
  std::unique_ptr<grpc::ClientContext> context_;
  v1::Video video_;
  absl::Time start_;
};

}  // namespace

std::string CreateOne(v1::VideoService::Stub& stub, const v1::VideoSpec& spec) {
  grpc::ClientContext context;
  context.set_wait_for_ready(true);
  v1::CreateVideoRequest request;
  *request.mutable_spec() = spec;
  v1::Video video;
  const grpc::Status status = stub.CreateVideo(&context, request, &video);
  if (!status.ok()) Fail("CreateVideo", status);
  return video.name();
}

CreateLoad::CreateLoad(const ServerProcess& server, const v1::VideoSpec& spec, int callers, int count) {
  std::vector<std::unique_ptr<Caller>> all;  // outlives the timer
  Crowd crowd;
  *crowd.request.mutable_spec() = spec;
  crowd.load = this;
  for (int i = 0; i < callers; ++i) all.push_back(std::make_unique<Caller>(server.Connect(), &crowd));
  {
    absl::MutexLock lock(&crowd.mu);
    crowd.left = count;
    crowd.busy = callers;
  }
  const absl::Time start = absl::Now();
  for (const auto& caller : all) caller->Next();
  {
    absl::MutexLock lock(&crowd.mu);
    const auto done = [&crowd]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(crowd.mu) { return crowd.busy == 0; };
    crowd.mu.Await(absl::Condition(&done));
  }
  rate = count / absl::ToDoubleSeconds(absl::Now() - start);
  crowd.timer.Stop();
}

Watcher::Watcher(v1::VideoService::Stub* stub, const std::string& name, OnEvent on_event, bool reading)
    : on_event_(std::move(on_event)) {
  request_.set_name(name);
  context_.set_wait_for_ready(true);
  stub->async()->WatchVideo(&context_, &request_, this);
  if (reading) Read();
  // Until the end is read, there may be a Read to come.
  AddHold();
  StartCall();
}

void Watcher::Read() {
  if (!reading_.exchange(true)) StartRead(&event_);
}

void Watcher::Cancel() {
  context_.TryCancel();
  Read();  // the end, at least
}

void Watcher::AwaitOpen() {
  absl::MutexLock lock(&mu_);
  mu_.Await(absl::Condition(&open_));
}

grpc::Status Watcher::AwaitEnd() {
  absl::MutexLock lock(&mu_);
  mu_.Await(absl::Condition(&ended_));
  return status_;
}

void Watcher::OnReadInitialMetadataDone(bool) {
  absl::MutexLock lock(&mu_);
  open_ = true;
}

void Watcher::OnReadDone(bool ok) {
  if (!ok) {
    RemoveHold();
    return;
  }
  if (on_event_) on_event_(event_);
  StartRead(&event_);
}

void Watcher::OnDone(const grpc::Status& status) {
  absl::MutexLock lock(&mu_);
  status_ = status;
  open_ = true;
  ended_ = true;
}

WatcherPool::~WatcherPool() {
  for (const auto& watcher : watchers_) watcher->Cancel();
  for (const auto& watcher : watchers_) (void)watcher->AwaitEnd();
}

void WatcherPool::Add(const std::string& name, Watcher::OnEvent on_event, bool reading) {
  if (watchers_.size() % kStreamsOfConnection == 0) {
    stubs_.push_back(v1::VideoService::NewStub(server_->Connect(window_)));
  }
  watchers_.push_back(std::make_unique<Watcher>(stubs_.back().get(), name, std::move(on_event), reading));
}

void WatcherPool::AwaitOpen() {
  for (const auto& watcher : watchers_) watcher->AwaitOpen();
}

void WatcherPool::Read() {
  for (const auto& watcher : watchers_) watcher->Read();
}

std::vector<grpc::Status> WatcherPool::AwaitEnd() {
  std::vector<grpc::Status> statuses;
  statuses.reserve(watchers_.size());
  for (const auto& watcher : watchers_) statuses.push_back(watcher->AwaitEnd());
  return statuses;
}

}  // namespace svi::load
