#include "client/endpoint.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>

#include "absl/strings/str_cat.h"

namespace svi {
namespace {

using testing::HasSubstr;

class EndpointTest : public testing::Test {
 protected:
  EndpointTest() { unsetenv("SVI_TOKEN"); }
  ~EndpointTest() override {
    std::filesystem::remove(file_);
    unsetenv("SVI_TOKEN");
  }

  // A file with this text.
  std::string File(const std::string& text) {
    std::ofstream(file_) << text;
    return file_;
  }
  static std::string FaultOf(const Endpoint& endpoint) {
    const absl::Status status = CheckEndpoint(endpoint);
    EXPECT_TRUE(status.ok() || absl::IsInvalidArgument(status)) << status;
    return std::string(status.message());
  }

  const std::string file_ = absl::StrCat(testing::TempDir(), "/svi_endpoint_", getpid());
};

TEST_F(EndpointTest, PlainTextWithoutATokenIsFine) {
  Endpoint endpoint;
  EXPECT_EQ(FaultOf(endpoint), "");
  endpoint.server = "svi.example:50051";
  EXPECT_EQ(FaultOf(endpoint), "");
}

TEST_F(EndpointTest, ATokenLeavesTheMachineOnlyByTls) {
  Endpoint endpoint;
  endpoint.token_file = File("secret\n");
  EXPECT_EQ(FaultOf(endpoint), "");
  endpoint.server = "svi.example:50051";
  EXPECT_THAT(FaultOf(endpoint), HasSubstr("--token-file: a token for another machine needs TLS"));
  endpoint.tls = true;
  EXPECT_EQ(FaultOf(endpoint), "");
  endpoint.tls = false;
  endpoint.allow_plaintext = true;
  EXPECT_EQ(FaultOf(endpoint), "");
}

TEST_F(EndpointTest, TheEnvironmentsTokenCountsToo) {
  Endpoint endpoint;
  endpoint.server = "svi.example:50051";
  setenv("SVI_TOKEN", "secret", 1);
  EXPECT_THAT(FaultOf(endpoint), HasSubstr("needs TLS"));
}

TEST_F(EndpointTest, FaultsNameTheFlagAndShowNoSecret) {
  Endpoint endpoint;
  for (const char* text : {"", "two secrets", "secret\nsecret"}) {
    endpoint.token_file = File(text);
    EXPECT_THAT(FaultOf(endpoint), HasSubstr("--token-file")) << text;
    EXPECT_EQ(FaultOf(endpoint).find("secret"), std::string::npos) << text;
  }
  endpoint = Endpoint();
  endpoint.token_file = "/nowhere";
  EXPECT_THAT(FaultOf(endpoint), HasSubstr("--token-file"));
  endpoint = Endpoint();
  endpoint.tls_ca = "/nowhere";
  EXPECT_THAT(FaultOf(endpoint), HasSubstr("--tls-ca"));
  endpoint = Endpoint();
  endpoint.tls_cert = File("x");
  EXPECT_THAT(FaultOf(endpoint), HasSubstr("--tls-cert: goes with --tls"));
  endpoint.tls = true;
  EXPECT_THAT(FaultOf(endpoint), HasSubstr("--tls-cert: goes with --tls-key"));
}

TEST(IsLoopback, OnlyWhatOthersCannotReach) {
  for (const char* near : {"127.0.0.1:1", "127.1.2.3:50051", "localhost:0", "[::1]:50051", "unix:/run/svi"}) {
    EXPECT_TRUE(IsLoopback(near)) << near;
  }
  for (const char* far : {"0.0.0.0:50051", "[::]:50051", "10.0.0.1:1", "svi:50051", "127:1",
                          "localhost.evil:1", "127.evil.org:1", "127.0.0.1.evil.org:1"}) {
    EXPECT_FALSE(IsLoopback(far)) << far;
  }
}

}  // namespace
}  // namespace svi
