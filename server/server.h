// svi-server as an object: the stores, the services, and the order in which they come and go.
#ifndef SVI_SERVER_SERVER_H_
#define SVI_SERVER_SERVER_H_

#include <cstdint>
#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "server/storage.h"

namespace svi::server {

struct ServerOptions {
  // HOST:PORT of the API; port 0 takes a free one.
  std::string listen = "127.0.0.1:50051";
  // HOST:PORT of GET /metrics; likewise.
  std::string metrics_listen = "127.0.0.1:9464";
  // HOST:PORT for KEDA (see ExternalScaler); likewise. Empty: none.
  std::string scaler_listen;
  // Where the database and the artifacts are; made if it is not there. One server at a time.
  std::string data_dir;
  // postgresql://…, see PostgresOptions; empty: SQLite, in data_dir. Servers with the same database work as
  // one: each has its own data_dir, and they share the artifacts.
  std::string database;
  // File with the password of the database, which wins over the one in `database`; empty: none. A line break
  // at its end is left out.
  std::string database_password_file;
  // Connections to the database, besides the one that listens.
  int database_connections = 8;
  // Where artifacts are, and for how long.
  StorageOptions storage;
  // See TlsFiles; without a certificate the API is plain text, which other machines may reach only if
  // allow_plaintext says so.
  std::string tls_cert, tls_key, tls_client_ca;
  bool allow_plaintext = false;
  // See TokenTable; empty: everybody who reaches the API may do everything, as the default tenant.
  std::string token_file;
  // Calls a second, and at once, of each tenant; rate 0: as many as they like.
  double rate_limit = 0;
  double rate_burst = 50;
  // Answer grpc.reflection.
  bool reflection = true;
  // See DispatcherOptions; check_clips is no flag.
  absl::Duration heartbeat_interval = absl::Seconds(2);
  absl::Duration lease_timeout = absl::Seconds(10);
  uint32_t max_attempts = 3;
  bool check_clips = true;
  // File of a svi.v1.TenantLimitsFile, read again when it changes; empty: every tenant has weight 1, no
  // limits.
  std::string tenant_limits;
  // How long Shutdown waits for clips that are being made.
  absl::Duration shutdown_grace = absl::Seconds(30);
  // How often the store is asked whether it answers, for grpc.health.v1.
  absl::Duration health_interval = absl::Seconds(5);
};

class Server {
 public:
  // Opens the stores, takes over their leases and listens. INVALID_ARGUMENT names the bad option;
  // FAILED_PRECONDITION: another server has the data folder; UNAVAILABLE: a port or the folder cannot be
  // used.
  static absl::StatusOr<std::unique_ptr<Server>> Start(const ServerOptions& options);
  virtual ~Server() = default;  // Shutdown without grace

  // HOST:PORT with the ports that were bound.
  virtual std::string address() const = 0;
  virtual std::string metrics_address() const = 0;
  virtual std::string scaler_address() const = 0;  // empty: there is none

  // Health turns NOT_SERVING, no clip is assigned any more; waits up to `grace` for those that are being
  // made; ends the watches and stops. What is unfinished stays leased, and goes on when a server starts
  // again. Idempotent.
  virtual void Shutdown(absl::Duration grace) = 0;
};

}  // namespace svi::server

#endif  // SVI_SERVER_SERVER_H_
