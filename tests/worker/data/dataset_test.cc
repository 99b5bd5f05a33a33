#include "worker/data/dataset.h"

#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "absl/strings/match.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/worker/media/media_test_util.h"
#include "worker/media/media.h"

namespace svi::data {
namespace {

namespace fs = std::filesystem;
using engine::Picture;
using engine::VideoSource;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;

class DatasetTest : public ::testing::Test {
 protected:
  void SetUp() override {
    dir_ = ::testing::TempDir() + "/data_" + ::testing::UnitTest::GetInstance()->current_test_info()->name();
    fs::remove_all(dir_);
    fs::create_directories(dir_);
  }
  void TearDown() override { fs::remove_all(dir_); }

  void Put(const std::string& name, const std::string& bytes) {
    fs::create_directories(fs::path(dir_ + "/" + name).parent_path());
    media::WriteFile(dir_ + "/" + name, bytes);
  }
  void PutVideo(const std::string& name, int frames) {
    Put(name, media::MakeClip({.width = 64, .height = 32}, 0, frames));
  }
  std::unique_ptr<VideoSource> Open(const std::string& name = "") {
    auto source = OpenDataset(name.empty() ? dir_ : dir_ + "/" + name);
    EXPECT_TRUE(source.ok()) << source.status();
    return source.ok() ? *std::move(source) : nullptr;
  }
  static std::vector<std::string> Names(const VideoSource& source) {
    std::vector<std::string> names;
    for (const auto& item : source.items()) names.push_back(item.name + " = " + item.prompt);
    return names;
  }
  static std::vector<std::string> Reasons(const VideoSource& source) {
    std::vector<std::string> reasons;
    for (const auto& skipped : source.skipped()) reasons.push_back(skipped.name + ": " + skipped.why);
    return reasons;
  }

  std::string dir_;
};

TEST_F(DatasetTest, FolderOfCategories) {
  Put("sea/sea.csv",
      "Video Title,Video Description,Video URL,Filename\r\n"
      "t,\"A boat, sailing \"\"west\"\"\",u,b.mp4\r\nt,Waves,u,a.mp4\r\n");
  Put("Cats/Cats.csv",
      "\xEF\xBB\xBF"
      "Filename,Video Description\n1.mp4,A cat\n");
  for (const char* name : {"sea/a.mp4", "sea/b.mp4", "Cats/1.mp4"}) PutVideo(name, 1);
  Put("notes.txt", "not a part of it");
  const auto source = Open();
  EXPECT_THAT(Names(*source),
              ElementsAre("Cats/1.mp4 = A cat", "sea/b.mp4 = A boat, sailing \"west\"", "sea/a.mp4 = Waves"));
  EXPECT_THAT(Reasons(*source), IsEmpty());
  EXPECT_EQ(Names(*Open()), Names(*source));
}

TEST_F(DatasetTest, BadRowsAreNamedWithTheirReasons) {
  PutVideo("outside.mp4", 1);
  for (const char* name : {"c/good.mp4", "c/sub/deep.mp4", "c/forgotten.mp4", "none/x.mp4"})
    PutVideo(name, 1);
  fs::create_directories(dir_ + "/c/folder.mp4");
  Put("bad/bad.csv", "File,Text\nx.mp4,y\n");
  Put("c/c.csv",
      "Video Description,Filename\n"
      "good one,good.mp4\n"         // 2
      "too few\n"                   // 3
      ",good.mp4\n"                 // 4
      "no file,\n"                  // 5
      "gone,gone.mp4\n"             // 6
      "up,../outside.mp4\n"         // 7
      "up,sub/../../outside.mp4\n"  // 8
      "root,/etc/passwd\n"          // 9
      "folder,folder.mp4\n"         // 10
      "bytes \xFF,good.mp4\n"       // 11
      "\"a\"b,good.mp4\n"           // 12
      "deep,sub/deep.mp4\n");       // 13
  const auto source = Open();
  EXPECT_THAT(Names(*source), ElementsAre("c/good.mp4 = good one", "c/sub/deep.mp4 = deep"));
  EXPECT_THAT(
      Reasons(*source),
      ElementsAre(
          "bad/bad.csv: its first line does not name the columns \"Filename\" and \"Video Description\"",
          "c/c.csv, line 3: it has only 1 fields", "c/c.csv, line 4 (good.mp4): it has no description",
          "c/c.csv, line 5: it names no file", "c/c.csv, line 6 (gone.mp4): there is no such file",
          "c/c.csv, line 7 (../outside.mp4): the path leaves the data set's folder",
          "c/c.csv, line 8 (sub/../../outside.mp4): the path leaves the data set's folder",
          "c/c.csv, line 9 (/etc/passwd): the path leaves the data set's folder",
          "c/c.csv, line 10 (folder.mp4): it is not a regular file",
          "c/c.csv, line 11 (good.mp4): the description is not UTF-8",
          "c/c.csv, line 12: there is text after a closing quote", "c/forgotten.mp4: c.csv has no row for it",
          "none: there is no none/none.csv", "outside.mp4: it is in no category's folder"));
}

TEST_F(DatasetTest, JsonLines) {
  PutVideo("clips/a.mp4", 1);
  PutVideo("b.mp4", 1);
  Put("train.jsonl",
      "{\"path\": \"b.mp4\", \"prompt\": \"zwei \\u00e4\", \"more\": 1}\r\n\n"
      "{\"prompt\": \"one\", \"path\": \"./clips/a.mp4\"}\n"
      "{\"path\": \"b.mp4\"\n"
      "[1]\n"
      "{\"path\": 3, \"prompt\": \"x\"}\n"
      "{\"path\": \"../b.mp4\", \"prompt\": \"x\"}\n"
      "{\"path\": \"b.mp4\\u0000\", \"prompt\": \"x\"}\n"
      "{\"path\": \"b.mp4\", \"prompt\": \" \"}");
  const auto source = Open("train.jsonl");
  EXPECT_THAT(Names(*source), ElementsAre("b.mp4 = zwei \u00e4", "clips/a.mp4 = one"));
  EXPECT_THAT(
      Reasons(*source),
      ElementsAre("train.jsonl, line 4: it is not JSON", "train.jsonl, line 5: it is not a JSON object",
                  "train.jsonl, line 6: it has no text \"path\"",
                  "train.jsonl, line 7 (../b.mp4): the path leaves the data set's folder",
                  HasSubstr("train.jsonl, line 8"), "train.jsonl, line 9 (b.mp4): it has no description"));
}

TEST_F(DatasetTest, NothingToTrainOn) {
  EXPECT_EQ(OpenDataset(dir_ + "/none").status().code(), absl::StatusCode::kNotFound);
  Put("list.txt", "a.mp4");
  EXPECT_EQ(OpenDataset(dir_ + "/list.txt").status().code(), absl::StatusCode::kInvalidArgument);
  Put("empty.jsonl", "");
  EXPECT_EQ(OpenDataset(dir_ + "/empty.jsonl").status().code(), absl::StatusCode::kInvalidArgument);
  Put("c/c.csv", "Filename,Video Description\n1.mp4,x\n2.mp4,x\n3.mp4,x\n4.mp4,x\n");
  const absl::Status status = OpenDataset(dir_).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(std::string(status.message()), HasSubstr("c/c.csv, line 2 (1.mp4): there is no such file"));
  EXPECT_THAT(std::string(status.message()), HasSubstr("and 1 more"));
  EXPECT_THAT(std::string(status.message()), Not(HasSubstr(dir_)));
}

TEST_F(DatasetTest, IdentityFollowsTheFile) {
  PutVideo("a.mp4", 1);
  Put("l.jsonl", "{\"path\": \"a.mp4\", \"prompt\": \"x\"}");
  const std::string before = Open("l.jsonl")->items()[0].identity;
  EXPECT_EQ(Open("l.jsonl")->items()[0].identity, before);
  PutVideo("a.mp4", 2);
  EXPECT_NE(Open("l.jsonl")->items()[0].identity, before);
}

TEST_F(DatasetTest, ReadsTheFramesAskedFor) {
  PutVideo("a.mp4", 20);
  Put("l.jsonl", "{\"path\": \"a.mp4\", \"prompt\": \"x\"}");
  const auto source = Open("l.jsonl");
  const auto info = source->Probe(0);
  ASSERT_TRUE(info.ok()) << info.status();
  EXPECT_EQ(info->frames, 20);
  EXPECT_EQ(info->width, 64);
  EXPECT_EQ(info->height, 32);
  EXPECT_NEAR(info->fps, 24, 1e-6);

  const auto whole = media::DecodeVideo(media::ReadFile(dir_ + "/a.mp4"));
  const std::vector<int64_t> numbers = {2, 2, 5, 8, 19};
  std::vector<Picture> frames;
  const auto keep = [&](const Picture& frame) {
    frames.push_back(frame);
    return absl::OkStatus();
  };
  ASSERT_EQ(source->ReadFrames(0, numbers, keep), absl::OkStatus());
  ASSERT_EQ(frames.size(), numbers.size());
  for (size_t i = 0; i < numbers.size(); ++i) {
    EXPECT_EQ(media::MaxDifference(frames[i], whole->frames[numbers[i]]), 0) << i;
  }
  EXPECT_EQ(source->ReadFrames(0, {19, 20}, keep).code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(source->ReadFrames(0, {5, 2}, keep).code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(source->ReadFrames(0, {1}, [](const Picture&) { return absl::AbortedError("enough"); }),
            absl::AbortedError("enough"));
}

TEST_F(DatasetTest, DamagedVideosAreFoundByProbing) {
  std::string bytes = media::MakeClip({.width = 64, .height = 32}, 0, 60);
  for (size_t i = bytes.size() / 2; i < bytes.size() / 2 + 200; ++i) bytes[i] = static_cast<char>(~bytes[i]);
  Put("damaged.mp4", bytes);
  Put("text.mp4", "no video");
  Put("l.jsonl",
      "{\"path\": \"damaged.mp4\", \"prompt\": \"x\"}\n{\"path\": \"text.mp4\", \"prompt\": \"x\"}");
  const auto source = Open("l.jsonl");
  for (size_t i = 0; i < 2; ++i) {
    EXPECT_EQ(source->Probe(i).status().code(), absl::StatusCode::kInvalidArgument) << i;
  }
  fs::remove(dir_ + "/text.mp4");
  EXPECT_EQ(source->Probe(1).status().code(), absl::StatusCode::kNotFound);
}

}  // namespace
}  // namespace svi::data
