// Workers that do not keep to the protocol: their stream ends, the server goes on.
#include <gmock/gmock.h>
#include <grpcpp/generic/generic_stub.h>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "tests/server/lease/lease_fixture.h"

namespace svi::server {
namespace {

using testing::HasSubstr;

class ProtocolTest : public LeaseTest {
 protected:
  // A worker that holds cat's clip 0.
  std::unique_ptr<ScriptedWorker> Holder() {
    MakeVideo("cat", 1);
    auto worker = Connect();
    worker->Register("w1");
    lease_ = worker->TakeJob().assign.lease();
    return worker;
  }
  v1::LeaseId lease_;
};

TEST_F(ProtocolTest, RegisterMustComeFirst) {
  auto worker = Connect();
  worker->Heartbeat();
  EXPECT_EQ(worker->End().error_code(), grpc::StatusCode::FAILED_PRECONDITION);
}

TEST_F(ProtocolTest, RegisterMustComeOnce) {
  auto worker = Connect();
  worker->Register("w1");
  v1::WorkerMessage message;
  message.mutable_register_()->set_worker_id("w1");
  worker->Send(message);
  EXPECT_EQ(worker->End().error_code(), grpc::StatusCode::FAILED_PRECONDITION);
  EXPECT_TRUE(dispatcher_->ListWorkers().empty());
}

TEST_F(ProtocolTest, BadWorkerIds) {
  for (const std::string& id :
       {std::string(), std::string("Upper"), std::string("a/../b"), std::string(65, 'a')}) {
    SCOPED_TRACE(id);
    auto worker = Connect();
    v1::WorkerMessage message;
    message.mutable_register_()->set_worker_id(id);
    worker->Send(message);
    const grpc::Status status = worker->End();
    EXPECT_EQ(status.error_code(), grpc::StatusCode::INVALID_ARGUMENT);
    EXPECT_THAT(status.error_message(), HasSubstr("worker_id"));
  }
}

TEST_F(ProtocolTest, AnEmptyMessage) {
  auto worker = Connect();
  worker->Register("w1");
  worker->Send(v1::WorkerMessage());
  EXPECT_EQ(worker->End().error_code(), grpc::StatusCode::INVALID_ARGUMENT);
}

TEST_F(ProtocolTest, LeasesThatAreNone) {
  v1::LeaseId no_epoch = LeaseIdOf("cat", 0, 0);
  v1::LeaseId no_prefix = LeaseIdOf("cat", 0, 1);
  no_prefix.set_video("cat");
  for (const v1::LeaseId& lease : {v1::LeaseId(), no_epoch, no_prefix, LeaseIdOf("../../etc/passwd", 0, 1)}) {
    SCOPED_TRACE(lease.ShortDebugString());
    auto worker = Connect();
    worker->Register("w1");
    worker->SendChunk(lease, v1::ARTIFACT_KIND_CLIP, 0, "x");
    EXPECT_EQ(worker->End().error_code(), grpc::StatusCode::INVALID_ARGUMENT);
  }
}

TEST_F(ProtocolTest, ALeaseNobodyHasIsToBeDropped) {
  auto worker = Connect();
  worker->Register("w1");
  const v1::LeaseId lease = LeaseIdOf("no-such-video", 7, 3);
  worker->SendDone(lease, "clip", "carry");
  worker->ExpectCancel(lease, "LEASE_LOST");
}

TEST_F(ProtocolTest, AnotherWorkersLease) {
  auto holder = Holder();
  auto thief = Connect();
  thief->Register("w2");
  thief->Upload(lease_, "stolen", "carry");
  EXPECT_EQ(thief->End().error_code(), grpc::StatusCode::FAILED_PRECONDITION);
  holder->Upload(lease_, "clip", "carry");
  holder->ExpectAccepted(lease_);
  EXPECT_EQ(ReadClip("cat", 0), "clip");
}

TEST_F(ProtocolTest, BadChunksEndTheStreamAndTheAttempt) {
  MakeVideo("cat", 1);
  const std::string big((1 << 20) + 1, 'x');
  const std::pair<v1::ArtifactKind, std::string> bad[] = {{v1::ARTIFACT_KIND_UNSPECIFIED, "x"},
                                                          {static_cast<v1::ArtifactKind>(9), "x"},
                                                          {v1::ARTIFACT_KIND_CLIP, big}};
  for (const auto& [kind, data] : bad) {
    auto worker = Connect();
    worker->Register("w1");
    const v1::LeaseId lease = worker->TakeJob().assign.lease();
    worker->SendChunk(lease, kind, 0, data);
    EXPECT_EQ(worker->End().error_code(), grpc::StatusCode::INVALID_ARGUMENT);
  }
  EXPECT_EQ(Video("cat").state(), v1::VIDEO_STATE_FAILED);
  EXPECT_EQ(Video("cat").error().reason(), "WORKER_MISBEHAVED");
}

TEST_F(ProtocolTest, BytesThatAreNoMessage) {
  grpc::ClientContext context;
  context.set_deadline(absl::ToChronoTime(absl::Now() + absl::Seconds(60)));
  grpc::GenericStub stub(channel_);
  grpc::CompletionQueue queue;
  auto call = stub.PrepareCall(&context, "/svi.v1.WorkerService/Work", &queue);
  void* tag = nullptr;
  bool ok = false;
  call->StartCall(&call);
  queue.Next(&tag, &ok);
  ASSERT_TRUE(ok);
  const grpc::Slice garbage("\xff\xff\xff\xff garbage");
  call->Write(grpc::ByteBuffer(&garbage, 1), &call);
  queue.Next(&tag, &ok);
  grpc::Status status;
  call->Finish(&status, &call);
  queue.Next(&tag, &ok);
  queue.Shutdown();
  while (queue.Next(&tag, &ok)) {
  }
  // The server is as it was.
  auto worker = Holder();
  worker->Upload(lease_, "clip", "carry");
  worker->ExpectAccepted(lease_);
}

TEST_F(ProtocolTest, AFailureTextIsCleanedBeforeItIsStored) {
  auto worker = Holder();
  v1::WorkerMessage message;
  v1::ClipFailed& failed = *message.mutable_clip_failed();
  *failed.mutable_lease() = lease_;
  failed.set_permanent(true);
  failed.mutable_error()->set_code(4711);
  failed.mutable_error()->set_message(absl::StrCat("a\x1b[31m\n", std::string(100'000, 'z')));
  worker->Send(message);
  MakeVideo("dog", 1);
  worker->TakeJob();
  const v1::Failure error = Video("cat").error();
  EXPECT_EQ(error.code(), 2);
  EXPECT_EQ(error.reason(), "WORKER_FAILED");
  EXPECT_EQ(error.message().size(), 1024u);
  EXPECT_EQ(error.message().substr(0, 7), "a?[31m?");
}

TEST_F(ProtocolTest, AStreamThatNeverRegistersIsEnded) {
  auto worker = Connect();
  auto witness = Connect();
  witness->Register("w1");
  // Streams are opened in the order in which they come, so the silent one is known once the next is; but a
  // call reaches the server only with its first bytes.
  LetLeasesExpire();
  EXPECT_TRUE(IsCutOff(witness->End(), grpc::StatusCode::DEADLINE_EXCEEDED));
  LetLeasesExpire();
  EXPECT_TRUE(IsCutOff(worker->End(), grpc::StatusCode::DEADLINE_EXCEEDED));
}

}  // namespace
}  // namespace svi::server
