#include "tests/server/lease/lease_fixture.h"

#include <algorithm>
#include <cstdlib>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "client/sha256.h"
#include "server/artifacts/local_artifacts.h"
#include "server/queue/sqlite_stores.h"

namespace svi::server {

bool IsCutOff(const grpc::Status& status, grpc::StatusCode code) {
  return status.error_code() == code || status.error_code() == grpc::StatusCode::CANCELLED;
}

std::string Bytes(size_t count, char seed) {
  std::string bytes(count, '\0');
  uint32_t state = static_cast<unsigned char>(seed);
  for (char& byte : bytes) {
    state = state * 1664525u + 1013904223u;
    byte = static_cast<char>(state >> 24);
  }
  return bytes;
}

v1::LeaseId LeaseIdOf(const std::string& video, uint32_t clip, uint64_t epoch) {
  v1::LeaseId lease;
  lease.set_video("videos/" + video);
  lease.set_clip_index(clip);
  lease.set_epoch(epoch);
  return lease;
}

v1::Registered ScriptedWorker::Register(const std::string& id, const std::optional<v1::LeaseId>& holding,
                                        const std::vector<std::string>& loras) {
  v1::WorkerMessage message;
  v1::Register& request = *message.mutable_register_();
  request.set_worker_id(id);
  request.set_version("1.2.3");
  request.set_device("cpu");
  request.set_model("tiny");
  request.mutable_defaults()->set_fps(24);
  if (holding) *request.mutable_holding() = *holding;
  request.mutable_loras()->Add(loras.begin(), loras.end());
  Send(message);
  const auto answer = Next();
  EXPECT_TRUE(answer && answer->has_registered()) << (answer ? answer->ShortDebugString() : "stream ended");
  return answer ? answer->registered() : v1::Registered();
}

void ScriptedWorker::TellLoras(const std::vector<std::string>& loras) {
  v1::WorkerMessage message;
  message.mutable_heartbeat()->mutable_loras()->mutable_names()->Add(loras.begin(), loras.end());
  Send(message);
}

Job ScriptedWorker::TakeJob() {
  Job job;
  const auto first = Next();
  EXPECT_TRUE(first && first->has_assign()) << (first ? first->ShortDebugString() : "stream ended");
  if (!first || !first->has_assign()) return job;
  job.assign = first->assign();
  while (job.image.size() < job.assign.image_bytes() || job.carry.size() < job.assign.carry_bytes()) {
    const auto next = Next();
    EXPECT_TRUE(next && next->has_artifact_chunk());
    if (!next || !next->has_artifact_chunk()) return job;
    const v1::ArtifactChunk& chunk = next->artifact_chunk();
    EXPECT_EQ(chunk.lease().SerializeAsString(), job.assign.lease().SerializeAsString());
    EXPECT_LE(chunk.data().size(), size_t{1} << 20);
    std::string& input = chunk.kind() == v1::INPUT_KIND_IMAGE ? job.image : job.carry;
    EXPECT_EQ(chunk.offset(), input.size());
    input += chunk.data();
  }
  return job;
}

void ScriptedWorker::SendChunk(const v1::LeaseId& lease, v1::ArtifactKind kind, uint64_t offset,
                               const std::string& data) {
  v1::WorkerMessage message;
  v1::ClipChunk& chunk = *message.mutable_clip_chunk();
  *chunk.mutable_lease() = lease;
  chunk.set_kind(kind);
  chunk.set_offset(offset);
  chunk.set_data(data);
  Send(message);
}

void ScriptedWorker::SendDone(const v1::LeaseId& lease, const std::string& clip, const std::string& carry) {
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
  done.mutable_denoise_time()->set_seconds(3);
  Send(message);
}

void ScriptedWorker::Upload(const v1::LeaseId& lease, const std::string& clip, const std::string& carry) {
  constexpr size_t kChunk = 700000;
  for (size_t at = 0; at < clip.size(); at += kChunk) {
    SendChunk(lease, v1::ARTIFACT_KIND_CLIP, at, clip.substr(at, kChunk));
  }
  for (size_t at = 0; at < carry.size(); at += kChunk) {
    SendChunk(lease, v1::ARTIFACT_KIND_CARRY, at, carry.substr(at, kChunk));
  }
  SendDone(lease, clip, carry);
}

LeaseTest::LeaseTest() {
  std::string name = (std::filesystem::temp_directory_path() / "svi_lease_XXXXXX").string();
  dir_ = mkdtemp(name.data());
  auto stores = OpenSqliteStores((dir_ / "jobs.db").string());
  auto artifacts = OpenLocalArtifacts((dir_ / "artifacts").string());
  if (!stores.ok() || !artifacts.ok()) std::abort();
  store_ = std::move(stores->jobs);
  training_ = std::move(stores->training);
  artifacts_ = *std::move(artifacts);
  options_.clock = [this] { return clock_.Now(); };
  options_.timer = options_.clock;
  options_.check_clips = false;
  StartServer();
}

LeaseTest::~LeaseTest() {
  StopServer();
  store_.reset();
  training_.reset();
  artifacts_.reset();
  std::filesystem::remove_all(dir_);
}

void LeaseTest::StartServer() {
  const DispatcherParts parts = {store_.get(), training_.get(), artifacts_.get(),
                                 &hub_,        &training_hub_,  &metrics_};
  dispatcher_ = std::make_unique<Dispatcher>(parts, options_);
  const absl::Status started = dispatcher_->Start();
  EXPECT_TRUE(started.ok()) << started;
  grpc::ServerBuilder builder;
  int port = 0;
  builder.AddListeningPort("127.0.0.1:0", grpc::InsecureServerCredentials(), &port);
  builder.RegisterService(dispatcher_->worker_service());
  server_ = builder.BuildAndStart();
  channel_ = grpc::CreateChannel(absl::StrCat("127.0.0.1:", port), grpc::InsecureChannelCredentials());
}

void LeaseTest::StopServer() {
  if (server_ == nullptr) return;
  dispatcher_->Shutdown();
  server_->Shutdown(absl::ToChronoTime(absl::Now() + absl::Seconds(10)));
  server_.reset();
  dispatcher_.reset();
}

void LeaseTest::MakeVideo(const std::string& id, int clips, int priority, size_t image_bytes,
                          const std::vector<std::string>& loras) {
  NewVideo video;
  video.id = id;
  for (int i = 0; i < clips; ++i) video.spec.add_prompts(absl::StrCat("prompt ", i));
  video.spec.set_seed(100);
  video.spec.set_priority(priority);
  for (const std::string& lora : loras) video.spec.add_lora()->set_name(lora);
  auto image = artifacts_->Put(id + "/image", Bytes(image_bytes, 'i'));
  ASSERT_TRUE(image.ok()) << image.status();
  video.image = *image;
  bool replayed = false;
  const auto made = store_->CreateVideo(video, clock_.Now(), &replayed);
  ASSERT_TRUE(made.ok()) << made.status();
  clock_.Advance(absl::Milliseconds(1));  // so that videos have an order
  dispatcher_->WorkChanged();
}

v1::Video LeaseTest::Video(const std::string& id) {
  AwaitTask();
  auto video = store_->GetVideo(id);
  EXPECT_TRUE(video.ok()) << video.status();
  return video.ok() ? *video : v1::Video();
}

int LeaseTest::CountEvents(const std::string& id, v1::VideoEvent::EventCase kind) {
  AwaitTask();
  const auto events = store_->ListEvents(id, 0, 1000);
  EXPECT_TRUE(events.ok()) << events.status();
  return static_cast<int>(std::count_if(events->begin(), events->end(), [kind](const v1::VideoEvent& event) {
    return event.event_case() == kind;
  }));
}

std::string LeaseTest::ReadClip(const std::string& id, uint32_t index) {
  const auto clip = store_->GetClip(id, index);
  EXPECT_TRUE(clip.ok()) << clip.status();
  if (!clip.ok()) return "";
  auto bytes = artifacts_->ReadAt(clip->mp4, 0, clip->mp4.size);
  EXPECT_TRUE(bytes.ok()) << bytes.status();
  return bytes.ok() ? *bytes : "";
}

void LeaseTest::AwaitGone(const std::string& id) {
  const auto connected = [&] {
    const auto workers = dispatcher_->ListWorkers();
    return std::any_of(workers.begin(), workers.end(),
                       [&](const v1::Worker& worker) { return worker.name() == "workers/" + id; });
  };
  while (connected()) absl::SleepFor(absl::Milliseconds(1));
  AwaitTask();
}

void LeaseTest::LetLeasesExpire() {
  AwaitTask();  // a stream's silence starts when the message before it is dealt with
  clock_.Advance(options_.lease_timeout + absl::Seconds(1));
  dispatcher_->RunOnce(clock_.Now());
}

bool LeaseTest::Exists(const std::string& key) const {
  AwaitTask();
  return std::filesystem::exists(dir_ / "artifacts" / key);
}

bool LeaseTest::Vanishes(const std::string& key) const {
  const absl::Time deadline = absl::Now() + absl::Seconds(30);
  while (Exists(key) && absl::Now() < deadline) absl::SleepFor(absl::Milliseconds(1));
  return !Exists(key);
}

int LeaseTest::PartialFiles() const {
  AwaitTask();
  const auto files = std::filesystem::directory_iterator(dir_ / "artifacts" / ".partial");
  return static_cast<int>(std::distance(begin(files), end(files)));
}

}  // namespace svi::server
