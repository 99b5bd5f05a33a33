// svi-server: flags, signals, and the two lines that tell where it listens.
#include <spdlog/pattern_formatter.h>
#include <spdlog/spdlog.h>
#include <unistd.h>

#include <csignal>
#include <cstdio>
#include <nlohmann/json.hpp>
#include <string>
#include <thread>
#include <utility>

#include "absl/time/clock.h"
#include "client/flags.h"
#include "client/log.h"
#include "server/auth/token_table.h"
#include "server/server.h"

namespace {

constexpr int kUsageError = 2;
constexpr absl::Duration kStopLimit = absl::Seconds(15);  // beyond --shutdown-grace

// The message as a JSON string, quotes included.
class JsonMessage : public spdlog::custom_flag_formatter {
 public:
  void format(const spdlog::details::log_msg& message, const std::tm&, spdlog::memory_buf_t& out) override {
    const std::string text = nlohmann::json(std::string(message.payload.data(), message.payload.size()))
                                 .dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
    out.append(text.data(), text.data() + text.size());
  }
  std::unique_ptr<custom_flag_formatter> clone() const override { return std::make_unique<JsonMessage>(); }
};

int UsageError(const std::string& message) {
  std::fprintf(stderr, "svi-server: %s\nTry svi-server --help.\n", message.c_str());
  return kUsageError;
}

// The token is for the caller; its hash is for the file, where name, role and tenant are to be filled in.
int PrintNewToken() {
  const auto token = svi::server::NewToken();
  if (!token.ok()) return UsageError(std::string(token.status().message()));
  const nlohmann::json entry = {{"name", "NAME"},
                                {"role", "client"},
                                {"tenant", "default"},
                                {"sha256", svi::server::TokenHash(*token)}};
  std::printf("%s\n%s\n", token->c_str(), entry.dump().c_str());
  return 0;
}

int Serve(const svi::server::ServerOptions& options) {
  // Blocked before any thread is made, so that only sigwait gets them.
  sigset_t signals;
  sigemptyset(&signals);
  sigaddset(&signals, SIGTERM);
  sigaddset(&signals, SIGINT);
  pthread_sigmask(SIG_BLOCK, &signals, nullptr);
  std::signal(SIGPIPE, SIG_IGN);

  auto server = svi::server::Server::Start(options);
  if (!server.ok()) {
    std::fprintf(stderr, "svi-server: %s\n", std::string(server.status().message()).c_str());
    return server.status().code() == absl::StatusCode::kInvalidArgument ? kUsageError : 1;
  }
  std::printf("svi-server: listening on %s\n", (*server)->address().c_str());
  std::printf("svi-server: metrics on %s\n", (*server)->metrics_address().c_str());
  if (const std::string scaler = (*server)->scaler_address(); !scaler.empty()) {
    std::printf("svi-server: scaler on %s\n", scaler.c_str());
  }
  std::fflush(stdout);

  int signal = 0;
  sigwait(&signals, &signal);
  spdlog::info("{}: stopping; no clip is assigned any more, a second signal ends at once",
               signal == SIGTERM ? "SIGTERM" : "SIGINT");
  std::thread([signals] {
    int second = 0;
    sigwait(&signals, &second);
    _exit(1);
  }).detach();
  // Whatever may still hang then, everything that counts is on disk already: an operator's stop must end.
  std::thread([limit = options.shutdown_grace + kStopLimit] {
    absl::SleepFor(limit);
    spdlog::error("stopping took too long: ending without waiting for the open calls");
    _exit(1);
  }).detach();
  (*server)->Shutdown(options.shutdown_grace);
  server->reset();
  spdlog::info("stopped");
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  svi::server::ServerOptions options;
  std::string log_level = "info";
  std::string log_format = "text";
  bool version = false;
  bool help_markdown = false;
  bool new_token = false;
  int max_attempts = static_cast<int>(options.max_attempts);
  svi::FlagParser flags(
      "svi-server --data-dir=DIR [flags]\n\nQueues videos and training runs, hands clips and runs to "
      "svi-worker, and streams what is made.");
  flags.AddString("listen", &options.listen, "HOST:PORT of the gRPC API; port 0 takes a free one");
  flags.AddString("metrics-listen", &options.metrics_listen,
                  "HOST:PORT of GET /metrics; port 0 takes a free one");
  flags.AddString("scaler-listen", &options.scaler_listen,
                  "HOST:PORT where KEDA asks how many workers are wanted; empty: nowhere");
  flags.AddString("data-dir", &options.data_dir, "folder of the SQLite database and the artifacts; required");
  flags.AddString(
      "database", &options.database,
      "postgresql://USER@HOST:PORT/DATABASE that servers share; empty: SQLite in --data-dir. The password "
      "comes from PGPASSFILE or:");
  flags.AddString("database-password-file", &options.database_password_file,
                  "file with the database's password");
  flags.AddInt("database-connections", &options.database_connections,
               "connections to --database at most, 2..1000");
  flags.AddString("artifacts", &options.storage.artifacts,
                  "s3://BUCKET[/PREFIX] for pictures, clips and LoRAs; empty: files in --data-dir");
  flags.AddString("s3-endpoint", &options.storage.s3_endpoint,
                  "https://HOST[:PORT] of the S3-compatible store; empty: AWS's of --s3-region");
  flags.AddString("s3-region", &options.storage.s3_region, "region that requests are signed for");
  flags.AddString("s3-credentials", &options.storage.s3_credentials,
                  "file with aws_access_key_id and aws_secret_access_key, read again when it changes; empty: "
                  "AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY");
  flags.AddString("s3-ca", &options.storage.s3_ca,
                  "PEM file of the authorities that may vouch for --s3-endpoint; empty: the system's");
  flags.AddRepeated(
      "retention", &options.storage.retention,
      "TIME, or TENANT=TIME, for which a video stays after it has ended, e.g. 720h; none: until it is "
      "deleted");
  flags.AddBool("retention-dry-run", &options.storage.retention_dry_run,
                "only log what --retention would delete");
  flags.AddString(
      "orphans", &options.storage.orphans,
      "delete, report or keep artifacts that nothing refers to; empty: delete files, report in S3");
  flags.AddDuration("orphan-grace", &options.storage.orphan_grace,
                    "how long an artifact that nothing refers to is left alone after it was stored");
  flags.AddDuration("sweep-interval", &options.storage.sweep_interval,
                    "how often retention and orphans are looked after");
  flags.AddString(
      "tenant-limits", &options.tenant_limits,
      "file with weights and limits of tenants (svi.v1.TenantLimitsFile as text), read again when it "
      "changes; empty: no limits");
  flags.AddString(
      "token-file", &options.token_file,
      "file of the bearer tokens that may call, read again when it changes (see --new-token); empty: "
      "everybody may");
  flags.AddString("tls-cert", &options.tls_cert,
                  "PEM file of the API's certificate and its chain; renewed: used");
  flags.AddString("tls-key", &options.tls_key, "PEM file of its key");
  flags.AddString("tls-client-ca", &options.tls_client_ca,
                  "PEM file of the authority that must have signed the certificates of clients and workers");
  flags.AddBool("allow-plaintext", &options.allow_plaintext,
                "listen without TLS where other machines can connect");
  flags.AddDouble("rate-limit", &options.rate_limit, "calls a second that each tenant may make; 0: no limit");
  flags.AddDouble("rate-burst", &options.rate_burst, "calls that a tenant may make at once");
  flags.AddAction("new-token", &new_token,
                  "print a new token, and what --token-file needs to know of it, and exit");
  flags.AddBool("reflection", &options.reflection, "answer gRPC reflection, for grpcurl and the like");
  flags.AddDuration("heartbeat-interval", &options.heartbeat_interval, "how often workers send a heartbeat");
  flags.AddDuration("lease-timeout", &options.lease_timeout,
                    "a worker that is silent for this long loses its clip or training run");
  flags.AddInt("max-attempts", &max_attempts,
               "attempts at one clip, or training run, before its video, or the run, fails");
  flags.AddDuration(
      "shutdown-grace", &options.shutdown_grace,
      "on SIGTERM, how long clips in work may take to finish; training runs go on without the server");
  flags.AddString("log-level", &log_level, "trace, debug, info, warn or error");
  flags.AddString("log-format", &log_format, "text or json");
  flags.AddAction("version", &version, "print the version and exit");
  flags.AddAction("help-markdown", &help_markdown, "print this list as Markdown and exit");
  flags.ReadEnvironment("SVI_SERVER");
  const auto rest = flags.Parse(argc, argv);
  if (flags.help_requested() || help_markdown) {
    std::fputs((help_markdown ? flags.HelpMarkdown() : flags.Help()).c_str(), stdout);
    return 0;
  }
  if (!rest.ok()) return UsageError(std::string(rest.status().message()));
  if (!rest->empty()) return UsageError("unexpected argument \"" + rest->front() + "\"");
  if (version) {
    std::printf("svi-server %s\n", SVI_VERSION);
    return 0;
  }
  if (new_token) return PrintNewToken();
  if (max_attempts < 1) return UsageError("--max-attempts: must be at least 1");
  options.max_attempts = static_cast<uint32_t>(max_attempts);
  if (absl::Status status = svi::SetUpLog("svi-server", log_level, log_format); !status.ok()) {
    return UsageError(std::string(status.message()));
  }
  return Serve(options);
}
