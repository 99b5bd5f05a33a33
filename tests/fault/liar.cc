#include "tests/fault/liar.h"

#include <gtest/gtest.h>

#include "absl/time/clock.h"
#include "tests/e2e/cluster.h"

namespace svi::fault {
namespace {

constexpr absl::Duration kPatience = absl::Seconds(60);
constexpr size_t kChunk = 1 << 20;

}  // namespace

Liar::Liar(const std::string& server, const std::string& id)
    : stub_(v1::WorkerService::NewStub(grpc::CreateChannel(server, grpc::InsecureChannelCredentials()))),
      id_(id) {
  context_.set_deadline(absl::ToChronoTime(absl::Now() + kPatience));
  context_.set_wait_for_ready(true);
  stream_ = stub_->Work(&context_);
}

Liar::~Liar() {
  context_.TryCancel();
  if (!ended_) (void)End();
}

void Liar::Register() {
  v1::WorkerMessage message;
  message.mutable_register_()->set_worker_id(id_);
  Send(message);
  v1::ServerMessage answer;
  EXPECT_TRUE(stream_->Read(&answer) && answer.has_registered());
}

v1::Assign Liar::Take() {
  v1::ServerMessage message;
  do {
    if (!stream_->Read(&message)) {
      ADD_FAILURE() << "there is no lease for the liar";
      return {};
    }
  } while (!message.has_assign());
  const v1::Assign assign = message.assign();
  for (uint64_t missing = assign.image_bytes() + assign.carry_bytes(); missing > 0;) {
    if (!stream_->Read(&message)) break;
    missing -= message.artifact_chunk().data().size();
  }
  v1::WorkerMessage heartbeat;
  *heartbeat.mutable_heartbeat()->mutable_lease() = assign.lease();
  Send(heartbeat);
  return assign;
}

void Liar::SendChunk(const v1::LeaseId& lease, v1::ArtifactKind kind, uint64_t offset,
                     const std::string& data) {
  v1::WorkerMessage message;
  v1::ClipChunk& chunk = *message.mutable_clip_chunk();
  *chunk.mutable_lease() = lease;
  chunk.set_kind(kind);
  chunk.set_offset(offset);
  chunk.set_data(data);
  Send(message);
}

v1::ClipDone Liar::Done(const v1::LeaseId& lease, const std::string& clip, const std::string& carry) {
  v1::ClipDone done;
  *done.mutable_lease() = lease;
  done.set_clip_bytes(clip.size());
  done.set_clip_sha256(e2e::Sha256(clip));
  done.set_carry_bytes(carry.size());
  done.set_carry_sha256(e2e::Sha256(carry));
  done.set_frame_count(17);
  done.set_width(64);
  done.set_height(64);
  done.set_fps(24);
  return done;
}

void Liar::SendDone(const v1::ClipDone& done) {
  v1::WorkerMessage message;
  *message.mutable_clip_done() = done;
  Send(message);
}

void Liar::Upload(const v1::ClipDone& done, const std::string& clip, const std::string& carry) {
  for (size_t at = 0; at < clip.size(); at += kChunk) {
    SendChunk(done.lease(), v1::ARTIFACT_KIND_CLIP, at, clip.substr(at, kChunk));
  }
  for (size_t at = 0; at < carry.size(); at += kChunk) {
    SendChunk(done.lease(), v1::ARTIFACT_KIND_CARRY, at, carry.substr(at, kChunk));
  }
  SendDone(done);
}

void Liar::HandBack(const v1::LeaseId& lease) {
  v1::WorkerMessage message;
  *message.mutable_clip_failed()->mutable_lease() = lease;
  message.mutable_clip_failed()->set_handed_back(true);
  Send(message);
}

std::string Liar::AwaitVerdict(const v1::LeaseId& lease) {
  const std::string wanted = lease.SerializeAsString();
  v1::ServerMessage message;
  while (stream_->Read(&message)) {
    if (message.clip_accepted().lease().SerializeAsString() == wanted) return "";
    if (message.has_cancel() && message.cancel().lease().SerializeAsString() == wanted) {
      return message.cancel().reason();
    }
  }
  ADD_FAILURE() << "the server ended the connection instead";
  return "";
}

grpc::Status Liar::End() {
  ended_ = true;
  v1::ServerMessage message;
  while (stream_->Read(&message)) {
  }
  return stream_->Finish();
}

}  // namespace svi::fault
