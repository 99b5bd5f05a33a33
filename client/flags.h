// Command-line flags of svi-server, svi-worker and svi: values, not globals, so that each subcommand has its
// own set.
#ifndef SVI_CLIENT_FLAGS_H_
#define SVI_CLIENT_FLAGS_H_

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"

namespace svi {

// Reads `--name=value`, `--name value`, `--flag`, `--noflag`, `--flag=false`; `--` ends the flags; what is
// left over are positional arguments. A flag given twice keeps its last value, a repeated one all of them.
// `--help` and `-h` are understood by every parser, and `--flagfile=FILE`, which stands for the flags in
// FILE: one a line, without quotes, with or without the dashes; empty lines and those that begin with # do
// not count. What a flag points to must outlive Parse; its value when it is added is its default, and is left
// alone if the flag is not given.
class FlagParser {
 public:
  // `usage`: what Help() starts with, e.g. "svi-server [flags]\n\nQueues videos and hands them to workers."
  explicit FlagParser(std::string usage) : usage_(std::move(usage)) {}

  // Flags added from here on are listed under this title.
  void Group(std::string title) { group_ = std::move(title); }

  // `help` is a sentence without a full stop; Help() adds the default to it.
  void AddString(std::string name, std::string* value, std::string help);
  void AddString(std::string name, std::optional<std::string>* value, std::string help);
  void AddInt(std::string name, int64_t* value, std::string help);
  void AddInt(std::string name, std::optional<int64_t>* value, std::string help);
  void AddInt(std::string name, int* value, std::string help);
  void AddUint(std::string name, uint64_t* value, std::string help);
  void AddUint(std::string name, std::optional<uint64_t>* value, std::string help);
  void AddUint(std::string name, std::optional<uint32_t>* value, std::string help);
  void AddDouble(std::string name, double* value, std::string help);
  void AddDouble(std::string name, std::optional<double>* value, std::string help);
  void AddFloat(std::string name, float* value, std::string help);
  void AddFloat(std::string name, std::optional<float>* value, std::string help);
  void AddBool(std::string name, bool* value, std::string help);
  void AddBool(std::string name, std::optional<bool>* value, std::string help);
  // As absl::ParseDuration: "500ms", "30s", "5m", "1h30m".
  void AddDuration(std::string name, absl::Duration* value, std::string help);
  void AddDuration(std::string name, std::optional<absl::Duration>* value, std::string help);
  // What is done instead of what the program is for, such as --version; never taken from the environment.
  void AddAction(std::string name, bool* value, std::string help);
  // May be given any number of times; each adds one value.
  void AddRepeated(std::string name, std::vector<std::string>* values, std::string help);

  // A flag that is not given takes its value from the environment, if it is there: for the prefix
  // "SVI_SERVER" and the flag data-dir from SVI_SERVER_DATA_DIR. A repeated flag has one value a line there.
  void ReadEnvironment(std::string prefix) { environment_ = std::move(prefix); }

  // `args` without the program's name. INVALID_ARGUMENT names the flag, the value and what is wanted. Returns
  // the positional arguments, in order.
  [[nodiscard]] absl::StatusOr<std::vector<std::string>> Parse(const std::vector<std::string>& args);
  [[nodiscard]] absl::StatusOr<std::vector<std::string>> Parse(int argc, const char* const* argv);

  // As Parse, but stops at the first positional argument: it and all after it are returned unread, for a
  // subcommand.
  [[nodiscard]] absl::StatusOr<std::vector<std::string>> ParseUntilPositional(
      const std::vector<std::string>& args);

  // --help or -h was given. Parse then returns at once, whatever else is wrong.
  bool help_requested() const { return help_requested_; }
  // Whether the last Parse met this flag, in the arguments, a file or the environment.
  bool given(std::string_view name) const;

  // Usage, then every flag by group, with its kind, help and default.
  std::string Help() const;
  // The same as a table in Markdown, for the documentation.
  std::string HelpMarkdown() const;

 private:
  struct Flag {
    std::string name, group, help;
    std::string kind;           // what is wanted, for errors: "a whole number", …
    std::string placeholder;    // for Help(): N, TEXT, …; empty for booleans
    std::string default_value;  // as Help() shows it; empty: none is shown
    std::function<bool(std::string_view)> set;
    bool is_bool = false;
    bool is_repeated = false;
    bool is_action = false;
    bool given = false;
  };

  void Add(Flag flag);
  template <typename T, typename Traits>
  void AddPlain(std::string name, T* value, std::string help);
  template <typename T, typename Traits>
  void AddOptional(std::string name, std::optional<T>* value, std::string help);
  Flag* Find(std::string_view name);
  absl::Status Unknown(std::string_view name) const;
  absl::StatusOr<std::vector<std::string>> ParseAll(const std::vector<std::string>& args,
                                                    bool stop_at_positional);
  // Reads the flag at args[*index] and moves *index past its value if that is an argument of its own.
  absl::Status ParseOne(const std::vector<std::string>& args, size_t* index);
  absl::Status ParseFile(const std::string& path);
  absl::Status ParseEnvironment();
  std::vector<std::string> Groups() const;
  std::string Variable(const Flag& flag) const;  // empty: it is not read from there

  std::string usage_;
  std::string group_ = "Flags";
  std::vector<Flag> flags_;
  std::string environment_;
  bool help_requested_ = false;
};

}  // namespace svi

#endif  // SVI_CLIENT_FLAGS_H_
