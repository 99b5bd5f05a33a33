// What servers tell each other, by hand-carried messages and a clock of our own.
#include "server/stream/peer_relay.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "absl/strings/str_cat.h"

namespace svi::server {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;
using testing::SizeIs;

class Server {
 public:
  explicit Server(const std::string& id) : relay(id, &videos, &runs) {
    videos.SetRelay(&relay.videos());
    runs.SetRelay(&relay.runs());
    relay.SetHandlers({[this](const std::string& video) { ended.push_back("video " + video); },
                       [this](const std::string& run) { ended.push_back("run " + run); },
                       [this](const std::string& video) { clips.push_back(video); },
                       [this](const std::string&) { ++runs_waiting; }});
  }
  std::shared_ptr<EventHub::Subscription> Watch(const std::string& id) {
    return videos.Subscribe(id, 8, [this] { ++woken; });
  }

  EventHub videos;
  TrainingHub runs;
  PeerRelay relay;
  std::vector<std::string> ended;
  std::vector<std::string> clips;  // where there may be work
  int runs_waiting = 0;
  int woken = 0;
};

class PeerRelayTest : public testing::Test {
 protected:
  // Carries everything that waits, until nothing does; returns how many messages that took.
  int Exchange() {
    int count = 0;
    for (bool sent = true; sent;) {
      sent = false;
      for (Server* from : {&a_, &c_}) {
        for (const std::string& message : from->relay.TakeMessages(now_, 7900)) {
          sent = true;
          ++count;
          // NOTIFY tells the sender, too.
          a_.relay.Receive(message, now_);
          c_.relay.Receive(message, now_);
        }
      }
    }
    return count;
  }
  static v1::Progress Step(uint32_t step) {
    v1::Progress progress;
    progress.set_step(step);
    return progress;
  }

  absl::Time now_ = absl::UnixEpoch() + absl::Hours(1);
  Server a_{"a"};
  Server c_{"c"};
};

TEST_F(PeerRelayTest, AChangeWakesTheWatchersOfOtherServers) {
  const auto watch = c_.Watch("v");
  Exchange();
  (void)watch->TakeChanged();
  c_.woken = 0;
  a_.videos.Changed("v");
  Exchange();
  EXPECT_EQ(c_.woken, 1);
  EXPECT_TRUE(watch->TakeChanged());
}

TEST_F(PeerRelayTest, AWatcherLooksAgainOnceTheOthersKnowOfIt) {
  const auto watch = c_.Watch("v");
  EXPECT_FALSE(watch->TakeChanged());
  Exchange();
  EXPECT_TRUE(watch->TakeChanged());
}

TEST_F(PeerRelayTest, WhatNobodyWatchesElsewhereIsNotSent) {
  const auto own = a_.Watch("v");
  Exchange();
  a_.videos.Changed("v");
  a_.videos.Changed("w");
  a_.videos.PublishProgress("v", Step(1));
  EXPECT_THAT(a_.relay.TakeMessages(now_, 7900), IsEmpty());
  EXPECT_TRUE(own->TakeChanged());
}

TEST_F(PeerRelayTest, ProgressIsCoalesced) {
  const auto watch = c_.Watch("v");
  Exchange();
  for (uint32_t step = 1; step <= 100; ++step) a_.videos.PublishProgress("v", Step(step));
  EXPECT_EQ(Exchange(), 1);
  v1::Progress progress;
  ASSERT_TRUE(watch->TakeProgress(&progress));
  EXPECT_EQ(progress.step(), 100u);
  EXPECT_FALSE(watch->TakeProgress(&progress));
  // No more before its time.
  a_.videos.PublishProgress("v", Step(101));
  EXPECT_EQ(Exchange(), 0);
  EXPECT_EQ(a_.relay.next_due(), now_ + kProgressSpacing);
  now_ += kProgressSpacing;
  EXPECT_EQ(Exchange(), 1);
  EXPECT_TRUE(watch->TakeProgress(&progress));
}

TEST_F(PeerRelayTest, AWatcherThatHasGoneIsForgotten) {
  const auto watch = c_.Watch("v");
  Exchange();
  c_.videos.Unsubscribe("v", watch);
  now_ += 3 * kWatchRenewal;
  Exchange();
  a_.videos.Changed("v");
  EXPECT_EQ(Exchange(), 0);
}

TEST_F(PeerRelayTest, AWatcherThatStaysIsNotForgotten) {
  const auto watch = c_.Watch("v");
  for (int i = 0; i < 10; ++i) {
    Exchange();
    now_ += kWatchRenewal;
  }
  (void)watch->TakeChanged();
  a_.videos.Changed("v");
  Exchange();
  EXPECT_TRUE(watch->TakeChanged());
}

TEST_F(PeerRelayTest, EndsAndWorkReachTheOthersOnly) {
  a_.relay.videos().Ended("v");
  a_.relay.runs().Ended("r");
  a_.relay.videos().WorkChanged("w");
  a_.relay.runs().WorkChanged("");
  EXPECT_EQ(Exchange(), 1);
  EXPECT_THAT(c_.ended, ElementsAre("video v", "run r"));
  EXPECT_THAT(c_.clips, ElementsAre("w"));
  EXPECT_EQ(c_.runs_waiting, 1);
  EXPECT_THAT(a_.ended, IsEmpty());
  EXPECT_THAT(a_.clips, IsEmpty());
}

TEST_F(PeerRelayTest, WorkIsNamedOnceUntilItIsTooMuchToName) {
  for (int i = 0; i < 3; ++i) {
    a_.relay.videos().WorkChanged("v");
    a_.relay.videos().WorkChanged("w");
  }
  Exchange();
  EXPECT_THAT(c_.clips, ElementsAre("v", "w"));
  c_.clips.clear();
  for (int i = 0; i < 5000; ++i) a_.relay.videos().WorkChanged(absl::StrCat("video-", i));
  EXPECT_EQ(Exchange(), 1);
  EXPECT_THAT(c_.clips, ElementsAre(""));
}

TEST_F(PeerRelayTest, MessagesKeepToTheLimit) {
  std::vector<std::shared_ptr<EventHub::Subscription>> watches;
  for (int i = 0; i < 100; ++i) watches.push_back(c_.Watch(absl::StrCat("video-", i)));
  const std::vector<std::string> messages = c_.relay.TakeMessages(now_, 200);
  EXPECT_GT(messages.size(), 5u);
  for (const std::string& message : messages) {
    EXPECT_LE(message.size(), 200u);
    a_.relay.Receive(message, now_);
  }
  for (int i = 0; i < 100; ++i) a_.videos.Changed(absl::StrCat("video-", i));
  Exchange();
  for (const auto& watch : watches) EXPECT_TRUE(watch->TakeChanged());
}

TEST_F(PeerRelayTest, NonsenseIsIgnored) {
  for (const char* message : {"", "x", "x\n", "x\nv", "x\nvp v ???", "x\nzz\nvc", "x\nvw", "x\nvp v"}) {
    a_.relay.Receive(message, now_);
  }
  EXPECT_THAT(a_.relay.TakeMessages(now_, 7900), SizeIs(testing::Le(1)));
}

}  // namespace
}  // namespace svi::server
