// What the subcommands of `svi` share.
#ifndef SVI_CLIENT_COMMANDS_COMMAND_H_
#define SVI_CLIENT_COMMANDS_COMMAND_H_

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "client/endpoint.h"
#include "client/errors.h"
#include "client/flags.h"
#include "client/interrupt.h"
#include "client/reporter.h"
#include "client/svi_client.h"
#include "client/training_client.h"

namespace svi::client {

// Flags that every command takes, before or after its name.
struct GlobalFlags {
  Endpoint endpoint;
  absl::Duration retry_for = absl::Minutes(5);
  bool json = false;

  void AddTo(FlagParser& parser);
};

using Args = std::vector<std::string>;

struct Command {
  const char* name;      // one word, or two: "train create"
  const char* synopsis;  // what follows the name
  const char* help;      // one line
  int (*run)(const Command& self, GlobalFlags globals, const Args& args, Interrupt* interrupt);
};

// All of them, in the order of --help.
const std::vector<Command>& Commands();

int RunGenerate(const Command& self, GlobalFlags globals, const Args& args, Interrupt* interrupt);
int RunWatch(const Command& self, GlobalFlags globals, const Args& args, Interrupt* interrupt);
int RunGet(const Command& self, GlobalFlags globals, const Args& args, Interrupt* interrupt);
int RunList(const Command& self, GlobalFlags globals, const Args& args, Interrupt* interrupt);
int RunAppend(const Command& self, GlobalFlags globals, const Args& args, Interrupt* interrupt);
int RunFinish(const Command& self, GlobalFlags globals, const Args& args, Interrupt* interrupt);
int RunCancel(const Command& self, GlobalFlags globals, const Args& args, Interrupt* interrupt);
int RunDelete(const Command& self, GlobalFlags globals, const Args& args, Interrupt* interrupt);
int RunDownload(const Command& self, GlobalFlags globals, const Args& args, Interrupt* interrupt);
int RunWorkers(const Command& self, GlobalFlags globals, const Args& args, Interrupt* interrupt);
int RunTrainCreate(const Command& self, GlobalFlags globals, const Args& args, Interrupt* interrupt);
int RunTrainWatch(const Command& self, GlobalFlags globals, const Args& args, Interrupt* interrupt);
int RunTrainGet(const Command& self, GlobalFlags globals, const Args& args, Interrupt* interrupt);
int RunTrainList(const Command& self, GlobalFlags globals, const Args& args, Interrupt* interrupt);
int RunTrainCancel(const Command& self, GlobalFlags globals, const Args& args, Interrupt* interrupt);
int RunLoraList(const Command& self, GlobalFlags globals, const Args& args, Interrupt* interrupt);
int RunLoraGet(const Command& self, GlobalFlags globals, const Args& args, Interrupt* interrupt);
int RunLoraDownload(const Command& self, GlobalFlags globals, const Args& args, Interrupt* interrupt);
int RunLoraDelete(const Command& self, GlobalFlags globals, const Args& args, Interrupt* interrupt);

// The command that `args` begins with, whose name is then taken off. INVALID_ARGUMENT: there is none.
absl::StatusOr<const Command*> TakeCommand(Args* args);

// One run of a command: flags read, client and reporter ready.
class Session {
 public:
  Session(const Command& self, GlobalFlags globals, Interrupt* interrupt);

  // Commands add their own flags to this before Start.
  FlagParser& flags() { return parser_; }
  // Reads `args`, which must leave `min`..`max` positional arguments. A value: the exit code to end with at
  // once (help, or wrong usage).
  std::optional<int> Start(const Args& args, size_t min, size_t max);

  const Args& positional() const { return positional_; }
  SviClient& client() { return *client_; }
  TrainingClient& training() { return *training_; }
  Reporter& out() { return *reporter_; }
  Interrupt& interrupt() { return *interrupt_; }
  const GlobalFlags& globals() const { return globals_; }

  // Reports the error and returns the exit code: kExitInterrupted if Ctrl-C was the cause.
  int Fail(const absl::Status& status);
  // What may be done about a resource whose watch has ended before it did: commands, without flags of every
  // command.
  struct FollowUp {
    std::string watch, cancel;
  };
  // As Fail, but an interrupt is followed by how to watch or cancel `name`, which goes on.
  int FailWatching(const absl::Status& status, const std::string& name, const FollowUp& follow_up);

 private:
  GlobalFlags globals_;
  Interrupt* const interrupt_;
  FlagParser parser_;
  Args positional_;
  std::unique_ptr<Reporter> reporter_;
  std::unique_ptr<SviClient> client_;
  std::unique_ptr<TrainingClient> training_;
};

// Watches `resource` until it ends, and tells `report` of everything; then `on_event` sees the event. Returns
// the exit code.
template <typename Client, typename Report, typename Resource, typename OnEvent>
int FollowToTheEnd(Session& session, Client& client, Report& report, const Resource& resource,
                   uint64_t after_sequence, const Session::FollowUp& follow_up, const OnEvent& on_event) {
  report.Watching(resource);
  absl::StatusOr<Resource> ended =
      client.Watch(resource.name(), after_sequence, [&](const auto& event) -> absl::Status {
        report.Event(event);
        return on_event(event);
      });
  if (!ended.ok()) return session.FailWatching(ended.status(), resource.name(), follow_up);
  report.Ended(*ended);
  return ExitCodeFor(*ended);
}

// Flags of the commands that list.
struct PageFlags {
  int page_size = 50;
  std::string page_token;
  bool all = false;

  // `what`: "Videos".
  void AddTo(FlagParser& parser, const std::string& what);
};

// Asks for a page, or all of them: `list` calls the server, `print` is given each response. Returns the exit
// code.
template <typename Request, typename List, typename Print>
int PrintPages(Session& session, const PageFlags& flags, Request request, const List& list,
               const Print& print) {
  request.set_page_size(flags.page_size);
  request.set_page_token(flags.page_token);
  do {
    auto page = list(request);
    if (!page.ok()) return session.Fail(page.status());
    print(*page);
    request.set_page_token(page->next_page_token());
  } while (flags.all && !request.page_token().empty());
  if (!request.page_token().empty()) {
    session.out().Note(absl::StrCat("svi: there are more: --page-token=", request.page_token(), " or --all"));
  }
  return kExitOk;
}

// Local time, to the second.
std::string ShortTime(const google::protobuf::Timestamp& time);

// The bytes of a file of the user's; INVALID_ARGUMENT if it cannot be read or is larger than `limit`.
absl::StatusOr<std::string> ReadUserFile(const std::string& path, uint64_t limit);

}  // namespace svi::client

#endif  // SVI_CLIENT_COMMANDS_COMMAND_H_
