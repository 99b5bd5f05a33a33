#include <gtest/gtest.h>

#include "server/artifacts/artifact_store.h"

namespace svi::server {
namespace {

TEST(ArtifactKey, Good) {
  for (const char* key : {"a", "0", "0b7e/clip-00003.e2.mp4", "a/b/c/d_e", "-", "_", "a..b"}) {
    EXPECT_TRUE(CheckArtifactKey(key).ok()) << key;
  }
  EXPECT_TRUE(CheckArtifactKey(std::string(255, 'a')).ok());
}

TEST(ArtifactKey, Bad) {
  for (const char* key : {"", "/", "/etc/passwd", "a/", "a//b", "..", "a/../b", "../a", "./a", ".lock",
                          ".partial/0", "A", "a b", "a\\b", "a\nb", "ä", "a:b", "a/.b"}) {
    EXPECT_EQ(CheckArtifactKey(key).code(), absl::StatusCode::kInvalidArgument) << key;
  }
  EXPECT_FALSE(CheckArtifactKey(std::string(256, 'a')).ok());
  EXPECT_FALSE(
      CheckArtifactKey(std::string(200, 'a') + "/" + std::string(200, 'a') + "/" + std::string(200, 'a'))
          .ok());
  EXPECT_FALSE(CheckArtifactKey(absl::string_view("a\0b", 3)).ok());
}

}  // namespace
}  // namespace svi::server
