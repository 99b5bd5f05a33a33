// What a worker measures of clips, from ClipDone to the clip, to the next lease and to the metrics.
#include <gmock/gmock.h>

#include "client/sha256.h"
#include "tests/server/lease/lease_fixture.h"

namespace svi::server {
namespace {

using testing::HasSubstr;
using MeasuresTest = LeaseTest;

v1::ClipMeasures MeasuresOf(double brightness) {
  v1::ClipMeasures measures;
  measures.set_brightness(brightness);
  for (int i = 0; i < 48; ++i) measures.add_histogram(i % 16 == 4 ? 1 : 0);
  return measures;
}

// As ScriptedWorker::Upload, with what was measured.
void Upload(ScriptedWorker& worker, const v1::LeaseId& lease, const v1::ClipMeasures& measures,
            const v1::ClipDrift& drift) {
  const std::string clip = "clip", carry = "carry";
  worker.SendChunk(lease, v1::ARTIFACT_KIND_CLIP, 0, clip);
  worker.SendChunk(lease, v1::ARTIFACT_KIND_CARRY, 0, carry);
  v1::WorkerMessage message;
  v1::ClipDone& done = *message.mutable_clip_done();
  *done.mutable_lease() = lease;
  done.set_clip_bytes(clip.size());
  done.set_clip_sha256(Sha256::Of(clip));
  done.set_carry_bytes(carry.size());
  done.set_carry_sha256(Sha256::Of(carry));
  done.set_frame_count(81);
  done.set_width(64);
  done.set_height(32);
  done.set_fps(24);
  *done.mutable_measures() = measures;
  *done.mutable_drift() = drift;
  worker.Send(message);
}

TEST_F(MeasuresTest, AreStoredAndGoWithTheNextClips) {
  MakeVideo("cat", 3);
  auto worker = Connect();
  worker->Register("w1");
  v1::ClipDrift none, some;
  some.set_brightness(-0.15);
  some.set_static_psnr(27.5);
  const Job first = worker->TakeJob();
  EXPECT_FALSE(first.assign.has_first_clip_measures());
  Upload(*worker, first.assign.lease(), MeasuresOf(0.5), none);
  worker->ExpectAccepted(first.assign.lease());
  const Job second = worker->TakeJob();
  EXPECT_EQ(second.assign.first_clip_measures().SerializeAsString(), MeasuresOf(0.5).SerializeAsString());
  Upload(*worker, second.assign.lease(), MeasuresOf(0.35), some);
  worker->ExpectAccepted(second.assign.lease());
  const Job third = worker->TakeJob();
  EXPECT_EQ(third.assign.first_clip_measures().brightness(), 0.5) << "clip 0's, not the newest's";

  const v1::Video video = Video("cat");
  ASSERT_EQ(video.clips_size(), 2);
  EXPECT_EQ(video.clips(0).measures().brightness(), 0.5);
  EXPECT_EQ(video.clips(1).measures().histogram_size(), 48);
  EXPECT_EQ(video.clips(1).drift().SerializeAsString(), some.SerializeAsString());
  EXPECT_EQ(video.clips(1).index(), 1u);
  // The first clip's drift is 0 by definition and not counted.
  EXPECT_THAT(metrics_.Text(), HasSubstr("svi_clip_drift_count{measure=\"brightness\"} 1\n"));
  EXPECT_THAT(metrics_.Text(), HasSubstr("svi_clip_drift_sum{measure=\"brightness\"} 0.15\n"));
}

TEST_F(MeasuresTest, AWorkerNeedNotMeasure) {
  MakeVideo("cat", 2);
  auto worker = Connect();
  worker->Register("w1");
  const Job first = worker->TakeJob();
  worker->Upload(first.assign.lease(), "clip", "carry");
  worker->ExpectAccepted(first.assign.lease());
  EXPECT_FALSE(worker->TakeJob().assign.has_first_clip_measures());
  EXPECT_FALSE(Video("cat").clips(0).has_measures());
}

TEST_F(MeasuresTest, ThatCannotBeAreRefused) {
  MakeVideo("cat", 1);
  auto worker = Connect();
  worker->Register("w1");
  const Job job = worker->TakeJob();
  Upload(*worker, job.assign.lease(), MeasuresOf(1.5), {});
  worker->ExpectCancel(job.assign.lease(), "CLIP_REFUSED");
  EXPECT_EQ(Video("cat").clips_size(), 0);
}

}  // namespace
}  // namespace svi::server
