// A client in the chaos run: asks for one video after the other, and follows each to its end.
#ifndef SVI_TESTS_FAULT_CLIENT_H_
#define SVI_TESTS_FAULT_CLIENT_H_

#include <grpcpp/grpcpp.h>

#include <atomic>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <random>
#include <string>
#include <vector>

#include "absl/time/time.h"
#include "svi/v1/video_service.grpc.pb.h"
#include "tests/fault/recipes.h"

namespace svi::fault {

// A video that a server has accepted.
struct Asked {
  std::string name;
  std::string request_id;
  const Recipe* recipe = nullptr;
  bool cancelled = false;  // asked for; it may have come too late
  bool watched = false;
  std::vector<v1::VideoEvent> events;  // the durable ones, if it was watched
};

struct ClientFigures {
  int calls_again = 0;    // calls that were made again, since a server did not answer
  int watches_again = 0;  // watches that were resumed
};

// Knows several servers and goes to the next one when one does not answer, as svi does. An answer that is
// wrong fails the test. Not thread-safe.
class Client {
 public:
  Client(std::string name, const std::vector<std::string>& servers, const std::vector<Recipe>* recipes,
         uint32_t seed);

  // One video after the other until `stop`; the last one is followed to its end, too.
  void Run(const std::atomic<bool>& stop);

  v1::Video Get(const std::string& name);
  std::string Download(const v1::Clip& clip);  // checks its SHA-256
  std::vector<v1::Video> ListAll();

  [[nodiscard]] const std::vector<Asked>& asked() const { return asked_; }
  [[nodiscard]] const ClientFigures& figures() const { return figures_; }

 private:
  using Stub = v1::VideoService::Stub;

  void AskForOne();
  std::string Create(const v1::VideoSpec& spec, const std::string& request_id);
  void Append(const std::string& name, const std::vector<std::string>& prompts);
  void Cancel(const std::string& name);
  void Watch(Asked& asked);
  // Makes the call until a server answers it with OK or with one of `answers`; returns that.
  grpc::Status Call(const char* what, const std::function<grpc::Status(Stub&, grpc::ClientContext*)>& call,
                    const std::vector<grpc::StatusCode>& answers = {});
  // True if a server that is away, is stopped or stops says so. Counts, waits a little, and turns to the
  // next.
  bool GoOn(const char* what, const grpc::Status& status);

  const std::string name_;
  const std::vector<Recipe>& recipes_;
  std::vector<std::unique_ptr<Stub>> stubs_;
  size_t at_ = 0;
  std::mt19937 random_;
  std::vector<Asked> asked_;
  ClientFigures figures_;
};

}  // namespace svi::fault

#endif  // SVI_TESTS_FAULT_CLIENT_H_
