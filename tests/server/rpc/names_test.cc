#include "server/rpc/names.h"

#include <gtest/gtest.h>

#include <set>

#include "server/rpc/page_token.h"

namespace svi::server {
namespace {

TEST(NamesTest, NewIdsAreNamesAndDiffer) {
  std::set<std::string> ids;
  for (int i = 0; i < 100; ++i) {
    const std::string id = NewId();
    EXPECT_EQ(id.size(), 26U);
    EXPECT_EQ(ParseVideoName(VideoName(id)).value_or(""), id);
    ids.insert(id);
  }
  EXPECT_EQ(ids.size(), 100U);
}

TEST(NamesTest, ParsesClipNames) {
  const auto clip = ParseClipName("videos/abc/clips/12");
  ASSERT_TRUE(clip.ok());
  EXPECT_EQ(clip->video_id, "abc");
  EXPECT_EQ(clip->index, 12U);
  for (const char* bad : {"videos/abc/clips/", "videos/abc/clips/-1", "videos/abc/clips/4294967296",
                          "videos/abc/clips/1 ", "videos/../clips/1", "videos/abc/clips/1/x"}) {
    EXPECT_FALSE(ParseClipName(bad).ok()) << bad;
  }
}

TEST(NamesTest, ParsesNamesOfRunsAndLoras) {
  EXPECT_EQ(ParseTrainingRunName(TrainingRunName("abc-1")).value_or(""), "abc-1");
  EXPECT_EQ(ParseLoraName("loras/Ink_1.0-x").value_or(""), "Ink_1.0-x");
  for (const char* bad :
       {"trainingRuns/", "trainingRuns/A", "videos/a", "trainingRuns/a/b", "trainingRuns"}) {
    EXPECT_FALSE(ParseTrainingRunName(bad).ok()) << bad;
  }
  for (const char* bad : {"loras/", "loras/a/b", "loras/a b", "Ink", "loras/\xC3\xA9"}) {
    EXPECT_FALSE(ParseLoraName(bad).ok()) << bad;
  }
}

TEST(PageTokenTest, SizesHaveADefaultAndALimit) {
  EXPECT_EQ(ParsePage(0, "", "f")->limit, kDefaultPageSize);
  EXPECT_EQ(ParsePage(7, "", "f")->limit, 7);
  EXPECT_EQ(ParsePage(5000, "", "f")->limit, kMaxPageSize);
  EXPECT_FALSE(ParsePage(7, "", "f")->after.has_value());
  const PagePlace place = {5, "x"};
  EXPECT_EQ(ParsePage(7, MakePageToken(place, "f"), "f")->after, place);
  EXPECT_FALSE(ParsePage(7, MakePageToken(place, "g"), "f").ok());
}

TEST(PageTokenTest, ComesBackOnlyWithItsFilterAndUnchanged) {
  const PagePlace place = {1234567, "abc"};
  const std::string token = MakePageToken(place, "1,");
  EXPECT_EQ(ParsePageToken(token, "1,").value_or(PagePlace()), place);
  EXPECT_FALSE(ParsePageToken(token, "2,").ok());
  for (size_t i = 0; i < token.size(); ++i) {
    std::string changed = token;
    changed[i] = changed[i] == 'A' ? 'B' : 'A';
    const auto parsed = ParsePageToken(changed, "1,");
    EXPECT_TRUE(!parsed.ok() || *parsed == place) << i;  // base64's last bits may be padding
  }
  EXPECT_FALSE(ParsePageToken("%%%", "1,").ok());
}

}  // namespace
}  // namespace svi::server
