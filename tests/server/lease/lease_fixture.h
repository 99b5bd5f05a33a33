// A real server for workers (gRPC over a socket, SQLite and files in a temporary folder), a scripted worker,
// and a clock that stands still until it is moved.
#ifndef SVI_TESTS_SERVER_LEASE_LEASE_FIXTURE_H_
#define SVI_TESTS_SERVER_LEASE_LEASE_FIXTURE_H_

#include <grpcpp/grpcpp.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/synchronization/mutex.h"
#include "absl/time/clock.h"
#include "server/artifacts/artifact_store.h"
#include "server/lease/dispatcher.h"
#include "server/metrics/server_metrics.h"
#include "server/queue/job_store.h"
#include "server/queue/training_store.h"
#include "server/stream/event_hub.h"
#include "svi/v1/worker_service.grpc.pb.h"

namespace svi::server {

class FakeClock {
 public:
  absl::Time Now() const {
    absl::MutexLock lock(&mu_);
    return now_;
  }
  void Advance(absl::Duration by) {
    absl::MutexLock lock(&mu_);
    now_ += by;
  }

 private:
  mutable absl::Mutex mu_;
  absl::Time now_ ABSL_GUARDED_BY(mu_) = absl::FromUnixSeconds(1'800'000'000);
};

// An Assign with all that came after it.
struct Job {
  v1::Assign assign;
  std::string image;
  std::string carry;
};

// The lease of something that is not there.
inline void SetNobodys(uint64_t epoch, v1::LeaseId* lease) {
  lease->set_video("videos/barrier");
  lease->set_epoch(epoch);
}
inline void SetNobodys(uint64_t epoch, v1::RunLease* lease) {
  lease->set_training_run("trainingRuns/barrier");
  lease->set_epoch(epoch);
}

// The same part of both kinds of messages.
inline v1::ClipFailed* MutableFailed(v1::WorkerMessage& message) { return message.mutable_clip_failed(); }
inline v1::TrainingFailed* MutableFailed(v1::TrainerMessage& message) { return message.mutable_failed(); }
inline const v1::LeaseId* Accepted(const v1::ServerMessage& message) {
  return message.has_clip_accepted() ? &message.clip_accepted().lease() : nullptr;
}
inline const v1::RunLease* Accepted(const v1::TrainerOrder& message) {
  return message.has_accepted() ? &message.accepted().lease() : nullptr;
}

// One stream, driven line by line. Reads block; a stream that hangs ends by its deadline and fails the test.
template <typename Sent, typename Received, typename LeaseId>
class ScriptedStream {
 public:
  ~ScriptedStream() {
    context_.TryCancel();
    (void)End();
  }

  void Send(const Sent& message) { (void)stream_->Write(message); }
  // The next message, or nullopt if the stream has ended.
  std::optional<Received> Next() {
    Received message;
    if (!stream_->Read(&message)) return std::nullopt;
    return message;
  }
  // The status with which the server ended the stream; reads what is left.
  grpc::Status End() {
    if (ended_) return *ended_;
    while (Next()) {
    }
    ended_ = stream_->Finish();
    return *ended_;
  }
  // Cuts the connection off, as a dead network does.
  void Vanish() { context_.TryCancel(); }

  void Heartbeat(const std::optional<LeaseId>& lease = std::nullopt, bool draining = false) {
    Sent message;
    message.mutable_heartbeat()->set_draining(draining);
    if (lease) *message.mutable_heartbeat()->mutable_lease() = *lease;
    Send(message);
  }
  void Fail(const LeaseId& lease, const std::string& reason, bool permanent, bool handed_back) {
    Sent message;
    auto& failed = *MutableFailed(message);
    *failed.mutable_lease() = lease;
    failed.mutable_error()->set_code(8);
    failed.mutable_error()->set_reason(reason);
    failed.mutable_error()->set_message("It did not work.");
    failed.set_permanent(permanent);
    failed.set_handed_back(handed_back);
    Send(message);
  }
  // Expects to be told that what came of that lease is committed.
  void ExpectAccepted(const LeaseId& lease) {
    const auto message = Next();
    ASSERT_TRUE(message.has_value()) << "the stream ended";
    ASSERT_NE(Accepted(*message), nullptr) << message->ShortDebugString();
    EXPECT_EQ(Accepted(*message)->SerializeAsString(), lease.SerializeAsString());
  }
  // Expects to be told to drop that lease.
  void ExpectCancel(const LeaseId& lease, const std::string& reason) {
    const auto message = Next();
    ASSERT_TRUE(message.has_value()) << "the stream ended";
    ASSERT_TRUE(message->has_cancel()) << message->ShortDebugString();
    EXPECT_EQ(message->cancel().lease().SerializeAsString(), lease.SerializeAsString());
    EXPECT_EQ(message->cancel().reason(), reason);
  }
  // Returns when the server has dealt with everything sent before: it asks about a lease that cannot be.
  void Barrier() {
    LeaseId nobodys;
    SetNobodys(++barriers_, &nobodys);
    Sent message;
    *message.mutable_progress()->mutable_lease() = nobodys;
    Send(message);
    ExpectCancel(nobodys, "LEASE_LOST");
  }

 protected:
  explicit ScriptedStream(const std::shared_ptr<grpc::Channel>& channel)
      : stub_(v1::WorkerService::NewStub(channel)) {
    context_.set_deadline(absl::ToChronoTime(absl::Now() + absl::Seconds(60)));
  }

  std::unique_ptr<v1::WorkerService::Stub> stub_;
  grpc::ClientContext context_;
  std::unique_ptr<grpc::ClientReaderWriter<Sent, Received>> stream_;  // opened by the subclass
  std::optional<grpc::Status> ended_;
  uint64_t barriers_ = 0;
};

class ScriptedWorker : public ScriptedStream<v1::WorkerMessage, v1::ServerMessage, v1::LeaseId> {
 public:
  explicit ScriptedWorker(const std::shared_ptr<grpc::Channel>& channel) : ScriptedStream(channel) {
    stream_ = stub_->Work(&context_);
  }

  // Registers, and returns the answer.
  v1::Registered Register(const std::string& id, const std::optional<v1::LeaseId>& holding = std::nullopt,
                          const std::vector<std::string>& loras = {});
  // A heartbeat that tells of other LoRAs.
  void TellLoras(const std::vector<std::string>& loras);
  // Expects an Assign and takes in its inputs.
  Job TakeJob();
  void SendChunk(const v1::LeaseId& lease, v1::ArtifactKind kind, uint64_t offset, const std::string& data);
  void SendDone(const v1::LeaseId& lease, const std::string& clip, const std::string& carry);
  // All of an upload, and ClipDone.
  void Upload(const v1::LeaseId& lease, const std::string& clip, const std::string& carry);
};

class LeaseTest : public testing::Test {
 protected:
  LeaseTest();
  ~LeaseTest() override;

  // Options for the next StartServer.
  DispatcherOptions options_;
  // Starts the server on the store that is there; the constructor has done so once.
  void StartServer();
  void StopServer();
  std::unique_ptr<ScriptedWorker> Connect() { return std::make_unique<ScriptedWorker>(channel_); }

  // The worker may have its answer while the dispatcher still tidies up: waits for what it is at. Those below
  // do so first.
  void AwaitTask() const {
    (void)dispatcher_->Idle();
    (void)dispatcher_->TrainersIdle();
  }
  // A queued video; clips = prompts.
  void MakeVideo(const std::string& id, int clips, int priority = 0, size_t image_bytes = 1000,
                 const std::vector<std::string>& loras = {});
  v1::Video Video(const std::string& id);
  // The video's events of that kind.
  int CountEvents(const std::string& id, v1::VideoEvent::EventCase kind);
  std::string ReadClip(const std::string& id, uint32_t index);
  // Returns when the server has noticed that this worker's stream is gone.
  void AwaitGone(const std::string& id);
  // Moves the clock beyond the lease timeout and runs a pass.
  void LetLeasesExpire();
  bool Exists(const std::string& key) const;
  // Waits until the artifact has been deleted, which the dispatcher does in its own time; false if it is not.
  bool Vanishes(const std::string& key) const;
  // Files of the ArtifactStore that are half written.
  int PartialFiles() const;

  std::filesystem::path dir_;
  FakeClock clock_;
  std::unique_ptr<JobStore> store_;
  std::unique_ptr<TrainingStore> training_;
  std::unique_ptr<ArtifactStore> artifacts_;
  EventHub hub_;
  TrainingHub training_hub_;
  ServerMetrics metrics_;
  std::unique_ptr<Dispatcher> dispatcher_;
  std::unique_ptr<grpc::Server> server_;
  std::shared_ptr<grpc::Channel> channel_;
};

// The server ended the stream with `code`, or, because a write was still under way, without waiting to say
// so.
bool IsCutOff(const grpc::Status& status, grpc::StatusCode code);
std::string Bytes(size_t count, char seed);
v1::LeaseId LeaseIdOf(const std::string& video, uint32_t clip, uint64_t epoch);

}  // namespace svi::server

#endif  // SVI_TESTS_SERVER_LEASE_LEASE_FIXTURE_H_
