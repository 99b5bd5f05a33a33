#include "server/auth/authenticator.h"

#include <spdlog/spdlog.h>

#include <fstream>
#include <optional>
#include <sstream>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "client/sha256.h"
#include "server/rpc/status.h"

namespace svi::server {
namespace {

constexpr absl::Duration kLookEvery = absl::Seconds(1);
constexpr absl::string_view kScheme = "bearer ";

bool MayCall(Role role, Audience audience) {
  switch (audience) {
    case Audience::kClients:
      return role == Role::kClient || role == Role::kOperator;
    case Audience::kOperators:
      return role == Role::kOperator;
    case Audience::kWorkers:
      return role == Role::kWorker;
    case Audience::kEverybody:
      return true;
  }
  return false;
}

}  // namespace

std::optional<std::string> TokenHashOf(const grpc::ServerContextBase& context) {
  const auto found = context.client_metadata().find("authorization");
  if (found == context.client_metadata().end()) return std::nullopt;
  const absl::string_view value(found->second.data(), found->second.size());
  if (!absl::StartsWithIgnoreCase(value, kScheme)) return std::nullopt;
  return Sha256::Of(absl::StripAsciiWhitespace(value.substr(kScheme.size())));
}

Authenticator::Authenticator(std::string token_file, Clock clock)
    : file_(std::move(token_file)), clock_(std::move(clock)) {}

absl::StatusOr<std::unique_ptr<Authenticator>> Authenticator::Open(const std::string& token_file,
                                                                   Clock clock) {
  std::unique_ptr<Authenticator> authenticator(new Authenticator(token_file, std::move(clock)));
  if (token_file.empty()) return authenticator;
  absl::MutexLock lock(&authenticator->mu_);
  authenticator->looked_ = authenticator->clock_();
  // Before it is read: what changes while it is read is then seen as a change.
  authenticator->version_ = VersionOf(token_file).value_or(FileVersion());
  auto table = authenticator->Read();
  if (!table.ok()) return table.status();
  authenticator->table_ = *std::move(table);
  return authenticator;
}

absl::StatusOr<TokenTable> Authenticator::Read() const {
  std::ifstream in(file_, std::ios::binary);
  std::ostringstream text;
  if (!in || !(text << in.rdbuf())) {
    return absl::UnavailableError("the token file cannot be read, or is empty");
  }
  return TokenTable::Parse(text.str());
}

void Authenticator::ReadAgainIfChanged(absl::Time now) {
  if (now - looked_ < kLookEvery) return;
  looked_ = now;
  const std::optional<FileVersion> seen = VersionOf(file_);
  if (!seen || *seen == version_) return;  // not there: it is being replaced
  version_ = *seen;
  auto table = Read();
  if (!table.ok()) {
    spdlog::error("the token file has changed, and is wrong: {}; the tokens stay as they were",
                  std::string(table.status().message()));
    return;
  }
  table_ = *std::move(table);
  spdlog::info("the token file has changed: {} tokens", table_.size());
}

std::optional<Caller> Authenticator::Find(const std::string& token_hash) {
  absl::MutexLock lock(&mu_);
  const absl::Time now = clock_();
  ReadAgainIfChanged(now);
  return table_.Find(token_hash, now);
}

absl::StatusOr<Caller> Authenticator::Identify(const grpc::ServerContextBase& context, Audience audience) {
  if (file_.empty()) return Caller{"", kDefaultTenant, Role::kOperator};
  const std::optional<std::string> token_hash = TokenHashOf(context);
  if (!token_hash) {
    return MakeError(absl::StatusCode::kUnauthenticated, "TOKEN_MISSING",
                     "this server wants a token: metadata \"authorization: Bearer TOKEN\"");
  }
  std::optional<Caller> caller = Find(*token_hash);
  if (!caller) {
    return MakeError(absl::StatusCode::kUnauthenticated, "TOKEN_UNKNOWN",
                     "the token is not known here, or has expired");
  }
  if (!MayCall(caller->role, audience)) {
    return MakeError(absl::StatusCode::kPermissionDenied, "ROLE_DENIED",
                     "the token is good, but not for this method");
  }
  return *std::move(caller);
}

}  // namespace svi::server
