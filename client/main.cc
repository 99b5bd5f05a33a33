// svi: the command-line client.
#include <pthread.h>
#include <signal.h>
#include <unistd.h>

#include <cstdlib>
#include <iostream>
#include <string>
#include <thread>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "client/commands/command.h"

namespace svi::client {
namespace {

constexpr char kExitCodes[] = R"(
Exit codes:
    0  done
    1  the video or the training run failed, or something went wrong that is none of the below
    2  wrong usage, or an invalid argument
    3  not found, already there, or not possible in its state
    4  the server cannot be reached, or did not answer for --retry-for
    5  the video or the training run was cancelled
  130  interrupted by Ctrl-C; what was watched goes on
)";

// Turns Ctrl-C and SIGTERM into an Interrupt, on a thread of its own; the second one ends the process at
// once. Must run before any other thread starts.
void WatchSignals(Interrupt* interrupt) {
  sigset_t set;
  sigemptyset(&set);
  sigaddset(&set, SIGINT);
  sigaddset(&set, SIGTERM);
  pthread_sigmask(SIG_BLOCK, &set, nullptr);
  ::signal(SIGPIPE, SIG_IGN);
  std::thread([set, interrupt] {
    int number = 0;
    while (sigwait(&set, &number) == 0) {
      if (interrupt->triggered()) ::_exit(kExitInterrupted);
      interrupt->Trigger();
    }
  }).detach();
}

std::string Help(const FlagParser& parser) {
  std::string out = parser.Help() + "\nCommands (svi COMMAND --help says more):\n";
  for (const Command& command : Commands()) {
    absl::StrAppend(&out, absl::StrFormat("  %-13s %s\n                %s\n", command.name, command.synopsis,
                                          command.help));
  }
  return out + kExitCodes;
}

int Main(int argc, char** argv) {
  // Lives as long as the signal thread: for ever.
  auto* const interrupt = new Interrupt;
  WatchSignals(interrupt);
  GlobalFlags globals;
  if (const char* server = std::getenv("SVI_SERVER"); server != nullptr && *server != '\0') {
    globals.endpoint.server = server;
  }
  FlagParser parser(
      "svi [flags] COMMAND …\n\nMakes videos of any length from one picture, and trains LoRAs for it, "
      "through svi-server.");
  globals.AddTo(parser);
  absl::StatusOr<Args> rest = parser.ParseUntilPositional(Args(argv + 1, argv + argc));
  if (parser.help_requested()) {
    std::cout << Help(parser);
    return kExitOk;
  }
  if (!rest.ok()) {
    std::cerr << "svi: " << rest.status().message() << "\n";
    return kExitUsage;
  }
  if (rest->empty()) {
    std::cerr << Help(parser);
    return kExitUsage;
  }
  const absl::StatusOr<const Command*> command = TakeCommand(&*rest);
  if (!command.ok()) {
    std::cerr << "svi: " << command.status().message() << "\n";
    return kExitUsage;
  }
  return (*command)->run(**command, globals, *rest, interrupt);
}

}  // namespace
}  // namespace svi::client

int main(int argc, char** argv) { return svi::client::Main(argc, argv); }
