#include "tests/server/auth/certificates.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <stdexcept>

#include "absl/strings/str_cat.h"

namespace svi::server {
namespace {

constexpr char kKeyKind[] = "-newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2";
constexpr char kNames[] = "subjectAltName=DNS:localhost,IP:127.0.0.1";

}  // namespace

TestCertificates::TestCertificates() {
  std::string pattern = absl::StrCat(testing::TempDir(), "/svi_certificates_XXXXXX");
  if (mkdtemp(pattern.data()) == nullptr) throw std::runtime_error("no folder for certificates");
  dir_ = pattern;
  SelfSign("ca");
  SignByAuthority("server");
  SignByAuthority("client");
  SelfSign("stranger");
}

TestCertificates::~TestCertificates() {
  std::error_code ignored;
  std::filesystem::remove_all(dir_, ignored);
}

void TestCertificates::Run(const std::string& command) const {
  const std::string quiet = absl::StrCat("cd '", dir_.string(), "' && openssl ", command, " 2>openssl.log");
  if (std::system(quiet.c_str()) != 0) throw std::runtime_error("openssl " + command);
}

void TestCertificates::SelfSign(const std::string& name) const {
  Run(absl::StrCat("req -x509 ", kKeyKind, " -subj /CN=svi-", name, " -keyout ", name, ".key -out ", name,
                   ".crt"));
}

void TestCertificates::SignByAuthority(const std::string& name) const {
  Run(absl::StrCat("req -x509 ", kKeyKind, " -subj /CN=svi-", name, " -addext ", kNames,
                   " -addext basicConstraints=critical,CA:false -CA ca.crt -CAkey ca.key -keyout ", name,
                   ".key -out ", name, ".crt"));
}

}  // namespace svi::server
