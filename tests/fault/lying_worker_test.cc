// A worker hands over what is no clip, or not its own. The server does not take it, says why, and the video
// comes out as if an honest worker had been the first.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>
#include <string>

#include "tests/e2e/cluster.h"
#include "tests/fault/liar.h"
#include "tests/fault/middle.h"

namespace svi::fault {
namespace {

using e2e::Cluster;
using testing::HasSubstr;

constexpr char kNoReason[] = "LEASE_LOST";
constexpr char kRefused[] = "CLIP_REFUSED";

const v1::VideoSpec& Spec() {
  static const v1::VideoSpec spec = Cluster::SmallSpec(2, 4);
  return spec;
}
// What an honest worker makes of it.
const std::vector<std::string>& Honest() {
  static const std::vector<std::string> clips = e2e::UndisturbedRun(Spec());
  return clips;
}

class LyingWorker : public testing::Test {
 protected:
  LyingWorker() : server_(cluster_.StartServer({"--lease-timeout=20s", "--max-attempts=50"})) {
    name_ = cluster_.Create(Spec()).name();
  }
  // An honest worker comes; the video is as it must be.
  v1::Video Finish() {
    auto honest = cluster_.StartWorker();
    const v1::Video video = cluster_.AwaitEnd(name_);
    EXPECT_EQ(video.state(), v1::VIDEO_STATE_SUCCEEDED) << video.ShortDebugString();
    EXPECT_EQ(cluster_.DownloadAll(video), Honest());
    for (const v1::Clip& clip : video.clips()) EXPECT_NE(clip.worker(), "workers/liar");
    return video;
  }

  Cluster cluster_;
  e2e::Process& server_;
  std::string name_;
};

// Each is about one clip that is not taken, and costs an attempt.
struct Lie {
  std::string name;
  // The bytes, made from an honest clip.
  std::function<std::string(const std::string&)> clip;
  // What is said of them.
  std::function<void(v1::ClipDone&)> say;
  std::string log;
};

void PrintTo(const Lie& lie, std::ostream* out) { *out << lie.name; }

class LyingAboutAClip : public LyingWorker, public testing::WithParamInterface<Lie> {};

std::string Whole(const std::string& clip) { return clip; }
void Truly(v1::ClipDone&) {}

INSTANTIATE_TEST_SUITE_P(
    , LyingAboutAClip,
    testing::Values(Lie{"Garbage", [](const std::string& clip) { return std::string(clip.size(), '\x5a'); },
                        Truly, "no whole MP4"},
                    Lie{"Truncated", [](const std::string& clip) { return clip.substr(0, clip.size() / 2); },
                        Truly, "no whole MP4"},
                    Lie{"ShorterThanSaid", Whole,
                        [](v1::ClipDone& done) { done.set_clip_bytes(done.clip_bytes() + 1); },
                        "were announced"},
                    Lie{"CarryShorterThanSaid", Whole,
                        [](v1::ClipDone& done) { done.set_carry_bytes(done.carry_bytes() + 1); },
                        "were announced"},
                    Lie{"WrongHash", Whole,
                        [](v1::ClipDone& done) { done.set_clip_sha256(std::string(32, 'x')); }, "SHA-256"},
                    Lie{"NoHash", Whole, [](v1::ClipDone& done) { done.clear_clip_sha256(); }, "clip_sha256"},
                    Lie{"OtherSize", Whole,
                        [](v1::ClipDone& done) {
                          done.set_width(128);
                          done.set_height(128);
                        },
                        "clip_done.width: is 128, the video's is 64"},
                    Lie{"FramesThatAreNotThere", Whole, [](v1::ClipDone& done) { done.set_frame_count(18); },
                        "it has 17 frames, not 18"}),
    [](const auto& info) { return info.param.name; });

TEST_P(LyingAboutAClip, IsRefused) {
  const std::string clip = GetParam().clip(Honest()[0]);
  const std::string carry = "a carry";
  Liar liar(cluster_.address());
  liar.Register();
  const v1::LeaseId lease = liar.Take().lease();
  v1::ClipDone done = Liar::Done(lease, clip, carry);
  GetParam().say(done);
  liar.Upload(done, clip, carry);
  EXPECT_EQ(liar.AwaitVerdict(lease), kRefused);
  server_.WaitForText(GetParam().log);
  EXPECT_GE(Finish().clips(0).attempt(), 2u);
}

TEST_F(LyingWorker, AStaleEpochIsRefusedAndChangesNothing) {
  Liar liar(cluster_.address());
  liar.Register();
  const v1::LeaseId stale = liar.Take().lease();
  liar.HandBack(stale);
  const v1::LeaseId current = liar.Take().lease();
  EXPECT_GT(current.epoch(), stale.epoch());
  // A real clip, even: the right to hand it over has gone.
  liar.Upload(Liar::Done(stale, Honest()[0], "a carry"), Honest()[0], "a carry");
  EXPECT_EQ(liar.AwaitVerdict(stale), kNoReason);
  liar.HandBack(current);
  Finish();
}

TEST_F(LyingWorker, AnotherWorkersLeaseIsNotTaken) {
  Liar first(cluster_.address(), "first");
  first.Register();
  const v1::LeaseId lease = first.Take().lease();
  Liar thief(cluster_.address(), "thief");
  thief.Register();
  thief.Upload(Liar::Done(lease, Honest()[0], "a carry"), Honest()[0], "a carry");
  EXPECT_EQ(thief.End().error_code(), grpc::StatusCode::FAILED_PRECONDITION);
  EXPECT_EQ(cluster_.Get(name_).clips_done(), 0u);
  first.HandBack(lease);
  Finish();
}

TEST_F(LyingWorker, MessagesInAWrongOrderEndTheConnectionOrTheAttempt) {
  {
    Liar liar(cluster_.address());
    v1::WorkerMessage heartbeat;
    heartbeat.mutable_heartbeat();
    liar.Send(heartbeat);
    EXPECT_EQ(liar.End().error_code(), grpc::StatusCode::FAILED_PRECONDITION);
  }
  {
    Liar liar(cluster_.address());
    liar.Register();
    v1::WorkerMessage again;
    again.mutable_register_()->set_worker_id("liar");
    liar.Send(again);
    EXPECT_EQ(liar.End().error_code(), grpc::StatusCode::FAILED_PRECONDITION);
  }
  {
    Liar liar(cluster_.address());
    liar.Register();
    liar.Send(v1::WorkerMessage());
    EXPECT_EQ(liar.End().error_code(), grpc::StatusCode::INVALID_ARGUMENT);
  }
  {
    Liar liar(cluster_.address(), "done-first");
    liar.Register();
    const v1::LeaseId lease = liar.Take().lease();
    liar.SendDone(Liar::Done(lease, Honest()[0], "a carry"));
    EXPECT_EQ(liar.AwaitVerdict(lease), kRefused);
  }
  {
    Liar liar(cluster_.address(), "gap");
    liar.Register();
    const v1::LeaseId lease = liar.Take().lease();
    liar.SendChunk(lease, v1::ARTIFACT_KIND_CLIP, 100, Honest()[0].substr(100));
    EXPECT_EQ(liar.AwaitVerdict(lease), kRefused);
  }
  Finish();
}

TEST_F(LyingWorker, AFloodHoldsUpNobody) {
  constexpr int kMessages = 20'000;
  Liar liar(cluster_.address());
  liar.Register();
  const v1::LeaseId lease = liar.Take().lease();
  v1::WorkerMessage progress;
  *progress.mutable_progress()->mutable_lease() = lease;
  progress.mutable_progress()->mutable_progress()->set_stage(v1::STAGE_DENOISE);
  progress.mutable_progress()->mutable_progress()->set_total(1000);
  for (int i = 0; i < kMessages; ++i) liar.Send(progress);
  // What its server has of it to say is not read either: a stale lease is named, again and again.
  v1::WorkerMessage stale = progress;
  stale.mutable_progress()->mutable_lease()->set_epoch(lease.epoch() + 1000);
  for (int i = 0; i < kMessages; ++i) liar.Send(stale);
  // Meanwhile an honest worker makes another video.
  auto honest = cluster_.StartWorker();
  const v1::Video other = cluster_.AwaitEnd(cluster_.Create(Spec()).name());
  EXPECT_EQ(other.state(), v1::VIDEO_STATE_SUCCEEDED);
  EXPECT_EQ(cluster_.DownloadAll(other), Honest());
  liar.HandBack(lease);
  Finish();
}

}  // namespace
}  // namespace svi::fault
