#include "server/auth/token_table.h"

#include <openssl/rand.h>

#include <nlohmann/json.hpp>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/ascii.h"
#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "client/sha256.h"

namespace svi::server {
namespace {

using nlohmann::json;

constexpr size_t kMaxNameBytes = 128;
constexpr size_t kHashDigits = 64;
constexpr int kTokenBytes = 32;

absl::Status Bad(absl::string_view field, absl::string_view wanted) {
  return absl::InvalidArgumentError(absl::StrCat(field, ": ", wanted));
}

// A text field; "" if it is not there.
absl::StatusOr<std::string> Text(const json& object, const char* field) {
  const auto found = object.find(field);
  if (found == object.end()) return std::string();
  if (!found->is_string()) return Bad(field, "must be text");
  return found->get<std::string>();
}

std::optional<Role> RoleOf(absl::string_view name) {
  if (name == "client") return Role::kClient;
  if (name == "operator") return Role::kOperator;
  if (name == "worker") return Role::kWorker;
  return std::nullopt;
}

bool IsHash(absl::string_view text) {
  if (text.size() != kHashDigits) return false;
  for (const char c : text) {
    if (!absl::ascii_isxdigit(static_cast<unsigned char>(c))) return false;
  }
  return true;
}

absl::Status CheckFieldNames(const json& object) {
  for (const auto& [name, value] : object.items()) {
    if (name != "name" && name != "sha256" && name != "role" && name != "tenant" && name != "expire_time") {
      return Bad(name, "is not a field of a token (known: name, sha256, role, tenant, expire_time)");
    }
  }
  return absl::OkStatus();
}

absl::StatusOr<Caller> ParseCaller(const json& object) {
  Caller caller;
  auto name = Text(object, "name");
  if (!name.ok()) return name.status();
  if (name->empty() || name->size() > kMaxNameBytes) return Bad("name", "must be 1..128 bytes");
  caller.name = *std::move(name);

  const auto role = Text(object, "role");
  if (!role.ok()) return role.status();
  const std::optional<Role> known = RoleOf(*role);
  if (!known) return Bad("role", "must be client, operator or worker");
  caller.role = *known;

  auto tenant = Text(object, "tenant");
  if (!tenant.ok()) return tenant.status();
  if (tenant->empty()) return caller;
  if (caller.role == Role::kWorker) return Bad("tenant", "a worker works for all tenants: leave it out");
  if (!IsTenantName(*tenant)) return Bad("tenant", "must be 1..63 of [a-z0-9-]");
  caller.tenant = *std::move(tenant);
  return caller;
}

absl::StatusOr<absl::Time> ParseExpiry(const json& object) {
  const auto text = Text(object, "expire_time");
  if (!text.ok()) return text.status();
  if (text->empty()) return absl::InfiniteFuture();
  absl::Time time;
  std::string error;
  if (!absl::ParseTime(absl::RFC3339_full, *text, &time, &error)) {
    return Bad("expire_time", "must be a time like 2027-01-31T00:00:00Z");
  }
  return time;
}

struct ParsedToken {
  std::string hash;
  Caller caller;
  absl::Time expires;
};

absl::StatusOr<ParsedToken> ParseToken(const json& object) {
  if (!object.is_object()) return absl::InvalidArgumentError("must be an object");
  if (auto status = CheckFieldNames(object); !status.ok()) return status;
  auto caller = ParseCaller(object);
  if (!caller.ok()) return caller.status();
  const auto expires = ParseExpiry(object);
  if (!expires.ok()) return expires.status();
  const auto digits = Text(object, "sha256");
  if (!digits.ok()) return digits.status();
  if (!IsHash(*digits)) return Bad("sha256", "must be 64 hex digits");
  return ParsedToken{absl::HexStringToBytes(*digits), *std::move(caller), *expires};
}

}  // namespace

absl::StatusOr<TokenTable> TokenTable::Parse(absl::string_view text) {
  const json document = json::parse(text, nullptr, /*allow_exceptions=*/false);
  if (document.is_discarded()) return absl::InvalidArgumentError("is not JSON");
  if (!document.is_object() || document.size() != 1 || !document.contains("tokens") ||
      !document["tokens"].is_array()) {
    return absl::InvalidArgumentError("must be {\"tokens\": [...]}");
  }
  TokenTable table;
  size_t index = 0;
  for (const json& object : document["tokens"]) {
    const std::string where = absl::StrCat("tokens[", index++, "]");
    auto token = ParseToken(object);
    if (!token.ok()) return Bad(where, token.status().message());
    Entry entry{std::move(token->caller), token->expires};
    if (!table.entries_.try_emplace(std::move(token->hash), std::move(entry)).second) {
      return Bad(where, "sha256: is that of another token in this file");
    }
  }
  return table;
}

std::optional<Caller> TokenTable::Find(absl::string_view hash, absl::Time now) const {
  const auto found = entries_.find(hash);
  if (found == entries_.end() || now >= found->second.expires) return std::nullopt;
  return found->second.caller;
}

absl::StatusOr<std::string> NewToken() {
  unsigned char random[kTokenBytes];
  if (RAND_bytes(random, sizeof random) != 1) return absl::InternalError("no random numbers");
  return absl::StrCat("svi_", absl::WebSafeBase64Escape(
                                  absl::string_view(reinterpret_cast<const char*>(random), sizeof random)));
}

std::string TokenHash(absl::string_view token) { return absl::BytesToHexString(Sha256::Of(token)); }

}  // namespace svi::server
