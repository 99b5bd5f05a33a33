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
#include "client/errors.h"
#include "client/flags.h"
#include "client/interrupt.h"
#include "client/reporter.h"
#include "client/svi_client.h"

namespace svi::client {

// Flags that every command takes, before or after its name.
struct GlobalFlags {
  std::string server = "127.0.0.1:50051";
  absl::Duration retry_for = absl::Minutes(5);
  bool json = false;

  void AddTo(FlagParser& parser);
};

using Args = std::vector<std::string>;

struct Command {
  const char* name;
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
  Reporter& out() { return *reporter_; }
  Interrupt& interrupt() { return *interrupt_; }
  const GlobalFlags& globals() const { return globals_; }

  // Reports the error and returns the exit code: kExitInterrupted if Ctrl-C was the cause.
  int Fail(const absl::Status& status);
  // As Fail, but an interrupt is followed by how to watch or cancel the video, which goes on.
  int FailWatching(const absl::Status& status, const std::string& video);

 private:
  GlobalFlags globals_;
  Interrupt* const interrupt_;
  FlagParser parser_;
  Args positional_;
  std::unique_ptr<Reporter> reporter_;
  std::unique_ptr<SviClient> client_;
};

// A clip, into `dir` as clip-00000.mp4, unless it is there already.
absl::Status SaveClip(Session& session, const v1::Clip& clip, const std::string& dir);

// Watches from the beginning until the video ends, saving each clip into `dir` unless that is empty. Returns
// the exit code.
int WatchToTheEnd(Session& session, const v1::Video& video, uint64_t after_sequence, const std::string& dir);

// The bytes of a file of the user's; INVALID_ARGUMENT if it cannot be read or is larger than `limit`.
absl::StatusOr<std::string> ReadUserFile(const std::string& path, uint64_t limit);

}  // namespace svi::client

#endif  // SVI_CLIENT_COMMANDS_COMMAND_H_
