// Keys and certificates for tests, made by the openssl program in a folder of their own.
#ifndef SVI_TESTS_SERVER_AUTH_CERTIFICATES_H_
#define SVI_TESTS_SERVER_AUTH_CERTIFICATES_H_

#include <filesystem>
#include <string>

namespace svi::server {

// An authority, a server (localhost, 127.0.0.1) and a client that it signed, and one who is signed by nobody.
class TestCertificates {
 public:
  TestCertificates();
  ~TestCertificates();
  TestCertificates(const TestCertificates&) = delete;
  TestCertificates& operator=(const TestCertificates&) = delete;

  std::string ca_cert() const { return File("ca.crt"); }
  std::string server_cert() const { return File("server.crt"); }
  std::string server_key() const { return File("server.key"); }
  std::string client_cert() const { return File("client.crt"); }
  std::string client_key() const { return File("client.key"); }
  std::string stranger_cert() const { return File("stranger.crt"); }
  std::string stranger_key() const { return File("stranger.key"); }

 private:
  std::string File(const std::string& name) const { return (dir_ / name).string(); }
  void Run(const std::string& command) const;
  void SelfSign(const std::string& name) const;
  void SignByAuthority(const std::string& name) const;

  std::filesystem::path dir_;
};

}  // namespace svi::server

#endif  // SVI_TESTS_SERVER_AUTH_CERTIFICATES_H_
