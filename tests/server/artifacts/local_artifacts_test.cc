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
#include "server/artifacts/artifact_reader.h"
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

TEST_F(LocalArtifactsTest, AnAbandonedWriterLeavesNothing) {
  std::unique_ptr<ArtifactWriter> writer = Writer("v1/a");
  ASSERT_NE(writer, nullptr);
  ASSERT_TRUE(writer->Append(0, "abc").ok());
  EXPECT_EQ(Partials(), 1);
  writer = nullptr;
  EXPECT_EQ(Partials(), 0);
  EXPECT_FALSE(fs::exists(root_ / "v1"));
}

TEST_F(LocalArtifactsTest, LeftoversAreRemovedOnOpenAndTheRestStays) {
  const ArtifactRef ref = Put("v1/kept", "kept");
  std::ofstream(root_ / ".partial" / "17") << "half";
  Open();
  EXPECT_EQ(Partials(), 0);
  EXPECT_TRUE(VerifyArtifact(*store_, ref).ok());
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
  EXPECT_EQ(VerifyArtifact(*store_, outside).code(), StatusCode::kInvalidArgument);
  EXPECT_EQ(store_->Delete(outside).code(), StatusCode::kInvalidArgument);
  EXPECT_TRUE(fs::exists(dir_.path() / "secret"));
}

TEST_F(LocalArtifactsTest, DeleteRemovesTheFileAndEmptyFoldersAndMayBeRepeated) {
  const ArtifactRef a = Put("v1/deep/a", "a");
  const ArtifactRef b = Put("v1/b", "b");
  EXPECT_TRUE(store_->Delete(a).ok());
  EXPECT_FALSE(fs::exists(root_ / "v1/deep"));
  EXPECT_TRUE(VerifyArtifact(*store_, b).ok());
  EXPECT_TRUE(store_->Delete(a).ok());
  EXPECT_TRUE(store_->Delete(b).ok());
  EXPECT_FALSE(fs::exists(root_ / "v1"));
  EXPECT_TRUE(fs::exists(root_));
  Put("v1/b", "again");
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
