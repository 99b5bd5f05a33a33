#include "client/sha256.h"

#include <gtest/gtest.h>

#include "absl/strings/escaping.h"

namespace svi::server {
namespace {

// FIPS 180-4's examples.
TEST(Sha256, KnownValues) {
  EXPECT_EQ(absl::BytesToHexString(Sha256::Of("")),
            "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
  EXPECT_EQ(absl::BytesToHexString(Sha256::Of("abc")),
            "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
}

TEST(Sha256, InPieces) {
  Sha256 sha;
  sha.Update("a");
  sha.Update("");
  sha.Update("bc");
  EXPECT_EQ(sha.Finish(), Sha256::Of("abc"));
}

}  // namespace
}  // namespace svi::server
