// Clips are measured on their way to the encoder.
#include <prometheus/text_serializer.h>

#include <sstream>

#include "gmock/gmock.h"
#include "tests/worker/agent/agent_fixture.h"
#include "worker/agent/drift_proto.h"

namespace svi::worker {
namespace {

using ::testing::HasSubstr;

// The fake engine's frame i is grey of level 10 i + half the picture's first red; the test's picture is of
// one colour.
TEST_F(AgentTest, AClipCarriesItsMeasures) {
  Start();
  server_.Accept();
  Assign("v", 0);
  const v1::ClipDone done = ReceiveClip(server_).done;
  ASSERT_TRUE(done.has_measures());
  EXPECT_NEAR(done.measures().motion(), 10.0 / 255, 1e-9);
  EXPECT_EQ(done.measures().saturation(), 0);
  EXPECT_EQ(done.measures().histogram_size(), 48);
  ASSERT_TRUE(done.has_drift()) << "the first clip's is 0";
  EXPECT_EQ(done.drift().brightness(), 0);
  EXPECT_EQ(done.drift().histogram_distance(), 0);
  EXPECT_FALSE(done.drift().has_static_psnr()) << "every frame is brighter than the one before";
}

TEST_F(AgentTest, DriftIsMeasuredAgainstTheFirstClip) {
  Start();
  server_.Accept();
  const std::string image = TestPng(), carry = FakeCarry(1, 100);
  v1::Assign assign = MakeAssign(MakeLease("v", 2), image, carry);
  drift::ClipMeasures first;
  first.brightness = 0.25;
  first.motion = 20.0 / 255;
  first.histogram[0] = first.histogram[16] = first.histogram[32] = 1;
  *assign.mutable_first_clip_measures() = ToProto(first);
  server_.SendAssign(assign, image, carry);
  const v1::ClipDone done = ReceiveClip(server_).done;
  ASSERT_TRUE(done.has_drift());
  EXPECT_NEAR(done.drift().brightness(), done.measures().brightness() - 0.25, 1e-12);
  EXPECT_NEAR(done.drift().motion(), -0.5, 1e-9);
  EXPECT_GT(done.drift().histogram_distance(), 0);
  std::ostringstream metrics;
  prometheus::TextSerializer().Serialize(metrics, metrics_.registry()->Collect());
  EXPECT_THAT(metrics.str(), HasSubstr("svi_worker_clip_drift{measure=\"motion\"} -0.5"));
}

TEST_F(AgentTest, WithoutTheFirstClipsMeasuresThereIsNoDrift) {
  Start();
  server_.Accept();
  Assign("v", 3);
  const v1::ClipDone done = ReceiveClip(server_).done;
  EXPECT_TRUE(done.has_measures());
  EXPECT_FALSE(done.has_drift());
}

TEST(DriftProto, ComesBack) {
  drift::ClipMeasures measures;
  measures.brightness = 0.1, measures.contrast = 0.2, measures.saturation = 0.3;
  measures.sharpness = 0.4, measures.motion = 0.5;
  measures.histogram[47] = 0.6;
  const auto back = FromProto(ToProto(measures));
  ASSERT_TRUE(back.has_value());
  EXPECT_EQ(ToProto(*back).SerializeAsString(), ToProto(measures).SerializeAsString());
  v1::ClipMeasures other = ToProto(measures);
  other.add_histogram(0);
  EXPECT_FALSE(FromProto(other).has_value()) << "another version's bins";
}

}  // namespace
}  // namespace svi::worker
