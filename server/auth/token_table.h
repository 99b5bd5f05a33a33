// Who may call: bearer tokens, of which only the hashes are known.
#ifndef SVI_SERVER_AUTH_TOKEN_TABLE_H_
#define SVI_SERVER_AUTH_TOKEN_TABLE_H_

#include <cstddef>
#include <optional>
#include <string>

#include "absl/container/flat_hash_map.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "server/queue/tenant.h"

namespace svi::server {

enum class Role {
  kClient,    // makes and sees its tenant's videos and training runs
  kOperator,  // a client that sees the workers as well
  kWorker,    // takes clips and training runs, of whatever tenant, and nothing else
};

struct Caller {
  std::string name;  // for the log
  std::string tenant = kDefaultTenant;
  Role role = Role::kClient;
};

// What a token file says, at one time. A token is random and long (NewToken), so that its plain SHA-256
// cannot be turned back, and looking for a hash tells nothing about the others by the time that it takes.
class TokenTable {
 public:
  // {"tokens": [{"name": "acme-ci", "sha256": "<64 hex digits>", "role": "client", "tenant": "acme",
  //              "expire_time": "2027-01-31T00:00:00Z"}, …]}
  // name: 1..128 bytes; role: client, operator or worker; tenant: default "default", and none for a worker;
  // expire_time: RFC 3339, default never. INVALID_ARGUMENT names the entry and the field, and shows no hash.
  static absl::StatusOr<TokenTable> Parse(absl::string_view json);

  // By the SHA-256 of a token, 32 bytes. nullopt: nobody's, or no longer.
  std::optional<Caller> Find(absl::string_view hash, absl::Time now) const;
  size_t size() const { return entries_.size(); }

 private:
  struct Entry {
    Caller caller;
    absl::Time expires = absl::InfiniteFuture();
  };

  absl::flat_hash_map<std::string, Entry> entries_;  // by SHA-256, 32 bytes
};

// A new token: "svi_" and 256 random bits in base64url. INTERNAL if there are no random numbers.
absl::StatusOr<std::string> NewToken();

// The SHA-256 of a token as the file has it.
std::string TokenHash(absl::string_view token);

}  // namespace svi::server

#endif  // SVI_SERVER_AUTH_TOKEN_TABLE_H_
