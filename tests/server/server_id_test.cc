#include "server/server_id.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>

#include "tests/conformance/temp_dir.h"

namespace svi::server {
namespace {

using absl::StatusCode;

TEST(ServerId, IsTheFoldersForGood) {
  const TempDir dir;
  const TempDir other;
  const auto id = KeepServerId(dir.path().string());
  ASSERT_TRUE(id.ok()) << id.status();
  EXPECT_THAT(*id, testing::MatchesRegex("[0-9a-f]{16}"));
  EXPECT_EQ(*KeepServerId(dir.path().string()), *id);
  EXPECT_NE(*KeepServerId(other.path().string()), *id);
}

TEST(ServerId, WhatIsNoneIsRefused) {
  const TempDir dir;
  std::ofstream(dir.File("server.id")) << "'; DROP TABLE videos\n";
  EXPECT_EQ(KeepServerId(dir.path().string()).status().code(), StatusCode::kDataLoss);
  EXPECT_EQ(KeepServerId(dir.File("nowhere")).status().code(), StatusCode::kUnavailable);
}

TEST(ReadPassword, LeavesTheLineBreakOut) {
  const TempDir dir;
  std::ofstream(dir.File("password")) << " pass word \r\n";
  EXPECT_EQ(*ReadPassword(dir.File("password")), " pass word ");
  std::ofstream(dir.File("empty")) << "\n";
  EXPECT_EQ(ReadPassword(dir.File("empty")).status().code(), StatusCode::kInvalidArgument);
  std::ofstream(dir.File("large")) << std::string(5000, 'x');
  EXPECT_EQ(ReadPassword(dir.File("large")).status().code(), StatusCode::kInvalidArgument);
  EXPECT_EQ(ReadPassword(dir.File("nowhere")).status().code(), StatusCode::kInvalidArgument);
}

}  // namespace
}  // namespace svi::server
