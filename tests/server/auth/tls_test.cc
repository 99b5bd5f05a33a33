#include "server/auth/tls.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <string>

#include "absl/strings/str_cat.h"
#include "tests/server/auth/certificates.h"

namespace svi::server {
namespace {

using testing::HasSubstr;

TEST(MakeServerCredentials, FaultsNameTheFlag) {
  const TestCertificates certificates;
  const TlsFiles good = {certificates.server_cert(), certificates.server_key(), certificates.ca_cert()};
  EXPECT_TRUE(MakeServerCredentials(good).ok());
  EXPECT_TRUE(MakeServerCredentials({}).ok());  // plain text
  const struct {
    TlsFiles files;
    const char* flag;
  } cases[] = {
      {{good.certificate, "", ""}, "--tls-cert: goes with --tls-key"},
      {{"", good.key, ""}, "--tls-key: goes with --tls-cert"},
      {{"", "", good.client_ca}, "--tls-client-ca: goes with --tls-cert"},
      {{"/nowhere", good.key, ""}, "--tls-cert"},
      {{good.key, good.key, ""}, "--tls-cert"},
      {{good.certificate, good.certificate, ""}, "--tls-key"},
      {{good.certificate, certificates.client_key(), ""}, "--tls-key"},
      {{good.certificate, good.key, good.key}, "--tls-client-ca"},
  };
  for (const auto& [files, flag] : cases) {
    const auto credentials = MakeServerCredentials(files);
    ASSERT_FALSE(credentials.ok()) << flag;
    EXPECT_EQ(credentials.status().code(), absl::StatusCode::kInvalidArgument) << flag;
    EXPECT_THAT(std::string(credentials.status().message()), HasSubstr(flag));
    EXPECT_EQ(credentials.status().message().find("/tmp"), std::string::npos) << flag;
  }
}

}  // namespace
}  // namespace svi::server
