#include "server/auth/authenticator.h"

#include <grpcpp/test/server_context_test_spouse.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <string>

#include "absl/strings/str_cat.h"

namespace svi::server {
namespace {

namespace fs = std::filesystem;

// A call that carries this authorization.
class Call {
 public:
  explicit Call(const std::string& authorization) : spouse_(&context_) {
    if (!authorization.empty()) spouse_.AddClientMetadata("authorization", authorization);
  }
  const grpc::ServerContext& context() const { return context_; }

 private:
  grpc::ServerContext context_;
  grpc::testing::ServerContextTestSpouse spouse_;
};

class AuthenticatorTest : public testing::Test {
 protected:
  AuthenticatorTest() { fs::create_directories(dir_); }
  ~AuthenticatorTest() override { fs::remove_all(dir_); }

  // Replaces the file as an operator's tools do: in one step.
  void Write(const std::string& text) {
    const fs::path partial = dir_ / "partial";
    std::ofstream(partial) << text;
    fs::rename(partial, file_);
  }
  static std::string Tokens(const std::string& token, const std::string& role) {
    return absl::StrCat(R"({"tokens": [{"name": "x", "role": ")", role, R"(", "sha256": ")", TokenHash(token),
                        "\"}]}");
  }
  std::unique_ptr<Authenticator> Open() {
    auto opened = Authenticator::Open(file_.string(), [this] { return now_; });
    EXPECT_TRUE(opened.ok()) << opened.status();
    return *std::move(opened);
  }
  static absl::StatusCode CodeOf(Authenticator& authenticator, const std::string& authorization,
                                 Audience audience = Audience::kClients) {
    return authenticator.Identify(Call(authorization).context(), audience).status().code();
  }

  const fs::path dir_ = fs::path(testing::TempDir()) / absl::StrCat("svi_authenticator_", getpid());
  const fs::path file_ = dir_ / "tokens.json";
  absl::Time now_ = absl::FromUnixSeconds(1'000'000);
};

TEST_F(AuthenticatorTest, WithoutAFileEverybodyMayDoEverything) {
  auto open = Authenticator::Open("");
  ASSERT_TRUE(open.ok());
  for (const Audience audience : {Audience::kClients, Audience::kOperators}) {
    const auto caller = (*open)->Identify(Call("").context(), audience);
    ASSERT_TRUE(caller.ok());
    EXPECT_EQ(caller->tenant, kDefaultTenant);
  }
  EXPECT_TRUE((*open)->Identify(Call("").context(), Audience::kWorkers).ok());
}

TEST_F(AuthenticatorTest, TheTokenAndItsSchemeDecide) {
  Write(Tokens("secret", "client"));
  const auto authenticator = Open();
  EXPECT_EQ(CodeOf(*authenticator, "Bearer secret"), absl::StatusCode::kOk);
  EXPECT_EQ(CodeOf(*authenticator, "bearer  secret"), absl::StatusCode::kOk);
  for (const char* wrong :
       {"", "secret", "Basic secret", "Bearer", "Bearer ", "Bearer Secret", "Bearer secret2"}) {
    EXPECT_EQ(CodeOf(*authenticator, wrong), absl::StatusCode::kUnauthenticated) << wrong;
  }
}

TEST_F(AuthenticatorTest, EachRoleHasItsMethods) {
  using enum Audience;
  const struct {
    const char* role;
    bool clients, operators, workers;
  } roles[] = {
      {"client", true, false, false}, {"operator", true, true, false}, {"worker", false, false, true}};
  for (const auto& [role, clients, operators, workers] : roles) {
    Write(Tokens("t", role));
    const auto authenticator = Open();
    const auto may = [&](Audience audience) {
      const absl::StatusCode code = CodeOf(*authenticator, "Bearer t", audience);
      EXPECT_TRUE(code == absl::StatusCode::kOk || code == absl::StatusCode::kPermissionDenied) << role;
      return code == absl::StatusCode::kOk;
    };
    EXPECT_EQ(may(kClients), clients) << role;
    EXPECT_EQ(may(kOperators), operators) << role;
    EXPECT_EQ(may(kWorkers), workers) << role;
  }
}

TEST_F(AuthenticatorTest, AChangedFileIsReadWithoutARestart) {
  Write(Tokens("old", "client"));
  const auto authenticator = Open();
  Write(Tokens("new", "client"));
  now_ += absl::Seconds(1);
  EXPECT_EQ(CodeOf(*authenticator, "Bearer old"), absl::StatusCode::kUnauthenticated);
  EXPECT_EQ(CodeOf(*authenticator, "Bearer new"), absl::StatusCode::kOk);
}

TEST_F(AuthenticatorTest, AChangedFileThatIsWrongOrGoneChangesNothing) {
  Write(Tokens("old", "client"));
  const auto authenticator = Open();
  Write("{");
  now_ += absl::Seconds(1);
  EXPECT_EQ(CodeOf(*authenticator, "Bearer old"), absl::StatusCode::kOk);
  fs::remove(file_);
  now_ += absl::Seconds(1);
  EXPECT_EQ(CodeOf(*authenticator, "Bearer old"), absl::StatusCode::kOk);
  Write(Tokens("new", "client"));
  now_ += absl::Seconds(1);
  EXPECT_EQ(CodeOf(*authenticator, "Bearer old"), absl::StatusCode::kUnauthenticated);
}

TEST_F(AuthenticatorTest, AServerDoesNotStartWithAFileThatIsWrongOrMissing) {
  EXPECT_EQ(Authenticator::Open(file_.string()).status().code(), absl::StatusCode::kUnavailable);
  Write("{}");
  EXPECT_EQ(Authenticator::Open(file_.string()).status().code(), absl::StatusCode::kInvalidArgument);
}

}  // namespace
}  // namespace svi::server
