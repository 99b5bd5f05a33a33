#include "server/queue/tenant_table.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>
#include <string>

#include "tests/conformance/temp_dir.h"

namespace svi::server {
namespace {

using testing::HasSubstr;

constexpr char kFile[] = R"(
max_videos: 1000
others { weight: 0.5 max_videos: 10 }
tenant { name: "acme" weight: 3 max_running_clips: 7 }
tenant { name: "plain" }
)";

TEST(TenantTable, WithoutAFileNothingIsLimited) {
  TenantTable table;
  EXPECT_EQ(table.Of("anyone").weight, 1);
  EXPECT_EQ(table.Of("anyone").max_videos, 0U);
  EXPECT_EQ(table.Of("anyone").max_running_clips, 0U);
  EXPECT_EQ(table.max_videos(), 0U);
  EXPECT_FALSE(table.Reload().value());
  EXPECT_TRUE(table.IsNamed("default"));
  EXPECT_FALSE(table.IsNamed("anyone"));
}

TEST(TenantTable, ReadsTheFile) {
  const TempDir dir;
  std::ofstream(dir.File("limits")) << kFile;
  const auto table = TenantTable::Open(dir.File("limits"));
  ASSERT_TRUE(table.ok()) << table.status();
  EXPECT_EQ((*table)->max_videos(), 1000U);
  EXPECT_EQ((*table)->Of("acme").weight, 3);
  EXPECT_EQ((*table)->Of("acme").max_videos, 0U);
  EXPECT_EQ((*table)->Of("acme").max_running_clips, 7U);
  EXPECT_EQ((*table)->Of("plain").weight, 1);
  EXPECT_EQ((*table)->Of("stranger").weight, 0.5);
  EXPECT_EQ((*table)->Of("stranger").max_videos, 10U);
  EXPECT_TRUE((*table)->IsNamed("acme"));
}

TEST(TenantTable, ReadsAgainWhatHasChangedAndKeepsWhatWasGood) {
  const TempDir dir;
  const std::string path = dir.File("limits");
  std::ofstream(path) << kFile;
  const auto opened = TenantTable::Open(path);
  ASSERT_TRUE(opened.ok()) << opened.status();
  TenantTable& table = **opened;
  EXPECT_FALSE(table.Reload().value());
  std::ofstream(path) << "tenant { name: \"acme\" weight: 4 }";
  EXPECT_TRUE(table.Reload().value());
  EXPECT_EQ(table.Of("acme").weight, 4);
  EXPECT_EQ(table.max_videos(), 0U);
  std::ofstream(path) << "tenant { name: \"acme\" weight: ";
  EXPECT_EQ(table.Reload().status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_FALSE(table.Reload().value());  // said once
  EXPECT_EQ(table.Of("acme").weight, 4);
  std::remove(path.c_str());
  EXPECT_EQ(table.Reload().status().code(), absl::StatusCode::kUnavailable);
  EXPECT_EQ(table.Of("acme").weight, 4);
}

TEST(TenantTable, SaysWhatIsWrong) {
  const auto error = [](const std::string& text) {
    return std::string(ParseTenantLimits(text).status().message());
  };
  EXPECT_THAT(error("tenant {\n nmae: \"a\" }"), HasSubstr("line 2"));
  EXPECT_THAT(error("tenant { }"), HasSubstr("tenant[0].name: must be 1..63 characters of [a-z0-9-]"));
  EXPECT_THAT(error("tenant { name: \"Acme\" }"), HasSubstr("tenant[0].name"));
  EXPECT_THAT(error("tenant { name: \"a\" } tenant { name: \"a\" }"),
              HasSubstr("tenant[1].name: \"a\" is there twice"));
  EXPECT_THAT(error("tenant { name: \"a\" weight: 0 }"), HasSubstr("tenant[0].weight: must be 0.01..100"));
  EXPECT_THAT(error("others { weight: nan }"), HasSubstr("others.weight"));
  EXPECT_THAT(error("others { name: \"a\" }"), HasSubstr("others.name: must be left out"));
  EXPECT_THAT(std::string(TenantTable::Open("/nowhere/limits").status().message()),
              HasSubstr("--tenant-limits"));
}

}  // namespace
}  // namespace svi::server
