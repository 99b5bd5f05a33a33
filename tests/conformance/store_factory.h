// What a store gives a conformance suite to run on.
#ifndef SVI_TESTS_CONFORMANCE_STORE_FACTORY_H_
#define SVI_TESTS_CONFORMANCE_STORE_FACTORY_H_

#include <functional>
#include <memory>
#include <ostream>
#include <string>

#include "absl/status/statusor.h"

namespace svi::server {

// One database, empty at first, gone with the object.
template <typename Store>
class TestDatabaseOf {
 public:
  virtual ~TestDatabaseOf() = default;
  // Opens the database; a later call opens the same one.
  virtual absl::StatusOr<std::unique_ptr<Store>> Open() = 0;
};

template <typename Store>
struct StoreFactoryOf {
  std::string name;
  std::function<std::unique_ptr<TestDatabaseOf<Store>>()> make;
};

template <typename Store>
void PrintTo(const StoreFactoryOf<Store>& factory, std::ostream* out) {
  *out << factory.name;
}

}  // namespace svi::server

#endif  // SVI_TESTS_CONFORMANCE_STORE_FACTORY_H_
