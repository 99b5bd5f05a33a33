#include "tests/worker/agent/fake_server.h"

#include <fstream>
#include <iterator>
#include <utility>

#include "absl/strings/str_cat.h"
#include "client/sha256.h"
#include "gtest/gtest.h"

namespace svi::worker {
namespace {

constexpr size_t kChunk = size_t{1} << 20;

}  // namespace

FakeServer::FakeServer() {
  grpc::ServerBuilder builder;
  builder.AddListeningPort("127.0.0.1:0", grpc::InsecureServerCredentials(), &port_);
  builder.RegisterService(this);
  builder.RegisterService(&loras_);
  server_ = builder.BuildAndStart();
}

FakeServer::~FakeServer() { server_->Shutdown(std::chrono::system_clock::now()); }

std::string FakeServer::address() const { return absl::StrCat("127.0.0.1:", port_); }

std::optional<v1::WorkerMessage> FakeServer::Pop(std::function<bool(const v1::WorkerMessage&)> wanted) {
  return worker_.Pop([&](const v1::WorkerMessage& message) {
    if (message.has_progress()) progress_.push_back(message.progress().progress());
    return wanted(message);
  });
}

v1::Register FakeServer::AwaitRegister() {
  const auto message = Pop([](const v1::WorkerMessage& m) { return m.has_register_(); });
  return message ? message->register_() : v1::Register();
}

void FakeServer::Answer(v1::Registered registered) {
  registered.mutable_heartbeat_interval()->set_seconds(3600);
  v1::ServerMessage reply;
  *reply.mutable_registered() = std::move(registered);
  Send(std::move(reply));
}

v1::Register FakeServer::Accept(v1::Registered registered) {
  v1::Register message = AwaitRegister();
  Answer(std::move(registered));
  return message;
}

v1::WorkerMessage FakeServer::Next() {
  const auto message =
      Pop([](const v1::WorkerMessage& m) { return !m.has_heartbeat() && !m.has_progress(); });
  return message.value_or(v1::WorkerMessage());
}

v1::Heartbeat FakeServer::NextHeartbeat(std::function<bool(const v1::Heartbeat&)> wanted) {
  const auto message =
      Pop([&](const v1::WorkerMessage& m) { return m.has_heartbeat() && wanted(m.heartbeat()); });
  return message ? message->heartbeat() : v1::Heartbeat();
}

std::vector<v1::Progress> FakeServer::TakeProgress() { return std::exchange(progress_, {}); }

void FakeServer::SendAssign(const v1::Assign& assign, const std::string& image, const std::string& carry) {
  v1::ServerMessage message;
  *message.mutable_assign() = assign;
  Send(std::move(message));
  const auto send = [&](v1::InputKind kind, const std::string& bytes) {
    for (size_t at = 0; at < bytes.size(); at += kChunk) {
      v1::ServerMessage chunk;
      *chunk.mutable_artifact_chunk()->mutable_lease() = assign.lease();
      chunk.mutable_artifact_chunk()->set_kind(kind);
      chunk.mutable_artifact_chunk()->set_offset(at);
      chunk.mutable_artifact_chunk()->set_data(bytes.substr(at, kChunk));
      Send(std::move(chunk));
    }
  };
  send(v1::INPUT_KIND_IMAGE, image);
  send(v1::INPUT_KIND_CARRY, carry);
}

Upload ReceiveClip(FakeServer& server, std::string clip, std::string carry) {
  Upload upload{std::move(clip), std::move(carry), {}};
  while (!::testing::Test::HasFailure()) {
    const v1::WorkerMessage message = server.Next();
    if (message.has_clip_done()) {
      upload.done = message.clip_done();
      break;
    }
    EXPECT_TRUE(message.has_clip_chunk()) << message.ShortDebugString();
    if (!message.has_clip_chunk()) break;
    const v1::ClipChunk& chunk = message.clip_chunk();
    std::string& bytes = chunk.kind() == v1::ARTIFACT_KIND_CLIP ? upload.clip : upload.carry;
    EXPECT_EQ(chunk.offset(), bytes.size());
    EXPECT_LE(chunk.data().size(), kChunk);
    bytes += chunk.data();
  }
  EXPECT_EQ(upload.done.clip_bytes(), upload.clip.size());
  EXPECT_EQ(upload.done.carry_bytes(), upload.carry.size());
  EXPECT_EQ(upload.done.clip_sha256(), Sha256::Of(upload.clip));
  EXPECT_EQ(upload.done.carry_sha256(), Sha256::Of(upload.carry));
  return upload;
}

v1::LeaseId MakeLease(const std::string& video, uint32_t clip, uint64_t epoch) {
  v1::LeaseId lease;
  lease.set_video("videos/" + video);
  lease.set_clip_index(clip);
  lease.set_epoch(epoch);
  return lease;
}

std::string TestPng() {
  std::ifstream in(SVI_SOURCE_DIR "/tests/golden/media/rgb.png", std::ios::binary);
  return std::string(std::istreambuf_iterator<char>(in), {});
}

v1::Assign MakeAssign(const v1::LeaseId& lease, const std::string& image, const std::string& carry) {
  v1::Assign assign;
  *assign.mutable_lease() = lease;
  assign.set_prompt("a boat");
  assign.set_seed(7);
  assign.set_attempt(1);
  assign.set_image_bytes(image.size());
  assign.set_carry_bytes(carry.size());
  if (!carry.empty()) assign.set_carry_sha256(Sha256::Of(carry));
  return assign;
}

void Accepted(FakeServer& server, const v1::LeaseId& lease) {
  v1::ServerMessage message;
  *message.mutable_clip_accepted()->mutable_lease() = lease;
  server.Send(std::move(message));
}

}  // namespace svi::worker
