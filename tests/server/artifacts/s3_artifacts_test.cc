// What is S3's alone: signatures, failures and what is made of them, TLS, where uploads wait.
#include "server/artifacts/s3_artifacts.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <spdlog/sinks/ostream_sink.h>
#include <spdlog/spdlog.h>
#include <stdlib.h>

#include <filesystem>
#include <fstream>
#include <sstream>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "absl/synchronization/mutex.h"
#include "server/artifacts/artifact_reader.h"
#include "tests/conformance/s3_server.h"
#include "tests/conformance/temp_dir.h"
#include "tests/server/artifacts/scripted_http.h"

namespace svi::server {
namespace {

using absl::StatusCode;
using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;
using testing::SizeIs;

constexpr char kListing[] = "<ListBucketResult><IsTruncated>false</IsTruncated></ListBucketResult>";

class S3ArtifactsTest : public testing::Test {
 protected:
  void SetUp() override {
    auto sink = std::make_shared<spdlog::sinks::ostream_sink_mt>(log_);
    before_ = spdlog::default_logger();
    spdlog::set_default_logger(std::make_shared<spdlog::logger>("test", sink));
  }
  void TearDown() override {
    spdlog::set_default_logger(before_);
    if (HasFailure()) fprintf(stderr, "--- log\n%s---\n", log_.str().c_str());
  }

  // Short times; for tests without a real server, credentials of its kind.
  S3Options Options(const std::string& endpoint, const std::string& credentials = "") {
    S3Options options;
    options.endpoint = endpoint;
    options.bucket = S3Server::kBucket;
    options.credentials_file = credentials;
    if (credentials.empty()) {
      options.credentials_file = dir_.File("keys");
      std::ofstream(options.credentials_file) << "aws_access_key_id=" << S3Server::kAccessKey
                                              << "\naws_secret_access_key=" << S3Server::kSecretKey;
    }
    options.stall_timeout = absl::Seconds(1);
    options.first_pause = absl::Milliseconds(2);
    options.longest_pause = absl::Milliseconds(5);
    options.retry_for = absl::Milliseconds(300);
    options.observe = [this](const char* request, const std::string& outcome, absl::Duration) {
      absl::MutexLock lock(&mu_);
      outcomes_.push_back(absl::StrCat(request, " ", outcome));
      if (on_outcome_) on_outcome_(outcome);
    };
    return options;
  }
  std::unique_ptr<ArtifactStore> Open(S3Options options) {
    auto store = OpenS3Artifacts(std::move(options), "p", dir_.File("spool"));
    EXPECT_TRUE(store.ok()) << store.status();
    return store.ok() ? *std::move(store) : nullptr;
  }
  std::vector<std::string> Outcomes() {
    absl::MutexLock lock(&mu_);
    return std::exchange(outcomes_, {});
  }

  TempDir dir_;
  std::ostringstream log_;
  std::shared_ptr<spdlog::logger> before_;
  absl::Mutex mu_;
  std::vector<std::string> outcomes_;
  std::function<void(const std::string&)> on_outcome_;
};

TEST_F(S3ArtifactsTest, TheServerChecksSignaturesAndOursHold) {
  S3Server server;
  auto store = Open(Options(server.endpoint(), server.credentials_file()));
  ASSERT_NE(store, nullptr);
  // Keys with every kind of character that they may have; a body; a range; a query.
  const auto ref = store->Put("a-z_0.9/clip-00000.e1.mp4", std::string(100'000, 'x'));
  ASSERT_TRUE(ref.ok()) << ref.status();
  EXPECT_TRUE(VerifyArtifact(*store, *ref).ok());

  S3Options wrong = Options(server.endpoint());
  std::ofstream(wrong.credentials_file)
      << "aws_access_key_id=" << S3Server::kAccessKey << "\naws_secret_access_key=wrong-secret-of-somebody";
  const absl::Status refused = OpenS3Artifacts(wrong, "p", dir_.File("spool")).status();
  EXPECT_EQ(refused.code(), StatusCode::kUnavailable);
  EXPECT_THAT(std::string(refused.message()), HasSubstr("refuses access"));
  EXPECT_THAT(log_.str(), AllOf(HasSubstr("403 SignatureDoesNotMatch"), Not(HasSubstr("wrong-secret")),
                                Not(HasSubstr(S3Server::kAccessKey))));
}

TEST_F(S3ArtifactsTest, CredentialsMayChangeWhileItRuns) {
  S3Server server;
  S3Options options = Options(server.endpoint());
  auto store = Open(options);
  ASSERT_NE(store, nullptr);
  std::ofstream(options.credentials_file) << "aws_access_key_id=other\naws_secret_access_key=other";
  EXPECT_EQ(store->Put("v1/a", "a").status().code(), StatusCode::kUnavailable);
  std::ofstream(options.credentials_file) << "[default]\naws_access_key_id = " << S3Server::kAccessKey
                                          << "\naws_secret_access_key = " << S3Server::kSecretKey << "\n";
  EXPECT_TRUE(store->Put("v1/a", "a").ok());
}

TEST_F(S3ArtifactsTest, ABucketThatIsNotThereIsFoundOutAtOnce) {
  S3Server server;
  S3Options options = Options(server.endpoint(), server.credentials_file());
  options.bucket = "another";
  const absl::Status status = OpenS3Artifacts(options, "", dir_.File("spool")).status();
  EXPECT_EQ(status.code(), StatusCode::kUnavailable);
  EXPECT_THAT(std::string(status.message()), HasSubstr("no such bucket"));
}

TEST_F(S3ArtifactsTest, AnUploadOutlivesTheServersDeath) {
  S3Server server;
  S3Options options = Options(server.endpoint(), server.credentials_file());
  options.retry_for = absl::Seconds(60);
  auto store = Open(options);
  ASSERT_NE(store, nullptr);
  auto writer = store->OpenWriter("v1/a");
  ASSERT_TRUE(writer.ok());
  ASSERT_TRUE((*writer)->Append(0, std::string(5'000'000, 'x')).ok());
  server.Kill();
  bool restarted = false;
  on_outcome_ = [&](const std::string& outcome) {
    if (outcome == "connection" && !std::exchange(restarted, true)) server.Restart();
  };
  const auto ref = (*writer)->Commit();
  ASSERT_TRUE(ref.ok()) << ref.status();
  EXPECT_TRUE(restarted);
  EXPECT_TRUE(VerifyArtifact(*store, *ref).ok());
}

TEST_F(S3ArtifactsTest, AServerThatHangsIsGivenUpAndTriedAgain) {
  S3Server server;
  S3Options options = Options(server.endpoint(), server.credentials_file());
  options.retry_for = absl::Seconds(60);
  auto store = Open(options);
  ASSERT_NE(store, nullptr);
  const auto ref = store->Put("v1/a", std::string(2'000'000, 'x'));
  ASSERT_TRUE(ref.ok()) << ref.status();
  Outcomes();
  server.Signal(SIGSTOP);
  on_outcome_ = [&](const std::string& outcome) {
    if (outcome == "timeout") server.Signal(SIGCONT);
  };
  EXPECT_TRUE(VerifyArtifact(*store, *ref).ok());
  EXPECT_THAT(Outcomes(), testing::Contains("get timeout"));
}

TEST_F(S3ArtifactsTest, AServerThatIsGoneIsUnavailableAfterAWhile) {
  S3Server server;
  auto store = Open(Options(server.endpoint(), server.credentials_file()));
  ASSERT_NE(store, nullptr);
  server.Kill();
  for (const absl::Status& status :
       {store->Put("v1/a", "x").status(), store->ReadAt({"v1/a", 1, ""}, 0, 1).status(),
        store->Delete({"v1/a", 1, ""}), store->Visit([](const ArtifactInfo&) { return true; })}) {
    EXPECT_EQ(status.code(), StatusCode::kUnavailable) << status;
    EXPECT_THAT(std::string(status.message()), Not(HasSubstr("127.0.0.1")));
  }
}

TEST_F(S3ArtifactsTest, PassingErrorsAreTriedAgainAndOthersAreNot) {
  ScriptedHttp http({ScriptedHttp::Answer("200 OK", kListing), ScriptedHttp::Error("503 Slow", "SlowDown"),
                     ScriptedHttp::Answer("500 Oops"), "", ScriptedHttp::Answer("429 Too many"),
                     ScriptedHttp::Answer("200 OK"), ScriptedHttp::Error("403 No", "AccessDenied")});
  S3Options options = Options(http.endpoint());
  options.retry_for = absl::Seconds(60);
  auto store = Open(options);
  ASSERT_NE(store, nullptr);
  EXPECT_TRUE(store->Put("v1/a", "x").ok());
  EXPECT_EQ(store->Put("v1/a", "x").status().code(), StatusCode::kUnavailable);
  EXPECT_THAT(Outcomes(), ElementsAre("list 200", "put 503", "put 500", "put connection", "put 429",
                                      "put 200", "put 403"));
}

TEST_F(S3ArtifactsTest, ErrorsSayWhatIsWrong) {
  const std::pair<std::string, std::string> cases[] = {
      {ScriptedHttp::Error("507 Full", "XMinioStorageFull"), "full"},
      {ScriptedHttp::Error("403 No", "QuotaExceeded"), "full"},
      {ScriptedHttp::Error("404 No", "NoSuchBucket"), "no such bucket"},
      {ScriptedHttp::Error("301 Moved", "PermanentRedirect"), "region or endpoint"},
      {ScriptedHttp::Answer("400 Bad", "<not xml"), "answers with 400"},
  };
  for (const auto& [answer, message] : cases) {
    ScriptedHttp http({ScriptedHttp::Answer("200 OK", kListing), answer});
    auto store = Open(Options(http.endpoint()));
    ASSERT_NE(store, nullptr);
    const absl::Status status = store->Put("v1/a", "x").status();
    EXPECT_EQ(status.code(), StatusCode::kUnavailable);
    EXPECT_THAT(std::string(status.message()), HasSubstr(message));
  }
}

TEST_F(S3ArtifactsTest, AnswersThatCannotBeAreRefused) {
  const std::string cases[] = {
      ScriptedHttp::Answer("200 OK", "0123456789"),                             // no range
      ScriptedHttp::Answer("206 OK", "23", "Content-Range: bytes 5-6/10\r\n"),  // another range
      ScriptedHttp::Answer("206 OK", std::string(99, 'x'),
                           "Content-Range: bytes 2-3/10\r\n"),  // too much
      "HTTP/1.1 206 OK\r\nConnection: close\r\nContent-Range: bytes 2-3/10\r\nContent-Length: "
      "2\r\n\r\n2",  // cut off
  };
  for (const std::string& answer : cases) {
    ScriptedHttp http({ScriptedHttp::Answer("200 OK", kListing), answer});
    auto store = Open(Options(http.endpoint()));
    ASSERT_NE(store, nullptr);
    EXPECT_EQ(store->ReadAt({"v1/a", 10, ""}, 2, 2).status().code(), StatusCode::kUnavailable) << answer;
  }
  ScriptedHttp http({ScriptedHttp::Answer("200 OK", kListing), ScriptedHttp::Answer("200 OK", "<html>")});
  auto store = Open(Options(http.endpoint()));
  ASSERT_NE(store, nullptr);
  EXPECT_EQ(store->Visit([](const ArtifactInfo&) { return true; }).code(), StatusCode::kUnavailable);
}

TEST_F(S3ArtifactsTest, RequestsAreSignedAndTellTheBodysHash) {
  ScriptedHttp http({ScriptedHttp::Answer("200 OK", kListing), ScriptedHttp::Answer("200 OK")});
  S3Options options = Options(http.endpoint());
  std::ofstream(options.credentials_file, std::ios::app) << "\naws_session_token=token-of-a-session";
  auto store = Open(options);
  ASSERT_NE(store, nullptr);
  ASSERT_TRUE(store->Put("v1/a", "abc").ok());
  ASSERT_THAT(http.requests(), SizeIs(2));
  EXPECT_THAT(http.requests()[0], HasSubstr("GET /artifacts?list-type=2&max-keys=1&prefix=p%2F HTTP/1.1"));
  EXPECT_THAT(
      http.requests()[1],
      AllOf(
          HasSubstr("PUT /artifacts/p/v1/a HTTP/1.1"), HasSubstr("Content-Length: 3"),
          HasSubstr("x-amz-content-sha256: ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"),
          HasSubstr("SignedHeaders=host;x-amz-content-sha256;x-amz-date;x-amz-security-token"),
          Not(HasSubstr(S3Server::kSecretKey))));
}

TEST_F(S3ArtifactsTest, UploadsWaitInFilesWithoutNames) {
  S3Server server;
  auto store = Open(Options(server.endpoint(), server.credentials_file()));
  ASSERT_NE(store, nullptr);
  auto writer = store->OpenWriter("v1/a");
  ASSERT_TRUE(writer.ok());
  ASSERT_TRUE((*writer)->Append(0, "abc").ok());
  EXPECT_TRUE(std::filesystem::is_empty(dir_.File("spool")));
}

TEST_F(S3ArtifactsTest, OnlyACertificateOfAKnownAuthorityIsTrusted) {
  const std::string make = absl::StrCat(
      "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -subj /CN=test ",
      "-addext subjectAltName=IP:127.0.0.1 -keyout ", dir_.File("key.pem"), " -out ", dir_.File("cert.pem"),
      " 2>/dev/null");
  ASSERT_EQ(system(make.c_str()), 0);
  S3Server server({"--cert", dir_.File("cert.pem"), "--key", dir_.File("key.pem")});
  ASSERT_THAT(server.endpoint(), HasSubstr("https://"));
  S3Options options = Options(server.endpoint(), server.credentials_file());
  EXPECT_EQ(OpenS3Artifacts(options, "p", dir_.File("spool")).status().code(), StatusCode::kUnavailable);
  EXPECT_THAT(log_.str(), HasSubstr("certificate"));
  options.ca_file = dir_.File("cert.pem");
  auto store = Open(options);
  ASSERT_NE(store, nullptr);
  EXPECT_TRUE(store->Put("v1/a", "x").ok());
  // The right certificate for another name.
  options.endpoint = absl::StrReplaceAll(server.endpoint(), {{"127.0.0.1", "localhost"}});
  EXPECT_EQ(OpenS3Artifacts(options, "p", dir_.File("spool")).status().code(), StatusCode::kUnavailable);
}

TEST(S3Options, WrongOnesAreNamed) {
  TempDir dir;
  std::ofstream(dir.File("keys")) << "aws_access_key_id=a\naws_secret_access_key=b";
  const auto error = [&dir](const std::string& endpoint, const std::string& bucket,
                            const std::string& region) {
    S3Options options;
    options.endpoint = endpoint;
    options.bucket = bucket;
    options.region = region;
    options.credentials_file = dir.File("keys");
    return std::string(S3Client::Make(options).status().message());
  };
  for (const char* endpoint :
       {"ftp://host", "host:9000", "https://", "http://host/path", "http://user@host"}) {
    EXPECT_THAT(error(endpoint, "b", "r"), HasSubstr("--s3-endpoint")) << endpoint;
  }
  EXPECT_THAT(error("http://host", "Bucket", "r"), HasSubstr("--artifacts"));
  EXPECT_THAT(error("http://host", "b/c", "r"), HasSubstr("--artifacts"));
  EXPECT_THAT(error("http://host", "b", "r/x"), HasSubstr("--s3-region"));
  EXPECT_THAT(error("http://host:9000/", "b", "r"), IsEmpty());
  EXPECT_THAT(error("", "b", "eu-central-1"), IsEmpty());
}

TEST(ParseS3Url, SplitsBucketAndPrefix) {
  std::string bucket;
  std::string prefix;
  ASSERT_TRUE(ParseS3Url("s3://b", &bucket, &prefix).ok());
  EXPECT_EQ(bucket + "|" + prefix, "b|");
  ASSERT_TRUE(ParseS3Url("s3://my-bucket/a/b/", &bucket, &prefix).ok());
  EXPECT_EQ(bucket + "|" + prefix, "my-bucket|a/b");
  for (const char* bad : {"", "b", "http://b", "s3://", "s3:///a", "s3://b/A", "s3://b/.a", "s3://b/a//b"}) {
    EXPECT_EQ(ParseS3Url(bad, &bucket, &prefix).code(), StatusCode::kInvalidArgument) << bad;
  }
}

}  // namespace
}  // namespace svi::server
