// svi-worker's subcommands. Each takes the arguments after its name and returns the exit code: 0, 1 for a
// failure, 2 for a wrong flag or value, which stderr names.
#ifndef SVI_WORKER_COMMANDS_H_
#define SVI_WORKER_COMMANDS_H_

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "client/flags.h"

namespace svi::worker {

inline constexpr int kOk = 0;
inline constexpr int kFailed = 1;
inline constexpr int kUsage = 2;

// Chooses by the first argument; without a subcommand it serves.
int RunCommand(const std::vector<std::string>& args);

int Serve(const std::vector<std::string>& args);         // take clips from a server
int Generate(const std::vector<std::string>& args);      // a video offline
int InitModel(const std::vector<std::string>& args);     // a random checkpoint
int RunComponent(const std::vector<std::string>& args);  // one part on given tensors
int Train(const std::vector<std::string>& args);         // a training run offline
int Bench(const std::vector<std::string>& args);         // how fast the parts are
int EvalDrift(const std::vector<std::string>& args);     // how far videos drift

const char* Version();

// Parses, and deals with --help, --version and errors: false, with *exit_code set, if the command must end
// here.
bool ParseFlags(FlagParser& parser, const std::vector<std::string>& args,
                std::vector<std::string>* positional, int* exit_code);
// Prints the message and returns kUsage.
int UsageError(const std::string& message);
// Prints the message; kUsage for INVALID_ARGUMENT, else kFailed.
int Fail(const absl::Status& status);

}  // namespace svi::worker

#endif  // SVI_WORKER_COMMANDS_H_
