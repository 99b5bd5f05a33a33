#include "server/artifacts/local_artifacts.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <thread>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "client/sha256.h"
#include "tests/conformance/temp_dir.h"

namespace svi::server {
namespace {

namespace fs = std::filesystem;
using absl::StatusCode;
using testing::HasSubstr;
using testing::Not;

class LocalArtifactsTest : public testing::Test {
 protected:
  void SetUp() override { Open(); }

  void Open() {
    store_ = nullptr;
    absl::StatusOr<std::unique_ptr<ArtifactStore>> store = OpenLocalArtifacts(root_.string());
    ASSERT_TRUE(store.ok()) << store.status();
    store_ = *std::move(store);
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
  size_t Partials() const {
    return static_cast<size_t>(
        std::distance(fs::directory_iterator(root_ / ".partial"), fs::directory_iterator()));
  }
  void ExpectCodeWithoutPath(const absl::Status& status, StatusCode code) {
    EXPECT_EQ(status.code(), code) << status;
    EXPECT_THAT(std::string(status.message()), Not(HasSubstr(dir_.path().filename().string())));
  }

  TempDir dir_;
  const fs::path root_ = dir_.path() / "artifacts";
  std::unique_ptr<ArtifactStore> store_;
};

TEST_F(LocalArtifactsTest, WritesInPiecesAndReadsBack) {
  std::unique_ptr<ArtifactWriter> writer = Writer("v1/clip-00000.e1.mp4");
  ASSERT_NE(writer, nullptr);
  EXPECT_EQ(writer->size(), 0);
  ASSERT_TRUE(writer->Append(0, "hello ").ok());
  ASSERT_TRUE(writer->Append(6, "").ok());
  ASSERT_TRUE(writer->Append(6, absl::string_view("wor\0ld", 6)).ok());
  EXPECT_EQ(writer->size(), 12);
  EXPECT_FALSE(fs::exists(root_ / "v1"));  // not visible before it is whole
  const absl::StatusOr<ArtifactRef> ref = writer->Commit();
  ASSERT_TRUE(ref.ok()) << ref.status();
  const std::string bytes("hello wor\0ld", 12);
  EXPECT_EQ(ref->key, "v1/clip-00000.e1.mp4");
  EXPECT_EQ(ref->size, 12);
  EXPECT_EQ(ref->sha256, Sha256::Of(bytes));
  EXPECT_EQ(Partials(), 0);
  EXPECT_EQ(store_->ReadAt(*ref, 0, 100).value_or("?"), bytes);
  EXPECT_EQ(store_->ReadAt(*ref, 6, 3).value_or("?"), "wor");
  EXPECT_EQ(store_->ReadAt(*ref, 12, 5).value_or("?"), "");
  ExpectCodeWithoutPath(store_->ReadAt(*ref, 13, 1).status(), StatusCode::kOutOfRange);
  EXPECT_TRUE(store_->Verify(*ref).ok());
}

TEST_F(LocalArtifactsTest, AppendMustContinueWhereItEnded) {
  std::unique_ptr<ArtifactWriter> writer = Writer("a");
  ASSERT_NE(writer, nullptr);
  ASSERT_TRUE(writer->Append(0, "abc").ok());
  for (const uint64_t offset : {0, 2, 4}) {
    ExpectCodeWithoutPath(writer->Append(offset, "x"), StatusCode::kOutOfRange);
  }
  ASSERT_TRUE(writer->Append(3, "def").ok());
  const absl::StatusOr<ArtifactRef> ref = writer->Commit();
  ASSERT_TRUE(ref.ok()) << ref.status();
  EXPECT_EQ(store_->ReadAt(*ref, 0, 10).value_or("?"), "abcdef");
  EXPECT_EQ(writer->Append(6, "x").code(), StatusCode::kFailedPrecondition);
  EXPECT_EQ(writer->Commit().status().code(), StatusCode::kFailedPrecondition);
}

TEST_F(LocalArtifactsTest, AnAbandonedWriterLeavesNothing) {
  std::unique_ptr<ArtifactWriter> writer = Writer("v1/a");
  ASSERT_NE(writer, nullptr);
  ASSERT_TRUE(writer->Append(0, "abc").ok());
  EXPECT_EQ(Partials(), 1);
  writer = nullptr;
  EXPECT_EQ(Partials(), 0);
  EXPECT_FALSE(fs::exists(root_ / "v1"));
}

TEST_F(LocalArtifactsTest, AnEmptyArtifact) {
  const ArtifactRef ref = Put("empty", "");
  EXPECT_EQ(ref.size, 0);
  EXPECT_EQ(store_->ReadAt(ref, 0, 10).value_or("?"), "");
  EXPECT_TRUE(store_->Verify(ref).ok());
}

TEST_F(LocalArtifactsTest, TheLaterCommitOfAKeyWins) {
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

TEST_F(LocalArtifactsTest, LeftoversAreRemovedOnOpenAndTheRestStays) {
  const ArtifactRef ref = Put("v1/kept", "kept");
  std::ofstream(root_ / ".partial" / "17") << "half";
  Open();
  EXPECT_EQ(Partials(), 0);
  EXPECT_TRUE(store_->Verify(ref).ok());
}

TEST_F(LocalArtifactsTest, TheFolderHasOneOwner) {
  ExpectCodeWithoutPath(OpenLocalArtifacts(root_.string()).status(), StatusCode::kFailedPrecondition);
  store_ = nullptr;
  EXPECT_TRUE(OpenLocalArtifacts(root_.string() + "/").ok());
}

TEST_F(LocalArtifactsTest, BadKeysAreRefusedEverywhere) {
  std::ofstream(dir_.path() / "secret") << "secret";
  const ArtifactRef outside{"../secret", 6, Sha256::Of("secret")};
  EXPECT_EQ(store_->OpenWriter("../x").status().code(), StatusCode::kInvalidArgument);
  EXPECT_EQ(store_->ReadAt(outside, 0, 6).status().code(), StatusCode::kInvalidArgument);
  EXPECT_EQ(store_->Path(outside).status().code(), StatusCode::kInvalidArgument);
  EXPECT_EQ(store_->Verify(outside).code(), StatusCode::kInvalidArgument);
  EXPECT_EQ(store_->Delete(outside).code(), StatusCode::kInvalidArgument);
  EXPECT_TRUE(fs::exists(dir_.path() / "secret"));
}

TEST_F(LocalArtifactsTest, WhatIsNotThereIsNotFound) {
  const ArtifactRef none{"v1/none", 3, "hash"};
  ExpectCodeWithoutPath(store_->ReadAt(none, 0, 1).status(), StatusCode::kNotFound);
  ExpectCodeWithoutPath(store_->Path(none).status(), StatusCode::kNotFound);
  ExpectCodeWithoutPath(store_->Verify(none), StatusCode::kNotFound);
  Put("v2/a", "a");
  ExpectCodeWithoutPath(store_->ReadAt({"v2", 1, ""}, 0, 1).status(), StatusCode::kNotFound);  // a folder
}

TEST_F(LocalArtifactsTest, AShortOrLongFileIsDataLoss) {
  const ArtifactRef ref = Put("v1/a", "0123456789");
  for (const uintmax_t size : {9, 11, 0}) {
    fs::resize_file(root_ / "v1/a", size);
    ExpectCodeWithoutPath(store_->ReadAt(ref, 0, 1).status(), StatusCode::kDataLoss);
    ExpectCodeWithoutPath(store_->Path(ref).status(), StatusCode::kDataLoss);
    ExpectCodeWithoutPath(store_->Verify(ref), StatusCode::kDataLoss);
  }
}

TEST_F(LocalArtifactsTest, VerifySeesAFlippedBit) {
  std::string bytes(3'000'000, 'a');
  const ArtifactRef ref = Put("v1/a", bytes);
  EXPECT_TRUE(store_->Verify(ref).ok());
  bytes[2'500'000] ^= 1;
  std::ofstream(root_ / "v1/a", std::ios::binary) << bytes;
  ExpectCodeWithoutPath(store_->Verify(ref), StatusCode::kDataLoss);
}

TEST_F(LocalArtifactsTest, DeleteRemovesTheFileAndEmptyFoldersAndMayBeRepeated) {
  const ArtifactRef a = Put("v1/deep/a", "a");
  const ArtifactRef b = Put("v1/b", "b");
  EXPECT_TRUE(store_->Delete(a).ok());
  EXPECT_FALSE(fs::exists(root_ / "v1/deep"));
  EXPECT_TRUE(store_->Verify(b).ok());
  EXPECT_TRUE(store_->Delete(a).ok());
  EXPECT_TRUE(store_->Delete(b).ok());
  EXPECT_FALSE(fs::exists(root_ / "v1"));
  EXPECT_TRUE(fs::exists(root_));
  Put("v1/b", "again");
}

TEST_F(LocalArtifactsTest, PathHoldsTheBytes) {
  const absl::StatusOr<std::string> path = store_->Path(Put("v1/a", "abc"));
  ASSERT_TRUE(path.ok()) << path.status();
  std::ifstream file(*path);
  EXPECT_EQ(std::string(std::istreambuf_iterator<char>(file), {}), "abc");
}

TEST_F(LocalArtifactsTest, WritersAndDeletersOfOneFolderDoNotDisturbEachOther) {
  std::vector<std::thread> threads;
  std::atomic<int> failures = 0;
  for (int thread = 0; thread < 4; ++thread) {
    threads.emplace_back([&, thread] {
      for (int i = 0; i < 25; ++i) {
        const absl::StatusOr<ArtifactRef> ref =
            store_->Put(absl::StrCat("v1/sub/t", thread), std::string(100, 'x'));
        if (!ref.ok() || !store_->Verify(*ref).ok() || !store_->Delete(*ref).ok()) ++failures;
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(failures, 0);
  EXPECT_EQ(Partials(), 0);
}

TEST_F(LocalArtifactsTest, AFullDiskIsUnavailable) {
  // The limit on the size of files stands for the full disk; it is for the child alone.
  const pid_t child = fork();
  if (child == 0) {
    signal(SIGXFSZ, SIG_IGN);
    const rlimit limit{1000, 1000};
    if (setrlimit(RLIMIT_FSIZE, &limit) != 0) _exit(1);
    auto writer = store_->OpenWriter("v1/a");
    if (!writer.ok() || !(*writer)->Append(0, std::string(900, 'x')).ok()) _exit(2);
    const absl::Status full = (*writer)->Append(900, std::string(900, 'x'));
    if (full.code() != StatusCode::kUnavailable) _exit(3);
    if (absl::StrContains(full.message(), "/")) _exit(4);
    if ((*writer)->Commit().ok()) _exit(5);
    *writer = nullptr;
    _exit(Partials() == 0 && !fs::exists(root_ / "v1") ? 0 : 6);
  }
  int status = 0;
  ASSERT_EQ(waitpid(child, &status, 0), child);
  ASSERT_TRUE(WIFEXITED(status));
  EXPECT_EQ(WEXITSTATUS(status), 0);
}

TEST(OpenLocalArtifacts, AFolderThatCannotBeMadeIsUnavailable) {
  TempDir dir;
  std::ofstream(dir.File("file")) << "in the way";
  const absl::Status status = OpenLocalArtifacts(dir.File("file/below")).status();
  EXPECT_EQ(status.code(), StatusCode::kUnavailable);
  EXPECT_THAT(std::string(status.message()), Not(HasSubstr("below")));
}

}  // namespace
}  // namespace svi::server
