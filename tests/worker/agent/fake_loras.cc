#include "tests/worker/agent/fake_loras.h"

#include <utility>

#include "absl/time/clock.h"
#include "client/sha256.h"
#include "gtest/gtest.h"
#include "tests/worker/agent/conversation.h"

namespace svi::worker {

v1::Lora FakeLoras::Publish(const std::string& id, const std::string& bytes) {
  v1::Lora lora;
  lora.set_name("loras/" + id);
  lora.set_size_bytes(bytes.size());
  lora.set_sha256(Sha256::Of(bytes));
  absl::MutexLock lock(&mu_);
  files_[lora.name()] = bytes;
  return lora;
}

void FakeLoras::Delete(const std::string& id) {
  absl::MutexLock lock(&mu_);
  files_.erase("loras/" + id);
}

void FakeLoras::BreakNext(std::deque<int> faults) {
  absl::MutexLock lock(&mu_);
  faults_ = std::move(faults);
}

void FakeLoras::DamageNext(int count) {
  absl::MutexLock lock(&mu_);
  damages_ = count;
}

void FakeLoras::HoldNext() {
  absl::MutexLock lock(&mu_);
  hold_ = true;
}

void FakeLoras::WaitHeld() {
  absl::MutexLock lock(&mu_);
  EXPECT_TRUE(mu_.AwaitWithTimeout(absl::Condition(&held_), kPatience));
}

void FakeLoras::WaitReleased() {
  absl::MutexLock lock(&mu_);
  EXPECT_TRUE(mu_.AwaitWithTimeout(absl::Condition(&released_), kPatience));
}

std::vector<uint64_t> FakeLoras::offsets() {
  absl::MutexLock lock(&mu_);
  return offsets_;
}

void FakeLoras::Hold(grpc::ServerContext* context) {
  {
    absl::MutexLock lock(&mu_);
    if (!std::exchange(hold_, false)) return;
    held_ = true;
  }
  while (!context->IsCancelled()) absl::SleepFor(absl::Milliseconds(5));  // polls: the sync API has no wait
  absl::MutexLock lock(&mu_);
  released_ = true;
}

grpc::Status FakeLoras::DownloadLora(grpc::ServerContext* context, const v1::DownloadLoraRequest* request,
                                     grpc::ServerWriter<v1::DownloadLoraResponse>* writer) {
  std::string bytes, sha256;
  int fault = -1;
  {
    absl::MutexLock lock(&mu_);
    const auto file = files_.find(request->name());
    if (file == files_.end()) return grpc::Status(grpc::StatusCode::NOT_FOUND, "there is no such LoRA");
    bytes = file->second;
    sha256 = Sha256::Of(bytes);
    offsets_.push_back(request->offset());
    if (!faults_.empty()) {
      fault = faults_.front();
      faults_.pop_front();
    }
    if (damages_ > 0) {
      --damages_;
      bytes[bytes.size() / 2] ^= 1;
    }
  }
  int sent = 0;
  v1::DownloadLoraResponse chunk;
  chunk.set_total_bytes(bytes.size());
  for (size_t at = request->offset(); at < bytes.size(); at += kChunk) {
    if (sent == 1) Hold(context);
    if (sent++ == fault) return grpc::Status(grpc::StatusCode::UNAVAILABLE, "dropped by the test");
    chunk.set_offset(at);
    chunk.set_data(bytes.substr(at, kChunk));
    writer->Write(chunk);
    chunk.Clear();
  }
  chunk.set_sha256(sha256);
  writer->Write(chunk);
  return grpc::Status::OK;
}

}  // namespace svi::worker
