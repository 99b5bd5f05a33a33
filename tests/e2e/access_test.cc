// The three programs with TLS, certificates on both sides and tokens, as README's "Who may call" says.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/time/clock.h"
#include "tests/e2e/cluster.h"
#include "tests/e2e/process.h"
#include "tests/server/auth/certificates.h"

namespace svi::e2e {
namespace {

using testing::HasSubstr;
using testing::Not;

class AccessE2eTest : public testing::Test {
 protected:
  // A token from svi-server --new-token, kept in a file; gives back its entry for the server's file.
  nlohmann::json NewToken(const std::string& name, const std::string& role) {
    Process process({BinaryPath("svi-server"), "--new-token"});
    EXPECT_EQ(process.Wait(), 0) << process.output();
    const std::vector<std::string> lines = absl::StrSplit(process.output(), '\n');
    tokens_.push_back(lines.at(0));
    std::ofstream(TokenFile(name)) << lines.at(0) << "\n";
    nlohmann::json entry = nlohmann::json::parse(lines.at(1));
    entry["name"] = name;
    entry["role"] = role;
    if (role == "worker") entry.erase("tenant");
    return entry;
  }
  std::string TokenFile(const std::string& name) const {
    return absl::StrCat(cluster_.dir(), "/", name, ".token");
  }
  // What a program needs to be let in.
  std::vector<std::string> With(const std::string& token, std::vector<std::string> args) const {
    for (const std::string& flag :
         {"--tls-ca=" + certificates_.ca_cert(), "--tls-cert=" + certificates_.client_cert(),
          "--tls-key=" + certificates_.client_key(), "--token-file=" + TokenFile(token)}) {
      args.push_back(flag);
    }
    return args;
  }
  void ExpectNoSecretIn(const std::string& log) const {
    for (const std::string& token : tokens_) EXPECT_THAT(log, Not(HasSubstr(token)));
  }

  Cluster cluster_;
  const server::TestCertificates certificates_;
  std::vector<std::string> tokens_;
};

TEST_F(AccessE2eTest, AVideoThroughTlsWithTokens) {
  const std::string file = cluster_.dir() + "/tokens.json";
  std::ofstream(file) << nlohmann::json{{"tokens", {NewToken("me", "client"), NewToken("gpu", "worker")}}};
  cluster_.StartServer({"--tls-cert=" + certificates_.server_cert(),
                        "--tls-key=" + certificates_.server_key(),
                        "--tls-client-ca=" + certificates_.ca_cert(), "--token-file=" + file});
  const auto worker = cluster_.StartWorker(With("gpu", {}));
  const std::vector<std::string> generate = {BinaryPath("svi"), "--server=" + cluster_.address(),
                                             "generate",        DemoPicture(),
                                             "--prompt=a boat", "--width=64",
                                             "--height=64",     "--frames=5",
                                             "--steps=1",       "--out=" + cluster_.dir() + "/out"};
  Process video(With("me", generate));
  EXPECT_EQ(video.Wait(absl::Seconds(120)), 0) << video.output();
  EXPECT_FALSE(ReadFile(cluster_.dir() + "/out/clip-00000.mp4").empty());
  // A worker's token makes no videos, and a client's no worker.
  Process refused(With("gpu", generate));
  EXPECT_NE(refused.Wait(absl::Seconds(60)), 0);
  EXPECT_THAT(refused.output(), HasSubstr("PERMISSION_DENIED"));
  Process impostor(With("me", {BinaryPath("svi-worker"), "--server=" + cluster_.address(),
                               "--model=" + Cluster::ModelDir(), "--metrics-listen=", "--threads=1"}));
  impostor.WaitForText("the token is good, but not for this method");
  for (const Process* process : {&cluster_.server(), worker.get(), &video, &refused, &impostor}) {
    ExpectNoSecretIn(process->output());
  }
}

TEST_F(AccessE2eTest, ATokenThatIsTakenBackEndsTheStreamsItOpened) {
  const std::string file = cluster_.dir() + "/tokens.json";
  const auto write = [&file](const nlohmann::json& entries) {
    std::ofstream(file + ".new") << nlohmann::json{{"tokens", entries}};
    std::filesystem::rename(file + ".new", file);
  };
  const nlohmann::json me = NewToken("me", "client");
  const nlohmann::json gpu = NewToken("gpu", "worker");
  const nlohmann::json other = NewToken("other", "client");
  write(nlohmann::json::array({me, gpu, other}));
  cluster_.StartServer({"--token-file=" + file});
  const auto worker = cluster_.StartWorker({"--token-file=" + TokenFile("gpu")});
  const auto as = [this](grpc::ClientContext& context, size_t token) {
    context.AddMetadata("authorization", "Bearer " + tokens_.at(token));
    context.set_deadline(absl::ToChronoTime(absl::Now() + absl::Seconds(60)));
  };
  v1::CreateVideoRequest create;
  *create.mutable_spec() = Cluster::SmallSpec(1);
  create.mutable_spec()->set_open_ended(true);
  v1::Video video;
  grpc::ClientContext creating;
  as(creating, 0);
  ASSERT_TRUE(cluster_.stub().CreateVideo(&creating, create, &video).ok());
  v1::WatchVideoRequest watch;
  watch.set_name(video.name());
  grpc::ClientContext watching;
  as(watching, 0);
  const auto stream = cluster_.stub().WatchVideo(&watching, watch);
  v1::VideoEvent event;
  ASSERT_TRUE(stream->Read(&event));
  write(nlohmann::json::array({other}));
  while (stream->Read(&event)) {
  }
  EXPECT_EQ(stream->Finish().error_code(), grpc::StatusCode::CANCELLED);
  worker->WaitForText("the token is not known here");
}

}  // namespace
}  // namespace svi::e2e
