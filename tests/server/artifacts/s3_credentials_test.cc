#include "server/artifacts/s3_credentials.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <stdlib.h>

#include <filesystem>
#include <fstream>

#include "tests/conformance/temp_dir.h"

namespace svi::server {
namespace {

using testing::HasSubstr;
using testing::Not;

TEST(ParseS3Credentials, ReadsTheDefaultSection) {
  const auto credentials = ParseS3Credentials(
      "# a comment\n[other]\naws_access_key_id = other\n\n[default]\n  aws_access_key_id=id\n"
      "aws_secret_access_key = a+b/c==\naws_session_token = t\nregion = x\n[third]\naws_access_key_id = "
      "third\n");
  ASSERT_TRUE(credentials.ok()) << credentials.status();
  EXPECT_EQ(credentials->access_key_id, "id");
  EXPECT_EQ(credentials->secret_access_key, "a+b/c==");
  EXPECT_EQ(credentials->session_token, "t");
}

TEST(ParseS3Credentials, WhatIsMissingIsNamedAndNothingIsTold) {
  for (const char* text : {"", "[other]\naws_access_key_id=id\naws_secret_access_key=hidden",
                           "aws_secret_access_key=hidden", "aws_access_key_id=hidden\n", "hidden"}) {
    const absl::Status status = ParseS3Credentials(text).status();
    EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument) << text;
    EXPECT_THAT(std::string(status.message()), HasSubstr("aws_secret_access_key"));
    EXPECT_THAT(std::string(status.message()), Not(HasSubstr("hidden")));
  }
}

TEST(S3CredentialSource, AFileIsReadAgainWhenItChanges) {
  TempDir dir;
  const std::string file = dir.File("keys");
  S3CredentialSource source(file);
  EXPECT_EQ(source.Get().status().code(), absl::StatusCode::kFailedPrecondition);
  std::ofstream(file) << "aws_access_key_id=first\naws_secret_access_key=s";
  EXPECT_EQ(source.Get()->access_key_id, "first");
  std::ofstream(file) << "damaged";
  EXPECT_EQ(source.Get()->access_key_id, "first");
  std::filesystem::remove(file);
  EXPECT_EQ(source.Get()->access_key_id, "first");
  std::ofstream(file) << "aws_access_key_id=second\naws_secret_access_key=s";
  EXPECT_EQ(source.Get()->access_key_id, "second");
}

TEST(S3CredentialSource, WithoutAFileTheEnvironmentCounts) {
  unsetenv("AWS_SESSION_TOKEN");
  unsetenv("AWS_SECRET_ACCESS_KEY");
  setenv("AWS_ACCESS_KEY_ID", "id", 1);
  EXPECT_EQ(S3CredentialSource("").Get().status().code(), absl::StatusCode::kFailedPrecondition);
  setenv("AWS_SECRET_ACCESS_KEY", "secret", 1);
  const auto credentials = S3CredentialSource("").Get();
  ASSERT_TRUE(credentials.ok()) << credentials.status();
  EXPECT_EQ(credentials->access_key_id, "id");
  EXPECT_EQ(credentials->secret_access_key, "secret");
  EXPECT_EQ(credentials->session_token, "");
}

}  // namespace
}  // namespace svi::server
