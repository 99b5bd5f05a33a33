#include "worker/agent/lora_cache.h"

#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <vector>

#include "client/sha256.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/conformance/temp_dir.h"

namespace svi::worker {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

namespace fs = std::filesystem;

std::string Contents(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}

class LoraCacheTest : public ::testing::Test {
 protected:
  void Open(const std::string& dir, uint64_t max_bytes = 1 << 20) {
    cache_.reset();
    auto cache = LoraCache::Open(dir, max_bytes);
    ASSERT_TRUE(cache.ok()) << cache.status();
    cache_ = *std::move(cache);
  }
  void SetUp() override { Open(dir_.File("cache")); }

  // From now on the server has this.
  void Publish(const std::string& id, const std::string& bytes) {
    Unpublish(id);
    v1::Lora& lora = *published_.Add();
    lora.set_name("loras/" + id);
    lora.set_size_bytes(bytes.size());
    lora.set_sha256(Sha256::Of(bytes));
    files_["loras/" + id] = bytes;
  }
  void Unpublish(const std::string& id) {
    for (int i = 0; i < published_.size(); ++i) {
      if (published_[i].name() == "loras/" + id) published_.DeleteSubrange(i--, 1);
    }
    files_.erase("loras/" + id);
  }
  absl::Status Provide(const std::vector<std::string>& names) {
    google::protobuf::RepeatedPtrField<v1::LoraRef> wanted;
    for (const std::string& name : names) wanted.Add()->set_name(name);
    return cache_->Provide(wanted, published_, [this](const std::string& name, client::FileDownload& file) {
      fetched_.push_back(name);
      if (absl::Status status = file.Append(files_[name].substr(file.size())); !status.ok()) return status;
      return file.Commit(Sha256::Of(files_[name]));
    });
  }
  std::string Cached(const std::string& name) {
    return Contents(cache_->dir() + "/" + name + ".safetensors");
  }

  const TempDir dir_;
  google::protobuf::RepeatedPtrField<v1::Lora> published_;
  std::map<std::string, std::string> files_;
  std::vector<std::string> fetched_;
  std::unique_ptr<LoraCache> cache_;
};

TEST_F(LoraCacheTest, FetchesWhatIsWantedAndPublishedAndNotThere) {
  Publish("a", "aaa");
  Publish("b", "bbb");
  Publish("c", "ccc");
  EXPECT_EQ(Provide({"a", "mine", "b"}), absl::OkStatus());
  EXPECT_THAT(fetched_, ElementsAre("loras/a", "loras/b"));
  EXPECT_EQ(Cached("a"), "aaa");
  EXPECT_EQ(Cached("b"), "bbb");
  EXPECT_EQ(Provide({"b", "a"}), absl::OkStatus());
  EXPECT_THAT(fetched_, ElementsAre("loras/a", "loras/b"));
}

TEST_F(LoraCacheTest, AnotherHashIsFetchedAnew) {
  Publish("a", "old");
  EXPECT_EQ(Provide({"a"}), absl::OkStatus());
  Publish("a", "new");
  EXPECT_EQ(Provide({"a"}), absl::OkStatus());
  EXPECT_EQ(Cached("a"), "new");
}

TEST_F(LoraCacheTest, WhatIsNoLongerPublishedGoes) {
  Publish("a", "aaa");
  EXPECT_EQ(Provide({"a"}), absl::OkStatus());
  Unpublish("a");
  EXPECT_EQ(Provide({"a"}), absl::OkStatus());
  EXPECT_FALSE(fs::exists(cache_->dir() + "/a.safetensors"));
}

TEST_F(LoraCacheTest, AnEarlierProcesssFilesAreUsedIfTheyAreRight) {
  Publish("a", "aaa");
  Publish("b", "bbb");
  EXPECT_EQ(Provide({"a", "b"}), absl::OkStatus());
  Open(dir_.File("cache"));
  std::ofstream(cache_->dir() + "/b.safetensors") << "bbB";
  fetched_.clear();
  EXPECT_EQ(Provide({"a", "b"}), absl::OkStatus());
  EXPECT_THAT(fetched_, ElementsAre("loras/b"));
  EXPECT_EQ(Cached("b"), "bbb");
}

TEST_F(LoraCacheTest, AFileThatSomebodyChangedIsFetchedAgain) {
  Publish("a", "aaa");
  EXPECT_EQ(Provide({"a"}), absl::OkStatus());
  std::ofstream(cache_->dir() + "/a.safetensors") << "longer than it was";
  EXPECT_EQ(Provide({"a"}), absl::OkStatus());
  EXPECT_EQ(Cached("a"), "aaa");
}

TEST_F(LoraCacheTest, AFullCacheGivesUpWhatWasUsedLongestAgo) {
  Open(dir_.File("small"), 1000);
  for (const char* name : {"a", "b", "c"}) {
    Publish(name, std::string(300, name[0]));
    EXPECT_EQ(Provide({name}), absl::OkStatus());
  }
  EXPECT_EQ(Provide({"a"}), absl::OkStatus());  // b is the oldest now
  Publish("d", std::string(300, 'd'));
  EXPECT_EQ(Provide({"d"}), absl::OkStatus());
  EXPECT_EQ(Cached("b"), "");
  EXPECT_EQ(Cached("a").size() + Cached("c").size() + Cached("d").size(), 900u);
  // What one clip needs is there at once, even if it is more than the cache should hold.
  Publish("b", std::string(900, 'b'));
  EXPECT_EQ(Provide({"a", "b", "d"}), absl::OkStatus());
  EXPECT_EQ(Cached("a").size() + Cached("b").size() + Cached("d").size(), 1500u);
  EXPECT_EQ(Cached("c"), "");
}

TEST_F(LoraCacheTest, AHashThatIsNoneIsRefused) {
  Publish("a", "aaa");
  published_[0].clear_sha256();
  EXPECT_TRUE(absl::IsUnavailable(Provide({"a"})));
  EXPECT_THAT(fetched_, IsEmpty());
}

TEST_F(LoraCacheTest, NamesDoNotLeadOutOfTheFolder) {
  std::ofstream(dir_.File("precious.safetensors")) << "precious";
  EXPECT_EQ(Provide({"../precious"}), absl::OkStatus());
  Publish("../precious", "evil");
  EXPECT_EQ(Provide({"../precious"}), absl::OkStatus());
  EXPECT_EQ(Contents(dir_.File("precious.safetensors")), "precious");
  EXPECT_THAT(fetched_, IsEmpty());
}

TEST_F(LoraCacheTest, AFolderBelongsToOneWorker) {
  const auto second = LoraCache::Open(dir_.File("cache"), 1);
  EXPECT_TRUE(absl::IsFailedPrecondition(second.status()));
  EXPECT_THAT(std::string(second.status().message()), HasSubstr("another worker"));
  cache_.reset();
  EXPECT_TRUE(LoraCache::Open(dir_.File("cache"), 1).ok());
}

TEST_F(LoraCacheTest, AFolderThatCannotBeMadeIsSaid) {
  std::ofstream(dir_.File("file")) << "";
  EXPECT_TRUE(absl::IsFailedPrecondition(LoraCache::Open(dir_.File("file") + "/sub", 1).status()));
}

TEST_F(LoraCacheTest, TheTemporaryFolderGoes) {
  Open("");
  const std::string dir = cache_->dir();
  Publish("a", "aaa");
  EXPECT_EQ(Provide({"a"}), absl::OkStatus());
  EXPECT_TRUE(fs::exists(dir + "/a.safetensors"));
  cache_.reset();
  EXPECT_FALSE(fs::exists(dir));
}

}  // namespace
}  // namespace svi::worker
