// The main job with real processes: picture in, clips out, in order, hashed, and the same every time.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <set>

#include "tests/e2e/cluster.h"
#include "worker/media/media.h"

namespace svi::e2e {
namespace {

TEST(MainJob, ClipsArriveInOrderWithTheRightFrames) {
  Cluster cluster;
  cluster.StartServer();
  auto worker = cluster.StartWorker();
  const v1::Video created = cluster.Create(Cluster::SmallSpec(3));
  EXPECT_EQ(created.state(), v1::VIDEO_STATE_QUEUED);
  EXPECT_EQ(created.clips_total(), 3u);

  std::vector<uint32_t> order;
  std::set<v1::Stage> stages;
  cluster.Watch(created.name(), [&](const v1::VideoEvent& event) {
    if (event.has_clip_done()) order.push_back(event.clip_done().index());
    if (event.has_progress()) stages.insert(event.progress().stage());
    return false;
  });
  EXPECT_THAT(order, testing::ElementsAre(0, 1, 2));
  EXPECT_TRUE(stages.contains(v1::STAGE_DENOISE));

  const v1::Video video = cluster.Get(created.name());
  ASSERT_EQ(video.state(), v1::VIDEO_STATE_SUCCEEDED) << video.ShortDebugString();
  ASSERT_EQ(video.clips_size(), 3);
  for (const v1::Clip& clip : video.clips()) {
    EXPECT_EQ(clip.seed(), 11 + 42 * clip.index());
    EXPECT_EQ(clip.prompt(), "a boat sails on the sea, part " + std::to_string(clip.index()));
    const auto decoded = media::DecodeVideo(cluster.Download(clip));
    ASSERT_TRUE(decoded.ok()) << decoded.status();
    EXPECT_EQ(decoded->frames.size(), clip.index() == 0 ? 17u : 12u);
    EXPECT_EQ(decoded->frames.size(), clip.frame_count());
    EXPECT_EQ(decoded->frames[0].width, 64);
    EXPECT_EQ(decoded->frames[0].height, 64);
    EXPECT_EQ(decoded->codec, "h264");
    EXPECT_EQ(decoded->pixel_format, "yuv420p");
    EXPECT_DOUBLE_EQ(decoded->fps, 24.0);
  }
}

TEST(MainJob, ClipsTellHowFarTheyHaveDrifted) {
  Cluster cluster;
  cluster.StartServer();
  auto worker = cluster.StartWorker();
  const v1::Video video = cluster.AwaitEnd(cluster.Create(Cluster::SmallSpec(2)).name());
  ASSERT_EQ(video.clips_size(), 2) << video.ShortDebugString();
  const v1::Clip &first = video.clips(0), &second = video.clips(1);
  EXPECT_EQ(first.measures().histogram_size(), 48);
  EXPECT_GT(first.measures().brightness(), 0);
  EXPECT_EQ(first.drift().histogram_distance(), 0);
  EXPECT_NEAR(second.drift().brightness(), second.measures().brightness() - first.measures().brightness(),
              1e-12);
  EXPECT_GT(second.drift().histogram_distance(), 0) << "noise of a random model is not the same twice";
  EXPECT_THAT(HttpGet(cluster.metrics_port(), "/metrics"),
              testing::HasSubstr("svi_clip_drift_count{measure=\"histogram_distance\"} 1"));
}

TEST(MainJob, ASecondRunIsBitIdentical) {
  const v1::VideoSpec spec = Cluster::SmallSpec(2);
  const std::vector<std::string> first = UndisturbedRun(spec);
  ASSERT_EQ(first.size(), 2u);
  EXPECT_EQ(first, UndisturbedRun(spec));
  v1::VideoSpec other = spec;
  other.set_seed(12);
  EXPECT_NE(first, UndisturbedRun(other));
}

TEST(MainJob, EveryVariantRuns) {
  Cluster cluster;
  cluster.StartServer();
  auto worker = cluster.StartWorker();
  for (const v1::Variant variant : {v1::VARIANT_FILM, v1::VARIANT_SHOT}) {
    v1::VideoSpec spec = Cluster::SmallSpec(2);
    spec.set_variant(variant);
    const v1::Video video = cluster.AwaitEnd(cluster.Create(spec).name());
    ASSERT_EQ(video.state(), v1::VIDEO_STATE_SUCCEEDED) << video.ShortDebugString();
    ASSERT_EQ(video.clips_size(), 2);
    EXPECT_EQ(video.clips(1).frame_count(), 12u);
  }
}

TEST(MainJob, UnsetFieldsTakeTheModelsDefaults) {
  Cluster cluster;
  cluster.StartServer();
  auto worker = cluster.StartWorker();
  v1::VideoSpec spec;
  spec.set_image(ReadFile(DemoPicture()));
  spec.add_prompts("waves");
  const v1::Video video = cluster.AwaitEnd(cluster.Create(spec).name());
  ASSERT_EQ(video.state(), v1::VIDEO_STATE_SUCCEEDED) << video.ShortDebugString();
  const v1::Clip& clip = video.clips(0);
  EXPECT_EQ(clip.frame_count(), 17u);
  EXPECT_EQ(clip.fps(), 24u);
  EXPECT_LE(clip.width() * clip.height(), 128u * 128u);
  EXPECT_EQ(clip.width() % 32, 0u);
}

TEST(MainJob, AnOpenEndedVideoGrowsAndIsFinished) {
  Cluster cluster;
  cluster.StartServer();
  auto worker = cluster.StartWorker();
  v1::VideoSpec spec = Cluster::SmallSpec(1);
  spec.set_open_ended(true);
  const std::string name = cluster.Create(spec).name();
  auto in_state = [](v1::VideoState state) {
    return [state](const v1::VideoEvent& e) { return e.state_changed().state() == state; };
  };
  cluster.Watch(name, in_state(v1::VIDEO_STATE_WAITING));
  {
    grpc::ClientContext context;
    v1::AppendPromptsRequest request;
    request.set_name(name);
    request.add_prompts("night falls");
    request.set_expected_revision(cluster.Get(name).revision() + 7);
    v1::Video video;
    EXPECT_EQ(cluster.stub().AppendPrompts(&context, request, &video).error_code(),
              grpc::StatusCode::ABORTED);
    grpc::ClientContext again;
    request.set_expected_revision(cluster.Get(name).revision());
    ASSERT_TRUE(cluster.stub().AppendPrompts(&again, request, &video).ok());
    EXPECT_EQ(video.clips_total(), 2u);
  }
  {
    grpc::ClientContext context;
    v1::FinishVideoRequest request;
    request.set_name(name);
    v1::Video video;
    ASSERT_TRUE(cluster.stub().FinishVideo(&context, request, &video).ok());
  }
  const v1::Video video = cluster.AwaitEnd(name);
  EXPECT_EQ(video.state(), v1::VIDEO_STATE_SUCCEEDED);
  ASSERT_EQ(video.clips_size(), 2);
  EXPECT_EQ(video.clips(1).prompt(), "night falls");
}

TEST(MainJob, TheWholeVideoIsJoinedWithoutReEncoding) {
  Cluster cluster;
  cluster.StartServer();
  auto worker = cluster.StartWorker();
  const v1::Video video = cluster.AwaitEnd(cluster.Create(Cluster::SmallSpec(3)).name());
  ASSERT_EQ(video.clips_size(), 3);
  std::vector<engine::Picture> expected;
  for (const std::string& clip : cluster.DownloadAll(video)) {
    auto decoded = media::DecodeVideo(clip);
    ASSERT_TRUE(decoded.ok());
    for (auto& frame : decoded->frames) expected.push_back(std::move(frame));
  }
  std::string whole, hash;
  grpc::ClientContext context;
  v1::DownloadVideoRequest request;
  request.set_name(video.name());
  auto stream = cluster.stub().DownloadVideo(&context, request);
  v1::DownloadResponse chunk;
  while (stream->Read(&chunk)) {
    whole += chunk.data();
    if (!chunk.sha256().empty()) hash = chunk.sha256();
  }
  ASSERT_TRUE(stream->Finish().ok());
  EXPECT_EQ(hash, Sha256(whole));
  const auto joined = media::DecodeVideo(whole);
  ASSERT_TRUE(joined.ok()) << joined.status();
  ASSERT_EQ(joined->frames.size(), 41u);
  for (size_t i = 0; i < expected.size(); ++i)
    EXPECT_EQ(joined->frames[i].rgb, expected[i].rgb) << "frame " << i;
}

TEST(MainJob, GenerateVideoDeliversEverythingInOneCall) {
  Cluster cluster;
  cluster.StartServer();
  auto worker = cluster.StartWorker();
  grpc::ClientContext context;
  v1::GenerateVideoRequest request;
  *request.mutable_spec() = Cluster::SmallSpec(2);
  auto stream = cluster.stub().GenerateVideo(&context, request);
  v1::GenerateVideoResponse message;
  std::vector<std::string> clips(2);
  v1::Video ended;
  bool created = false;
  while (stream->Read(&message)) {
    if (message.has_created()) created = true;
    if (message.has_ended()) ended = message.ended();
    if (message.has_clip_data()) {
      ASSERT_LT(message.clip_data().clip_index(), 2u);
      std::string& clip = clips[message.clip_data().clip_index()];
      EXPECT_EQ(message.clip_data().offset(), clip.size());
      clip += message.clip_data().data();
    }
  }
  ASSERT_TRUE(stream->Finish().ok());
  EXPECT_TRUE(created);
  ASSERT_EQ(ended.state(), v1::VIDEO_STATE_SUCCEEDED);
  for (int i = 0; i < 2; ++i) EXPECT_EQ(Sha256(clips[i]), ended.clips(i).sha256());
}

}  // namespace
}  // namespace svi::e2e
