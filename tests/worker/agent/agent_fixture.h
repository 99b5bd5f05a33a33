// An agent on its own thread, between a fake server and a fake engine.
#ifndef SVI_TESTS_WORKER_AGENT_AGENT_FIXTURE_H_
#define SVI_TESTS_WORKER_AGENT_AGENT_FIXTURE_H_

#include <memory>
#include <string>
#include <thread>

#include "gtest/gtest.h"
#include "tests/worker/agent/fake_engine.h"
#include "tests/worker/agent/fake_server.h"
#include "worker/agent/agent.h"
#include "worker/agent/lora_cache.h"
#include "worker/agent/worker_metrics.h"

namespace svi::worker {

class AgentTest : public ::testing::Test {
 protected:
  void Start(absl::Duration drain_timeout = absl::Hours(1)) {
    AgentOptions options;
    options.endpoint.server = server_.address();
    options.worker_id = "worker-1";
    options.version = "1.2.3";
    options.min_backoff = absl::Milliseconds(1);
    options.max_backoff = absl::Milliseconds(20);
    options.drain_timeout = drain_timeout;
    options.lora_patience = lora_patience_;
    options.engine_patience = engine_patience_;
    auto cache = LoraCache::Open("", 1 << 20);
    ASSERT_TRUE(cache.ok()) << cache.status();
    lora_cache_ = *std::move(cache);
    agent_ = std::make_unique<Agent>(&engine_, &metrics_, lora_cache_.get(), options);
    thread_ = std::thread([this] { agent_->Run(); });
  }
  // Waits for Run to end.
  void Join() { thread_.join(); }
  void TearDown() override {
    engine_.Proceed();
    if (thread_.joinable()) {
      agent_->HandBack();
      thread_.join();
    }
    agent_.reset();
  }

  // Sends clip `clip` with all its inputs.
  v1::LeaseId Assign(const std::string& video, uint32_t clip, uint64_t epoch = 1) {
    const v1::LeaseId lease = MakeLease(video, clip, epoch);
    const std::string image = TestPng(), carry = clip ? FakeCarry(clip - 1, 3000) : "";
    server_.SendAssign(MakeAssign(lease, image, carry), image, carry);
    return lease;
  }
  void Cancel(const v1::LeaseId& lease) {
    v1::ServerMessage message;
    *message.mutable_cancel()->mutable_lease() = lease;
    message.mutable_cancel()->set_reason("VIDEO_CANCELLED");
    server_.Send(std::move(message));
  }
  // Returns when the agent has handled all that was sent before: it answers a lease that it cannot take.
  void Sync() {
    v1::ServerMessage message;
    *message.mutable_assign()->mutable_lease() = MakeLease("probe", 0);
    message.mutable_assign()->set_image_bytes(uint64_t{1} << 40);
    server_.Send(std::move(message));
    EXPECT_EQ(server_.Next().clip_failed().lease().video(), "videos/probe");
  }
  static bool Free(const v1::Heartbeat& heartbeat) { return !heartbeat.has_lease(); }

  FakeEngine engine_;
  WorkerMetrics metrics_{engine_.info(), "1.2.3"};
  FakeServer server_;
  absl::Duration lora_patience_ = absl::Minutes(2);
  absl::Duration engine_patience_ = absl::Hours(1);
  std::unique_ptr<LoraCache> lora_cache_;
  std::unique_ptr<Agent> agent_;
  std::thread thread_;
};

}  // namespace svi::worker

#endif  // SVI_TESTS_WORKER_AGENT_AGENT_FIXTURE_H_
