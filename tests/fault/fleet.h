// What the chaos run disturbs: two servers on one PostgreSQL and one S3 store, and three workers.
#ifndef SVI_TESTS_FAULT_FLEET_H_
#define SVI_TESTS_FAULT_FLEET_H_

#include <deque>
#include <string>
#include <vector>

#include "tests/conformance/postgres_server.h"
#include "tests/conformance/s3_server.h"
#include "tests/conformance/temp_dir.h"
#include "tests/fault/network.h"
#include "tests/fault/service.h"

namespace svi::fault {

class Fleet {
  const TempDir dir_;  // first: the servers use it until they end

 public:
  static constexpr int kMaxAttempts = 10;

  // All started, and ready. Each worker has a network of its own, if there can be networks here.
  Fleet();

  // Starts again what has ended by itself because it could not reach something.
  void Tend();

  // Of the servers, for clients on this machine.
  [[nodiscard]] std::vector<std::string> Addresses() const;
  // Keys of the artifacts that the database names, sorted.
  std::vector<std::string> KeysInDatabase();
  // Keys of all that is in the store, sorted.
  std::vector<std::string> KeysInStore();

  PostgresServer postgres;
  S3Server s3;
  std::deque<Network> networks;  // one for each worker, or none
  std::deque<Service> servers;
  std::deque<Service> workers;

 private:
  void AddServer();
  void AddWorker(int index);

  const std::string database_ = postgres.MakeDatabase();
  std::vector<int> ports_;
};

}  // namespace svi::fault

#endif  // SVI_TESTS_FAULT_FLEET_H_
