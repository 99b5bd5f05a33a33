#include "server/retention/garbage.h"

#include "server/lease/trainer_messages.h"
#include "server/lease/worker_messages.h"
#include "tests/server/retention/retention_fixture.h"

namespace svi::server {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;
using testing::UnorderedElementsAre;

TEST(ParseArtifactKey, KnowsTheNamesThatTheServerGives) {
  auto name = ParseArtifactKey(ClipKey({"cat", 12, 3}));
  ASSERT_TRUE(name.has_value());
  EXPECT_EQ(name->kind, ArtifactName::Kind::kClip);
  EXPECT_EQ(name->owner, "cat");
  EXPECT_EQ(name->clip_index, 12);
  name = ParseArtifactKey(CarryKey({"cat", 123456, 3}));
  ASSERT_TRUE(name.has_value());
  EXPECT_EQ(name->kind, ArtifactName::Kind::kCarry);
  EXPECT_EQ(name->clip_index, 123456);
  name = ParseArtifactKey(LoraKey({"run", 4}));
  ASSERT_TRUE(name.has_value());
  EXPECT_EQ(name->kind, ArtifactName::Kind::kLora);
  EXPECT_EQ(name->owner, "run");
  name = ParseArtifactKey("cat/image");
  ASSERT_TRUE(name.has_value());
  EXPECT_EQ(name->kind, ArtifactName::Kind::kImage);
}

TEST(ParseArtifactKey, KnowsNoOthers) {
  for (const char* key : {"image", "cat/picture", "cat/sub/image", "/image", "cat/clip-1.mp4",
                          "cat/clip-x.e1.mp4", "cat/clip-1.e0.mp4", "cat/clip-1.1.mp4", "cat/clip-1.e1.mov",
                          "cat/clip-1.e1.mp4.part", "cat/lora.e1.bin", "cat/lora.safetensors"}) {
    EXPECT_FALSE(ParseArtifactKey(key).has_value()) << key;
  }
}

class GarbageTest : public RetentionTest {
 protected:
  // Keys of the garbage among all of the owner's.
  std::vector<std::string> Garbage(const std::string& owner) {
    std::vector<ArtifactInfo> artifacts;
    for (const std::string& key : Keys()) {
      if (key.substr(0, key.find('/')) == owner) artifacts.push_back({key, 1, now_});
    }
    GarbageFinder finder(jobs_.get(), training_.get());
    const auto found = finder.Find(owner, artifacts);
    EXPECT_TRUE(found.ok()) << found.status();
    std::vector<std::string> keys;
    for (const ArtifactInfo& artifact : *found) keys.push_back(artifact.key);
    return keys;
  }
};

TEST_F(GarbageTest, WhatAVideoNeedsIsNone) {
  MakeVideo("cat", 3);
  EXPECT_THAT(Garbage("cat"), IsEmpty());
  MakeClip("cat", 0);
  MakeClip("cat", 1);
  EXPECT_THAT(Keys(), ElementsAre("cat/clip-00000.e1.mp4", "cat/clip-00001.e1.carry", "cat/clip-00001.e1.mp4",
                                  "cat/image"));
  EXPECT_THAT(Garbage("cat"), IsEmpty());
  MakeClip("cat", 2);
  EXPECT_THAT(Garbage("cat"), IsEmpty());
}

TEST_F(GarbageTest, UploadsThatWereNotCommittedAre) {
  MakeVideo("cat", 3);
  MakeClip("cat", 0);
  for (const char* key : {"cat/clip-00000.e2.mp4", "cat/clip-00000.e2.carry", "cat/clip-00001.e1.mp4",
                          "cat/clip-00001.e1.carry"}) {
    Put(key);
  }
  EXPECT_THAT(Garbage("cat"), UnorderedElementsAre("cat/clip-00000.e2.mp4", "cat/clip-00000.e2.carry",
                                                   "cat/clip-00001.e1.mp4", "cat/clip-00001.e1.carry"));
}

TEST_F(GarbageTest, TheCarryOfAVideoThatHasEndedIs) {
  MakeVideo("cat", 3);
  MakeClip("cat", 0);
  Cancel("cat");
  EXPECT_THAT(Garbage("cat"), ElementsAre("cat/clip-00000.e1.carry"));
}

TEST_F(GarbageTest, AllOfAVideoThatIsNotThereIs) {
  Put("gone/image");
  Put("gone/clip-00000.e1.mp4");
  Put("gone/strange");
  EXPECT_THAT(Garbage("gone"), UnorderedElementsAre("gone/image", "gone/clip-00000.e1.mp4"));
}

TEST_F(GarbageTest, APublishedLoraIsNoneAndAnotherUploadIs) {
  NewTrainingRun run;
  run.id = "r1";
  run.spec.set_dataset("scenes");
  bool replayed = false;
  bool taken = false;
  ASSERT_TRUE(training_->CreateRun(run, now_, &replayed, &taken).ok());
  const auto leased = training_->AcquireRun("r1", "workers/t", now_);
  ASSERT_TRUE(leased.ok()) << leased.status();
  FinishedRun finished;
  finished.lora = *artifacts_->Put("r1/lora.e1.safetensors", "lora");
  finished.rank = 16;
  ASSERT_TRUE(training_->CommitRun(leased->lease, finished, now_).ok());
  Put("r1/lora.e2.safetensors");
  Put("r2/lora.e1.safetensors");
  EXPECT_THAT(Garbage("r1"), ElementsAre("r1/lora.e2.safetensors"));
  EXPECT_THAT(Garbage("r2"), ElementsAre("r2/lora.e1.safetensors"));
}

}  // namespace
}  // namespace svi::server
