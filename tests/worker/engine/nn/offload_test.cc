#include "worker/engine/nn/offload.h"

#include <gtest/gtest.h>

#include <atomic>
#include <stdexcept>
#include <thread>
#include <vector>

namespace svi::engine {
namespace {

struct Counted {
  explicit Counted(std::atomic<int>& alive) : alive(alive) { ++alive; }
  ~Counted() { --alive; }
  std::atomic<int>& alive;
};

class OffloadTest : public testing::Test {
 protected:
  Offloadable<Counted> Make(bool keep) {
    return {[this] {
              ++loads_;
              return std::make_unique<Counted>(alive_);
            },
            keep};
  }
  std::atomic<int> loads_ = 0, alive_ = 0;
};

TEST_F(OffloadTest, NothingIsLoadedBeforeItIsUsed) {
  auto model = Make(true);
  EXPECT_EQ(loads_, 0);
  (void)model.Use();
  EXPECT_EQ(loads_, 1);
}

TEST_F(OffloadTest, LeavesMemoryWithItsLastUser) {
  auto model = Make(false);
  {
    const auto first = model.Use();
    const auto second = model.Use();
    EXPECT_EQ(first, second);
    EXPECT_EQ(alive_, 1);
  }
  EXPECT_EQ(alive_, 0);
  EXPECT_NE(model.Use(), nullptr);
  EXPECT_EQ(loads_, 2);
}

TEST_F(OffloadTest, StaysIfItIsKept) {
  auto model = Make(true);
  const auto first = model.Use();
  EXPECT_EQ(model.Use(), first);
  EXPECT_EQ(loads_, 1);
}

TEST_F(OffloadTest, WhatWasLoadedBeforehandCounts) {
  Offloadable<Counted> kept([]() -> std::unique_ptr<Counted> { throw std::logic_error("loaded again"); },
                            true, std::make_shared<Counted>(alive_));
  EXPECT_NE(kept.Use(), nullptr);
  EXPECT_NE(kept.Use(), nullptr);
  EXPECT_EQ(alive_, 1);
  Offloadable<Counted> not_kept([]() -> std::unique_ptr<Counted> { throw std::logic_error("loaded again"); },
                                false, std::make_shared<Counted>(alive_));
  EXPECT_EQ(alive_, 1) << "nobody uses it";
}

TEST_F(OffloadTest, AFailedLoadIsTriedAgain) {
  int calls = 0;
  Offloadable<int> model(
      [&] {
        if (++calls == 1) throw std::runtime_error("the disk is away");
        return std::make_unique<int>(7);
      },
      false);
  EXPECT_THROW((void)model.Use(), std::runtime_error);
  EXPECT_EQ(*model.Use(), 7);
}

TEST_F(OffloadTest, UsersAtOnceShareOne) {
  auto model = Make(true);
  std::vector<std::thread> users;
  for (int i = 0; i < 8; ++i) users.emplace_back([&] { (void)model.Use(); });
  for (std::thread& user : users) user.join();
  EXPECT_EQ(loads_, 1);
}

}  // namespace
}  // namespace svi::engine
