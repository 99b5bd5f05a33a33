// What every ArtifactStore must do, on local files and on a real S3-compatible server.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <map>
#include <set>
#include <thread>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "client/sha256.h"
#include "server/artifacts/artifact_reader.h"
#include "server/artifacts/local_artifacts.h"
#include "server/artifacts/s3_artifacts.h"
#include "tests/conformance/s3_server.h"
#include "tests/conformance/temp_dir.h"

namespace svi::server {
namespace {

namespace fs = std::filesystem;
using absl::StatusCode;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::Not;
using testing::UnorderedElementsAre;

// Somewhere to keep artifacts; both kinds keep each as a file.
class Backend {
 public:
  virtual ~Backend() = default;
  virtual absl::StatusOr<std::unique_ptr<ArtifactStore>> Open() = 0;
  virtual fs::path FileOf(const std::string& key) = 0;
  // What no error may tell.
  virtual std::string Place() = 0;
};

class LocalBackend : public Backend {
 public:
  absl::StatusOr<std::unique_ptr<ArtifactStore>> Open() override {
    return OpenLocalArtifacts(dir_.File("artifacts"));
  }
  fs::path FileOf(const std::string& key) override { return dir_.path() / "artifacts" / key; }
  std::string Place() override { return dir_.path().filename(); }

 private:
  TempDir dir_;
};

class S3Backend : public Backend {
 public:
  absl::StatusOr<std::unique_ptr<ArtifactStore>> Open() override {
    S3Options options;
    options.endpoint = server_.endpoint();
    options.bucket = S3Server::kBucket;
    options.credentials_file = server_.credentials_file();
    return OpenS3Artifacts(options, "a/prefix", dir_.File("spool"));
  }
  fs::path FileOf(const std::string& key) override { return server_.FileOf("a/prefix/" + key); }
  std::string Place() override { return server_.endpoint().substr(7); }

 private:
  S3Server server_;
  TempDir dir_;
};

class ArtifactStoreTest : public testing::TestWithParam<std::string> {
 protected:
  void SetUp() override {
    if (GetParam() == "S3") {
      backend_ = std::make_unique<S3Backend>();
    } else {
      backend_ = std::make_unique<LocalBackend>();
    }
    Open();
  }

  void Open() {
    store_ = nullptr;
    absl::StatusOr<std::unique_ptr<ArtifactStore>> store = backend_->Open();
    ASSERT_TRUE(store.ok()) << store.status();
    store_ = *std::move(store);
    store_->SetDamageListener(
        [this](const ArtifactRef& ref, const absl::Status&) { damaged_.push_back(ref.key); });
  }
  ArtifactRef Put(const std::string& key, const std::string& bytes) {
    const absl::StatusOr<ArtifactRef> ref = store_->Put(key, bytes);
    EXPECT_TRUE(ref.ok()) << ref.status();
    return ref.ok() ? *ref : ArtifactRef();
  }
  std::unique_ptr<ArtifactWriter> Writer(const std::string& key) {
    absl::StatusOr<std::unique_ptr<ArtifactWriter>> writer = store_->OpenWriter(key);
    EXPECT_TRUE(writer.ok()) << writer.status();
    return writer.ok() ? *std::move(writer) : nullptr;
  }
  std::vector<std::string> Keys() {
    std::vector<std::string> keys;
    const absl::Status status = store_->Visit([&keys](const ArtifactInfo& info) {
      keys.push_back(info.key);
      return true;
    });
    EXPECT_TRUE(status.ok()) << status;
    return keys;
  }
  void ExpectCode(const absl::Status& status, StatusCode code) {
    EXPECT_EQ(status.code(), code) << status;
    EXPECT_THAT(std::string(status.message()), Not(HasSubstr(backend_->Place())));
  }

  std::unique_ptr<Backend> backend_;
  std::unique_ptr<ArtifactStore> store_;
  std::vector<std::string> damaged_;
};

TEST_P(ArtifactStoreTest, WritesInPiecesAndReadsBack) {
  std::unique_ptr<ArtifactWriter> writer = Writer("v1/clip-00000.e1.mp4");
  ASSERT_NE(writer, nullptr);
  EXPECT_EQ(writer->size(), 0);
  ASSERT_TRUE(writer->Append(0, "hello ").ok());
  ASSERT_TRUE(writer->Append(6, "").ok());
  ASSERT_TRUE(writer->Append(6, absl::string_view("wor\0ld", 6)).ok());
  EXPECT_EQ(writer->size(), 12);
  EXPECT_THAT(Keys(), ElementsAre());  // not visible before it is whole
  const absl::StatusOr<ArtifactRef> ref = writer->Commit();
  ASSERT_TRUE(ref.ok()) << ref.status();
  const std::string bytes("hello wor\0ld", 12);
  EXPECT_EQ(ref->key, "v1/clip-00000.e1.mp4");
  EXPECT_EQ(ref->size, 12);
  EXPECT_EQ(ref->sha256, Sha256::Of(bytes));
  EXPECT_EQ(store_->ReadAt(*ref, 0, 100).value_or("?"), bytes);
  EXPECT_EQ(store_->ReadAt(*ref, 6, 3).value_or("?"), "wor");
  EXPECT_EQ(store_->ReadAt(*ref, 12, 5).value_or("?"), "");
  ExpectCode(store_->ReadAt(*ref, 13, 1).status(), StatusCode::kOutOfRange);
  EXPECT_TRUE(VerifyArtifact(*store_, *ref).ok());
}

TEST_P(ArtifactStoreTest, WhatWasCommittedIsThereAfterAReopening) {
  std::string bytes(3 << 20, 'x');
  for (size_t i = 0; i < bytes.size(); ++i) bytes[i] = static_cast<char>(i * 2654435761u >> 13);
  const ArtifactRef ref = Put("v1/kept", bytes);
  Open();
  EXPECT_TRUE(VerifyArtifact(*store_, ref).ok());
  EXPECT_EQ(store_->ReadAt(ref, 1234567, 1 << 20).value_or("?"), bytes.substr(1234567, 1 << 20));
}

TEST_P(ArtifactStoreTest, AppendMustContinueWhereItEnded) {
  std::unique_ptr<ArtifactWriter> writer = Writer("a");
  ASSERT_NE(writer, nullptr);
  ASSERT_TRUE(writer->Append(0, "abc").ok());
  for (const uint64_t offset : {0, 2, 4}) ExpectCode(writer->Append(offset, "x"), StatusCode::kOutOfRange);
  ASSERT_TRUE(writer->Append(3, "def").ok());
  const absl::StatusOr<ArtifactRef> ref = writer->Commit();
  ASSERT_TRUE(ref.ok()) << ref.status();
  EXPECT_EQ(store_->ReadAt(*ref, 0, 10).value_or("?"), "abcdef");
  EXPECT_EQ(writer->Append(6, "x").code(), StatusCode::kFailedPrecondition);
  EXPECT_EQ(writer->Commit().status().code(), StatusCode::kFailedPrecondition);
}

TEST_P(ArtifactStoreTest, AnAbandonedWriterLeavesNothing) {
  std::unique_ptr<ArtifactWriter> writer = Writer("v1/a");
  ASSERT_NE(writer, nullptr);
  ASSERT_TRUE(writer->Append(0, "abc").ok());
  writer = nullptr;
  EXPECT_THAT(Keys(), ElementsAre());
  EXPECT_FALSE(fs::exists(backend_->FileOf("v1")));
}

TEST_P(ArtifactStoreTest, AnEmptyArtifact) {
  const ArtifactRef ref = Put("empty", "");
  EXPECT_EQ(ref.size, 0);
  EXPECT_EQ(store_->ReadAt(ref, 0, 10).value_or("?"), "");
  EXPECT_TRUE(VerifyArtifact(*store_, ref).ok());
}

TEST_P(ArtifactStoreTest, TheLaterCommitOfAKeyWins) {
  std::unique_ptr<ArtifactWriter> first = Writer("a");
  std::unique_ptr<ArtifactWriter> second = Writer("a");
  ASSERT_TRUE(first != nullptr && second != nullptr);
  ASSERT_TRUE(first->Append(0, "first").ok());
  ASSERT_TRUE(second->Append(0, "2nd").ok());
  ASSERT_TRUE(first->Commit().ok());
  const absl::StatusOr<ArtifactRef> ref = second->Commit();
  ASSERT_TRUE(ref.ok()) << ref.status();
  EXPECT_EQ(store_->ReadAt(*ref, 0, 10).value_or("?"), "2nd");
}

TEST_P(ArtifactStoreTest, BadKeysAreRefusedEverywhere) {
  const ArtifactRef outside{"../secret", 6, Sha256::Of("secret")};
  EXPECT_EQ(store_->OpenWriter("../x").status().code(), StatusCode::kInvalidArgument);
  EXPECT_EQ(store_->ReadAt(outside, 0, 6).status().code(), StatusCode::kInvalidArgument);
  EXPECT_EQ(VerifyArtifact(*store_, outside).code(), StatusCode::kInvalidArgument);
  EXPECT_EQ(store_->Delete(outside).code(), StatusCode::kInvalidArgument);
}

TEST_P(ArtifactStoreTest, WhatIsNotThereIsNotFound) {
  const ArtifactRef none{"v1/none", 3, "hash"};
  ExpectCode(store_->ReadAt(none, 0, 1).status(), StatusCode::kNotFound);
  ExpectCode(store_->ReadAt(none, 3, 1).status(), StatusCode::kNotFound);
  ExpectCode(VerifyArtifact(*store_, none), StatusCode::kNotFound);
  Put("v2/a", "a");
  ExpectCode(store_->ReadAt({"v2", 1, ""}, 0, 1).status(), StatusCode::kNotFound);  // a folder
  EXPECT_THAT(damaged_, ElementsAre());
}

TEST_P(ArtifactStoreTest, AnotherSizeIsDataLossAndIsReported) {
  const ArtifactRef ref = Put("v1/a", "0123456789");
  for (const size_t size : {9, 11, 0}) {
    damaged_.clear();
    Put("v1/a", std::string(size, 'x'));
    ExpectCode(store_->ReadAt(ref, 0, 1).status(), StatusCode::kDataLoss);
    ExpectCode(store_->ReadAt(ref, 10, 1).status(), StatusCode::kDataLoss);
    ExpectCode(VerifyArtifact(*store_, ref), StatusCode::kDataLoss);
    EXPECT_THAT(damaged_, ElementsAre("v1/a", "v1/a", "v1/a"));
  }
}

TEST_P(ArtifactStoreTest, AFlippedBitIsDataLossBeforeTheLastByteIsGivenOut) {
  std::string bytes(3'000'000, 'a');
  const ArtifactRef ref = Put("v1/a", bytes);
  EXPECT_TRUE(VerifyArtifact(*store_, ref).ok());
  bytes[1'500'000] ^= 1;
  Put("v1/a", bytes);
  ArtifactReader whole(store_.get(), ref);
  EXPECT_TRUE(whole.Next(2'000'000).ok());
  ExpectCode(whole.Next(2'000'000).status(), StatusCode::kDataLoss);
  // A download that is resumed behind the damage must not be taken for good either.
  ArtifactReader resumed(store_.get(), ref);
  ExpectCode(resumed.ReadAt(2'500'000, 1'000'000).status(), StatusCode::kDataLoss);
  EXPECT_THAT(damaged_, ElementsAre("v1/a", "v1/a"));
}

TEST_P(ArtifactStoreTest, AReaderGoesOnAtAnyLaterOffset) {
  const ArtifactRef ref = Put("v1/a", "0123456789");
  ArtifactReader reader(store_.get(), ref);
  EXPECT_EQ(reader.ReadAt(3, 2).value_or("?"), "34");
  EXPECT_EQ(reader.ReadAt(7, 1).value_or("?"), "7");
  EXPECT_EQ(reader.ReadAt(2, 1).status().code(), StatusCode::kInternal);
  EXPECT_EQ(reader.Next(100).value_or("?"), "89");
  EXPECT_TRUE(reader.at_end());
  EXPECT_EQ(reader.Next(100).value_or("?"), "");
  EXPECT_EQ(reader.ReadAt(11, 1).status().code(), StatusCode::kOutOfRange);
}

TEST_P(ArtifactStoreTest, AFetchedFileIsWholeOrNotThere) {
  TempDir dir;
  const std::string bytes(2'500'000, 'f');
  const ArtifactRef ref = Put("v1/a", bytes);
  const std::string path = dir.File("fetched");
  ASSERT_TRUE(FetchArtifact(*store_, ref, path).ok());
  std::ifstream file(path, std::ios::binary);
  EXPECT_EQ(std::string(std::istreambuf_iterator<char>(file), {}), bytes);
  Put("v1/a", std::string(2'500'000, 'g'));
  ExpectCode(FetchArtifact(*store_, ref, path), StatusCode::kDataLoss);
  EXPECT_FALSE(fs::exists(path));
}

TEST_P(ArtifactStoreTest, DeletionMayBeRepeated) {
  const ArtifactRef a = Put("v1/deep/a", "a");
  const ArtifactRef b = Put("v1/b", "b");
  EXPECT_TRUE(store_->Delete(a).ok());
  ExpectCode(store_->ReadAt(a, 0, 1).status(), StatusCode::kNotFound);
  EXPECT_TRUE(VerifyArtifact(*store_, b).ok());
  EXPECT_TRUE(store_->Delete(a).ok());
  EXPECT_TRUE(store_->Delete(b).ok());
  EXPECT_THAT(Keys(), ElementsAre());
  EXPECT_TRUE(VerifyArtifact(*store_, Put("v1/b", "again")).ok());
}

TEST_P(ArtifactStoreTest, VisitTellsOfEachArtifactWithSizeAndTime) {
  const absl::Time before = absl::Now() - absl::Seconds(2);  // clocks of files tick more slowly
  Put("v1/a", "12345");
  Put("v2/deep/b", "");
  Put("v1-x", "1");
  std::map<std::string, uint64_t> seen;
  ASSERT_TRUE(store_
                  ->Visit([&](const ArtifactInfo& info) {
                    seen[info.key] = info.size;
                    EXPECT_GE(info.modified, before);
                    EXPECT_LE(info.modified, absl::Now() + absl::Seconds(2));
                    return true;
                  })
                  .ok());
  EXPECT_THAT(seen,
              UnorderedElementsAre(std::pair("v1/a", 5), std::pair("v2/deep/b", 0), std::pair("v1-x", 1)));
}

TEST_P(ArtifactStoreTest, VisitPassesAllPagesAndKeepsGroupsTogether) {
  // 1,100 files in 11 groups, put there directly: more than S3 lists at once.
  std::set<std::string> put;
  for (int i = 0; i < 1100; ++i) {
    const std::string key = absl::StrCat("group-", i % 11, "/", i);
    fs::create_directories(backend_->FileOf(key).parent_path());
    std::ofstream(backend_->FileOf(key)) << i;
    put.insert(key);
  }
  const std::vector<std::string> keys = Keys();
  EXPECT_EQ(keys.size(), put.size());
  EXPECT_EQ(std::set<std::string>(keys.begin(), keys.end()), put);
  std::vector<std::string> groups;
  for (const std::string& key : keys) {
    const std::string group = key.substr(0, key.find('/'));
    if (groups.empty() || groups.back() != group) groups.push_back(group);
  }
  EXPECT_EQ(groups.size(), 11);
}

TEST_P(ArtifactStoreTest, VisitStopsWhenToldAndBearsDeletions) {
  for (const char* key : {"v1/a", "v1/b", "v2/a", "v2/b"}) Put(key, "x");
  int seen = 0;
  ASSERT_TRUE(store_->Visit([&seen](const ArtifactInfo&) { return ++seen < 2; }).ok());
  EXPECT_EQ(seen, 2);
  ASSERT_TRUE(
      store_->Visit([this](const ArtifactInfo& info) {
              return store_->Delete({info.key, 0, ""}).ok();
            })
          .ok());
  EXPECT_THAT(Keys(), ElementsAre());
}

TEST_P(ArtifactStoreTest, WritersReadersAndDeletersDoNotDisturbEachOther) {
  std::vector<std::thread> threads;
  std::atomic<int> failures = 0;
  for (int thread = 0; thread < 4; ++thread) {
    threads.emplace_back([&, thread] {
      for (int i = 0; i < 25; ++i) {
        const absl::StatusOr<ArtifactRef> ref =
            store_->Put(absl::StrCat("v1/sub/t", thread), std::string(100 + i, 'x'));
        if (!ref.ok() || !VerifyArtifact(*store_, *ref).ok() || !store_->Delete(*ref).ok()) ++failures;
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(failures, 0);
  EXPECT_THAT(Keys(), ElementsAre());
}

INSTANTIATE_TEST_SUITE_P(, ArtifactStoreTest, testing::Values("Local", "S3"),
                         [](const auto& info) { return info.param; });

}  // namespace
}  // namespace svi::server
