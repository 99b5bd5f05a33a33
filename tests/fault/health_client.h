// Asks grpc.health.v1, as a load balancer or a cluster would.
#ifndef SVI_TESTS_FAULT_HEALTH_CLIENT_H_
#define SVI_TESTS_FAULT_HEALTH_CLIENT_H_

#include <grpcpp/generic/generic_stub.h>

#include <string>

namespace svi::fault {

class HealthClient {
 public:
  explicit HealthClient(const std::string& address);

  // Whether the service is SERVING now; somebody who is not there does not serve.
  bool IsServing(const std::string& service);
  // Waits until IsServing is this; false: it has not become so.
  bool Await(const std::string& service, bool serving);

 private:
  grpc::GenericStub stub_;
};

}  // namespace svi::fault

#endif  // SVI_TESTS_FAULT_HEALTH_CLIENT_H_
