// Streams that drop, and servers that restart.
#include "tests/server/lease/lease_fixture.h"

namespace svi::server {
namespace {

class ReconnectTest : public LeaseTest {
 protected:
  // A worker with the lease of cat's clip 0, of which the server has had word.
  std::unique_ptr<ScriptedWorker> Begin(v1::LeaseId* lease) {
    MakeVideo("cat", 1);
    auto worker = Connect();
    worker->Register("w1");
    *lease = worker->TakeJob().assign.lease();
    worker->Heartbeat(*lease);
    worker->Barrier();
    return worker;
  }
};

TEST_F(ReconnectTest, AnUploadGoesOnWhereItWasCutOff) {
  v1::LeaseId lease;
  auto worker = Begin(&lease);
  const std::string clip = Bytes(900'000, 'v');
  worker->SendChunk(lease, v1::ARTIFACT_KIND_CLIP, 0, clip.substr(0, 400'000));
  worker->SendChunk(lease, v1::ARTIFACT_KIND_CARRY, 0, "car");
  worker->Barrier();
  worker->Vanish();
  worker->End();

  auto again = Connect();
  const v1::Registered registered = again->Register("w1", lease);
  ASSERT_TRUE(registered.resume());
  EXPECT_EQ(registered.clip_bytes_received(), 400'000u);
  EXPECT_EQ(registered.carry_bytes_received(), 3u);
  again->SendChunk(lease, v1::ARTIFACT_KIND_CLIP, 400'000, clip.substr(400'000));
  again->SendChunk(lease, v1::ARTIFACT_KIND_CARRY, 3, "ry");
  again->SendDone(lease, clip, "carry");
  again->ExpectAccepted(lease);
  EXPECT_EQ(ReadClip("cat", 0), clip);
  EXPECT_EQ(Video("cat").clips(0).attempt(), 1u);
}

TEST_F(ReconnectTest, TheNewerStreamOfAWorkerWins) {
  v1::LeaseId lease;
  auto older = Begin(&lease);
  auto newer = Connect();
  EXPECT_TRUE(newer->Register("w1", lease).resume());
  EXPECT_TRUE(IsCutOff(older->End(), grpc::StatusCode::ABORTED));
  ASSERT_EQ(dispatcher_->ListWorkers().size(), 1u);
  newer->Upload(lease, "clip", "carry");
  newer->ExpectAccepted(lease);
}

TEST_F(ReconnectTest, ADroppedStreamHoldsTheLeaseOnlyForTheTimeout) {
  v1::LeaseId lease;
  auto worker = Begin(&lease);
  worker->Vanish();
  worker->End();
  AwaitGone("w1");
  auto other = Connect();
  other->Register("w2");
  dispatcher_->RunOnce(clock_.Now());
  EXPECT_EQ(Video("cat").state(), v1::VIDEO_STATE_RUNNING);
  clock_.Advance(absl::Seconds(6));
  other->Heartbeat();
  other->Heartbeat(LeaseIdOf("none", 0, 1));
  other->ExpectCancel(LeaseIdOf("none", 0, 1), "LEASE_LOST");
  other->Heartbeat();
  clock_.Advance(absl::Seconds(6));
  dispatcher_->RunOnce(clock_.Now());
  EXPECT_EQ(other->TakeJob().assign.attempt(), 2u);
}

TEST_F(ReconnectTest, AWorkerThatComesBackWithoutItsClipHasFailed) {
  v1::LeaseId lease;
  auto worker = Begin(&lease);
  worker->Vanish();
  worker->End();
  auto again = Connect();
  EXPECT_FALSE(again->Register("w1").resume());
  const Job job = again->TakeJob();
  EXPECT_EQ(job.assign.lease().epoch(), 2u);
  EXPECT_EQ(job.assign.attempt(), 2u);
}

TEST_F(ReconnectTest, AnAssignThatGotLostOnTheWayIsNoAttempt) {
  MakeVideo("cat", 1);
  auto worker = Connect();
  worker->Register("w1");
  worker->TakeJob();
  worker->Vanish();
  worker->End();
  auto again = Connect();
  EXPECT_FALSE(again->Register("w1").resume());
  EXPECT_EQ(again->TakeJob().assign.attempt(), 1u);
}

TEST_F(ReconnectTest, AClipWhoseAcceptGotLostIsAcceptedAgain) {
  v1::LeaseId lease;
  auto worker = Begin(&lease);
  worker->Upload(lease, "clip", "carry");
  worker->ExpectAccepted(lease);  // pretend that it did not come
  worker->Vanish();
  worker->End();

  MakeVideo("dog", 1);
  auto again = Connect();
  const v1::Registered registered = again->Register("w1", lease);
  EXPECT_TRUE(registered.resume());
  EXPECT_EQ(registered.clip_bytes_received(), 4u);
  EXPECT_EQ(registered.carry_bytes_received(), 0u);  // it is gone: the video has ended
  dispatcher_->RunOnce(clock_.Now());                // no new work before that is settled
  again->SendDone(lease, "clip", "carry");
  again->ExpectAccepted(lease);
  EXPECT_EQ(again->TakeJob().assign.lease().video(), "videos/dog");
  EXPECT_EQ(Video("cat").clips_done(), 1u);
}

TEST_F(ReconnectTest, AWorkerComesBackToItsLeaseAfterTheServerRestarted) {
  v1::LeaseId lease;
  auto worker = Begin(&lease);
  worker->SendChunk(lease, v1::ARTIFACT_KIND_CLIP, 0, "cl");
  worker->Barrier();
  StopServer();
  worker->End();
  StartServer();
  EXPECT_FALSE(dispatcher_->Idle());

  auto again = Connect();
  const v1::Registered registered = again->Register("w1", lease);
  EXPECT_TRUE(registered.resume());
  EXPECT_EQ(registered.clip_bytes_received(), 0u);  // half an upload does not outlive the server
  again->Upload(lease, "clip", "carry");
  again->ExpectAccepted(lease);
  EXPECT_EQ(ReadClip("cat", 0), "clip");
  EXPECT_EQ(Video("cat").clips(0).attempt(), 1u);
  EXPECT_EQ(Video("cat").clips(0).worker(), "workers/w1");
}

TEST_F(ReconnectTest, AfterARestartALeaseWhoseWorkerStaysAwayIsGivenOutAgainAndNotCounted) {
  v1::LeaseId lease;
  auto worker = Begin(&lease);
  StopServer();
  worker->End();
  StartServer();
  auto other = Connect();
  EXPECT_FALSE(other->Register("w2", lease).resume());  // it is another's
  other->ExpectCancel(lease, "LEASE_LOST");
  other->Heartbeat();
  dispatcher_->RunOnce(clock_.Now());
  EXPECT_EQ(Video("cat").state(), v1::VIDEO_STATE_RUNNING);
  other.reset();
  AwaitGone("w2");
  LetLeasesExpire();
  EXPECT_EQ(Video("cat").state(), v1::VIDEO_STATE_QUEUED);
  auto third = Connect();
  third->Register("w3");
  const Job job = third->TakeJob();
  EXPECT_EQ(job.assign.attempt(), 1u);
  EXPECT_EQ(job.assign.lease().epoch(), 2u);
  EXPECT_EQ(CountEvents("cat", v1::VideoEvent::kClipAttemptFailed), 0);
}

TEST_F(ReconnectTest, ARegisteredWarmVideoIsPreferred) {
  MakeVideo("older", 1);
  MakeVideo("warm", 1);
  auto worker = Connect();
  v1::WorkerMessage message;
  message.mutable_register_()->set_worker_id("w1");
  message.mutable_register_()->add_warm_videos("videos/warm");
  worker->Send(message);
  ASSERT_TRUE(worker->Next().has_value());
  const Job job = worker->TakeJob();
  EXPECT_EQ(job.assign.lease().video(), "videos/warm");
  // Warm by its own word only: it is given the picture all the same.
  EXPECT_EQ(job.image.size(), 1000u);
}

}  // namespace
}  // namespace svi::server
