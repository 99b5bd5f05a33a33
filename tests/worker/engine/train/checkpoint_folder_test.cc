#include "worker/engine/train/checkpoint_folder.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

#include "tests/worker/engine/weights/temp_dir.h"

namespace svi::engine {
namespace {

namespace fs = std::filesystem;

TensorFile File(int64_t value) { return {{{"x", at::tensor({value}, at::kLong)}}, {{"step", "7"}}}; }

class CheckpointFolderTest : public testing::Test {
 protected:
  const std::unique_ptr<Collectives> alone_ = MakeCollectives(at::kCPU);
  const TempDir dir_;
};

TEST_F(CheckpointFolderTest, WhatIsWrittenIsReadAgain) {
  CheckpointFolder folder(dir_.File("run"), 2, *alone_);
  EXPECT_FALSE(folder.Newest());
  folder.Write(7, File(1), File(2));
  EXPECT_EQ(folder.Newest(), 7);
  EXPECT_EQ(folder.ReadShared(7).tensors.at("x").item<int64_t>(), 1);
  EXPECT_EQ(folder.ReadShared(7).metadata.at("step"), "7");
  EXPECT_EQ(folder.ReadOwn(7).tensors.at("x").item<int64_t>(), 2);
}

TEST_F(CheckpointFolderTest, OnlyTheNewestAreKept) {
  CheckpointFolder folder(dir_.File("run"), 2, *alone_);
  for (const int64_t step : {5, 10, 200, 1000}) folder.Write(step, File(step), File(step));
  EXPECT_EQ(folder.Newest(), 1000);
  EXPECT_EQ(folder.ReadOwn(200).tensors.at("x").item<int64_t>(), 200);
  EXPECT_THROW((void)folder.ReadOwn(10), std::invalid_argument);
}

TEST_F(CheckpointFolderTest, HalfWrittenOnesAreNotSeenAndGo) {
  CheckpointFolder folder(dir_.File("run"), 2, *alone_);
  folder.Write(5, File(5), File(5));
  const fs::path half = fs::path(dir_.File("run")) / ".step-00000010";
  fs::create_directories(half);
  std::ofstream(half / "shared.safetensors") << "half";
  EXPECT_EQ(CheckpointFolder(dir_.File("run"), 2, *alone_).Newest(), 5);
  EXPECT_FALSE(fs::exists(half));
}

TEST_F(CheckpointFolderTest, OtherFoldersAreLeftAlone) {
  CheckpointFolder folder(dir_.File("run"), 1, *alone_);
  fs::create_directories(fs::path(dir_.File("run")) / "step-notes");
  folder.Write(1, File(1), File(1));
  folder.Write(2, File(2), File(2));
  EXPECT_EQ(folder.Newest(), 2);
  EXPECT_TRUE(fs::exists(fs::path(dir_.File("run")) / "step-notes"));
}

TEST_F(CheckpointFolderTest, AMissingRankIsAnError) {
  CheckpointFolder folder(dir_.File("run"), 1, *alone_);
  folder.Write(1, File(1), File(1));
  fs::remove(fs::path(dir_.File("run")) / "step-00000001" / "rank-0.safetensors");
  EXPECT_THROW((void)folder.ReadOwn(1), std::invalid_argument);
}

}  // namespace
}  // namespace svi::engine
