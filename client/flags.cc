#include "client/flags.h"

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <fstream>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_replace.h"
#include "absl/strings/str_split.h"
#include "absl/strings/string_view.h"
#include "absl/strings/strip.h"

namespace svi {
namespace {

constexpr absl::string_view kFlagFile = "--flagfile";

absl::string_view View(std::string_view text) { return absl::string_view(text.data(), text.size()); }

// How each type is read, shown and named.
struct StringTraits {
  static constexpr const char* kKind = "text";
  static constexpr const char* kPlaceholder = "TEXT";
  static bool Read(std::string_view text, std::string* value) {
    *value = std::string(text);
    return true;
  }
  static std::string Show(const std::string& value) { return value; }
};

template <typename T>
struct IntTraits {
  static constexpr const char* kKind = "a whole number";
  static constexpr const char* kPlaceholder = "N";
  static bool Read(std::string_view text, T* value) { return absl::SimpleAtoi(View(text), value); }
  static std::string Show(T value) { return absl::StrCat(value); }
};

template <typename T>
struct UintTraits {
  static constexpr const char* kKind =
      sizeof(T) == 4 ? "a whole number, 0..4294967295" : "a whole number, 0 or more";
  static constexpr const char* kPlaceholder = "N";
  static bool Read(std::string_view text, T* value) {
    // SimpleAtoi takes "-0".
    return text.find('-') == std::string_view::npos && absl::SimpleAtoi(View(text), value);
  }
  static std::string Show(T value) { return absl::StrCat(value); }
};

struct DoubleTraits {
  static constexpr const char* kKind = "a finite number";
  static constexpr const char* kPlaceholder = "X";
  static bool Read(std::string_view text, double* value) {
    return absl::SimpleAtod(View(text), value) && std::isfinite(*value);
  }
  static std::string Show(double value) { return absl::StrCat(value); }
};

struct FloatTraits {
  static constexpr const char* kKind = "a finite number";
  static constexpr const char* kPlaceholder = "X";
  static bool Read(std::string_view text, float* value) {
    return absl::SimpleAtof(View(text), value) && std::isfinite(*value);
  }
  static std::string Show(float value) { return absl::StrCat(value); }
};

struct BoolTraits {
  static constexpr const char* kKind = "true or false";
  static constexpr const char* kPlaceholder = "";
  static bool Read(std::string_view text, bool* value) { return absl::SimpleAtob(View(text), value); }
  static std::string Show(bool value) { return value ? "true" : "false"; }
};

struct DurationTraits {
  static constexpr const char* kKind = "a duration such as 500ms, 30s or 5m";
  static constexpr const char* kPlaceholder = "TIME";
  static bool Read(std::string_view text, absl::Duration* value) {
    return absl::ParseDuration(View(text), value);
  }
  static std::string Show(absl::Duration value) { return absl::FormatDuration(value); }
};

// Levenshtein's distance, for "did you mean".
size_t EditDistance(std::string_view a, std::string_view b) {
  std::vector<size_t> row(b.size() + 1);
  for (size_t j = 0; j <= b.size(); ++j) row[j] = j;
  for (size_t i = 1; i <= a.size(); ++i) {
    size_t diagonal = row[0];
    row[0] = i;
    for (size_t j = 1; j <= b.size(); ++j) {
      const size_t substituted = diagonal + (a[i - 1] == b[j - 1] ? 0 : 1);
      diagonal = row[j];
      row[j] = std::min({row[j] + 1, row[j - 1] + 1, substituted});
    }
  }
  return row[b.size()];
}

// Breaks `text` at spaces so that no line, indented, is longer than `width`.
std::string Wrap(std::string_view text, size_t indent, size_t width) {
  std::string out, line;
  for (absl::string_view word : absl::StrSplit(View(text), ' ', absl::SkipEmpty())) {
    if (!line.empty() && indent + line.size() + 1 + word.size() > width) {
      absl::StrAppend(&out, std::string(indent, ' '), line, "\n");
      line.clear();
    }
    absl::StrAppend(&line, line.empty() ? "" : " ", word);
  }
  if (!line.empty()) absl::StrAppend(&out, std::string(indent, ' '), line, "\n");
  return out;
}

}  // namespace

void FlagParser::Add(Flag flag) {
  flag.group = group_;
  flags_.push_back(std::move(flag));
}

template <typename T, typename Traits>
void FlagParser::AddPlain(std::string name, T* value, std::string help) {
  Flag flag;
  flag.name = std::move(name);
  flag.help = std::move(help);
  flag.kind = Traits::kKind;
  flag.placeholder = Traits::kPlaceholder;
  flag.default_value = Traits::Show(*value);
  flag.is_bool = std::is_same_v<T, bool>;
  flag.set = [value](std::string_view text) {
    T read{};
    if (!Traits::Read(text, &read)) return false;
    *value = read;
    return true;
  };
  Add(std::move(flag));
}

template <typename T, typename Traits>
void FlagParser::AddOptional(std::string name, std::optional<T>* value, std::string help) {
  Flag flag;
  flag.name = std::move(name);
  flag.help = std::move(help);
  flag.kind = Traits::kKind;
  flag.placeholder = Traits::kPlaceholder;
  if (value->has_value()) flag.default_value = Traits::Show(**value);
  flag.is_bool = std::is_same_v<T, bool>;
  flag.set = [value](std::string_view text) {
    T read{};
    if (!Traits::Read(text, &read)) return false;
    *value = read;
    return true;
  };
  Add(std::move(flag));
}

void FlagParser::AddString(std::string name, std::string* value, std::string help) {
  AddPlain<std::string, StringTraits>(std::move(name), value, std::move(help));
}
void FlagParser::AddString(std::string name, std::optional<std::string>* value, std::string help) {
  AddOptional<std::string, StringTraits>(std::move(name), value, std::move(help));
}
void FlagParser::AddInt(std::string name, int64_t* value, std::string help) {
  AddPlain<int64_t, IntTraits<int64_t>>(std::move(name), value, std::move(help));
}
void FlagParser::AddInt(std::string name, std::optional<int64_t>* value, std::string help) {
  AddOptional<int64_t, IntTraits<int64_t>>(std::move(name), value, std::move(help));
}
void FlagParser::AddInt(std::string name, int* value, std::string help) {
  AddPlain<int, IntTraits<int>>(std::move(name), value, std::move(help));
}
void FlagParser::AddUint(std::string name, uint64_t* value, std::string help) {
  AddPlain<uint64_t, UintTraits<uint64_t>>(std::move(name), value, std::move(help));
}
void FlagParser::AddUint(std::string name, std::optional<uint64_t>* value, std::string help) {
  AddOptional<uint64_t, UintTraits<uint64_t>>(std::move(name), value, std::move(help));
}
void FlagParser::AddUint(std::string name, std::optional<uint32_t>* value, std::string help) {
  AddOptional<uint32_t, UintTraits<uint32_t>>(std::move(name), value, std::move(help));
}
void FlagParser::AddDouble(std::string name, double* value, std::string help) {
  AddPlain<double, DoubleTraits>(std::move(name), value, std::move(help));
}
void FlagParser::AddDouble(std::string name, std::optional<double>* value, std::string help) {
  AddOptional<double, DoubleTraits>(std::move(name), value, std::move(help));
}
void FlagParser::AddFloat(std::string name, float* value, std::string help) {
  AddPlain<float, FloatTraits>(std::move(name), value, std::move(help));
}
void FlagParser::AddFloat(std::string name, std::optional<float>* value, std::string help) {
  AddOptional<float, FloatTraits>(std::move(name), value, std::move(help));
}
void FlagParser::AddBool(std::string name, bool* value, std::string help) {
  AddPlain<bool, BoolTraits>(std::move(name), value, std::move(help));
}
void FlagParser::AddBool(std::string name, std::optional<bool>* value, std::string help) {
  AddOptional<bool, BoolTraits>(std::move(name), value, std::move(help));
}
void FlagParser::AddAction(std::string name, bool* value, std::string help) {
  AddBool(std::move(name), value, std::move(help));
  flags_.back().is_action = true;
}
void FlagParser::AddDuration(std::string name, absl::Duration* value, std::string help) {
  AddPlain<absl::Duration, DurationTraits>(std::move(name), value, std::move(help));
}
void FlagParser::AddDuration(std::string name, std::optional<absl::Duration>* value, std::string help) {
  AddOptional<absl::Duration, DurationTraits>(std::move(name), value, std::move(help));
}

void FlagParser::AddRepeated(std::string name, std::vector<std::string>* values, std::string help) {
  Flag flag;
  flag.name = std::move(name);
  flag.help = absl::StrCat(help, " (may be repeated)");
  flag.kind = StringTraits::kKind;
  flag.placeholder = StringTraits::kPlaceholder;
  flag.set = [values](std::string_view text) {
    values->emplace_back(text);
    return true;
  };
  flag.is_repeated = true;
  Add(std::move(flag));
}

FlagParser::Flag* FlagParser::Find(std::string_view name) {
  for (Flag& flag : flags_) {
    if (flag.name == name) return &flag;
  }
  return nullptr;
}

bool FlagParser::given(std::string_view name) const {
  return std::any_of(flags_.begin(), flags_.end(),
                     [name](const Flag& flag) { return flag.name == name && flag.given; });
}

absl::Status FlagParser::Unknown(std::string_view name) const {
  const Flag* nearest = nullptr;
  size_t distance = std::max<size_t>(2, name.size() / 3) + 1;
  for (const Flag& flag : flags_) {
    const size_t d = EditDistance(name, flag.name);
    if (d < distance) {
      distance = d;
      nearest = &flag;
    }
  }
  return absl::InvalidArgumentError(
      absl::StrCat("unknown flag --", View(name),
                   nearest ? absl::StrCat("; did you mean --", nearest->name, "?") : " (see --help)"));
}

absl::Status FlagParser::ParseOne(const std::vector<std::string>& args, size_t* index) {
  const std::string_view body = std::string_view(args[*index]).substr(2);
  const size_t equals = body.find('=');
  const std::string_view name = body.substr(0, equals);
  Flag* flag = Find(name);
  std::string_view value;
  if (flag == nullptr && name.substr(0, 2) == "no") {
    Flag* negated = Find(name.substr(2));
    if (negated == nullptr || !negated->is_bool) return Unknown(name);
    if (equals != std::string_view::npos) {
      return absl::InvalidArgumentError(
          absl::StrCat("--", View(name), " takes no value; say --", negated->name, "=false"));
    }
    flag = negated;
    value = "false";
  } else if (flag == nullptr) {
    return Unknown(name);
  } else if (equals != std::string_view::npos) {
    value = body.substr(equals + 1);
  } else if (flag->is_bool) {
    value = "true";
  } else if (*index + 1 < args.size()) {
    value = args[++*index];
  } else {
    return absl::InvalidArgumentError(absl::StrCat("--", flag->name, " needs a value: ", flag->kind));
  }
  if (!flag->set(value)) {
    return absl::InvalidArgumentError(
        absl::StrCat("--", flag->name, "=", View(value), ": want ", flag->kind));
  }
  flag->given = true;
  return absl::OkStatus();
}

absl::Status FlagParser::ParseFile(const std::string& path) {
  std::ifstream file(path);
  if (!file) return absl::InvalidArgumentError(absl::StrCat("--flagfile: cannot read ", path));
  std::string line;
  for (int number = 1; std::getline(file, line); ++number) {
    const absl::string_view flag = absl::StripAsciiWhitespace(line);
    if (flag.empty() || flag[0] == '#') continue;
    const std::string argument = absl::StrCat("--", absl::StripPrefix(flag, "--"));
    absl::Status status = absl::InvalidArgumentError("a file of flags names no other");
    if (!absl::StartsWith(argument, kFlagFile)) {
      size_t index = 0;
      status = ParseOne({argument}, &index);
    }
    if (!status.ok()) {
      return absl::InvalidArgumentError(absl::StrCat(path, ":", number, ": ", status.message()));
    }
  }
  return absl::OkStatus();
}

std::string FlagParser::Variable(const Flag& flag) const {
  if (environment_.empty() || flag.is_action) return "";
  return absl::StrCat(environment_, "_", absl::AsciiStrToUpper(absl::StrReplaceAll(flag.name, {{"-", "_"}})));
}

absl::Status FlagParser::ParseEnvironment() {
  for (Flag& flag : flags_) {
    const std::string variable = Variable(flag);
    const char* value = flag.given || variable.empty() ? nullptr : std::getenv(variable.c_str());
    if (value == nullptr) continue;
    std::vector<std::string> values = {value};
    if (flag.is_repeated) values = absl::StrSplit(value, '\n', absl::SkipEmpty());
    for (const std::string& text : values) {
      if (flag.set(text)) continue;
      return absl::InvalidArgumentError(absl::StrCat(variable, "=", text, ": want ", flag.kind));
    }
    flag.given = true;
  }
  return absl::OkStatus();
}

absl::StatusOr<std::vector<std::string>> FlagParser::ParseAll(const std::vector<std::string>& args,
                                                              bool stop_at_positional) {
  std::vector<std::string> positional;
  for (size_t i = 0; i < args.size(); ++i) {
    const std::string& arg = args[i];
    if (arg == "--help" || arg == "-h") {
      help_requested_ = true;
      return positional;
    }
    if (arg == "--") {
      positional.insert(positional.end(), args.begin() + static_cast<std::ptrdiff_t>(i) + 1, args.end());
      break;
    }
    if (absl::StartsWith(arg, kFlagFile) &&
        (arg.size() == kFlagFile.size() || arg[kFlagFile.size()] == '=')) {
      std::string path = arg.substr(std::min(arg.size(), kFlagFile.size() + 1));
      if (arg.size() == kFlagFile.size() && i + 1 < args.size()) path = args[++i];
      if (path.empty()) return absl::InvalidArgumentError("--flagfile needs a value: a file");
      if (absl::Status status = ParseFile(path); !status.ok()) return status;
    } else if (arg.size() > 2 && arg.compare(0, 2, "--") == 0) {
      absl::Status status = ParseOne(args, &i);
      if (!status.ok()) return status;
    } else if (arg.size() > 1 && arg[0] == '-') {
      return absl::InvalidArgumentError(absl::StrCat("unknown flag ", arg, ": flags start with two dashes"));
    } else if (stop_at_positional) {
      positional.insert(positional.end(), args.begin() + static_cast<std::ptrdiff_t>(i), args.end());
      break;
    } else {
      positional.push_back(arg);
    }
  }
  if (absl::Status status = ParseEnvironment(); !status.ok()) return status;
  return positional;
}

absl::StatusOr<std::vector<std::string>> FlagParser::Parse(const std::vector<std::string>& args) {
  return ParseAll(args, /*stop_at_positional=*/false);
}

absl::StatusOr<std::vector<std::string>> FlagParser::Parse(int argc, const char* const* argv) {
  return Parse(std::vector<std::string>(argv + std::min(argc, 1), argv + argc));
}

absl::StatusOr<std::vector<std::string>> FlagParser::ParseUntilPositional(
    const std::vector<std::string>& args) {
  return ParseAll(args, /*stop_at_positional=*/true);
}

std::vector<std::string> FlagParser::Groups() const {
  std::vector<std::string> groups;
  for (const Flag& flag : flags_) {
    if (std::find(groups.begin(), groups.end(), flag.group) == groups.end()) groups.push_back(flag.group);
  }
  return groups;
}

std::string FlagParser::HelpMarkdown() const {
  std::string out;
  const bool environment = !environment_.empty();
  for (const std::string& group : Groups()) {
    absl::StrAppend(&out, "**", group, "**\n\n| flag |", environment ? " environment |" : "",
                    " default | |\n| --- |", environment ? " --- |" : "", " --- | --- |\n");
    for (const Flag& flag : flags_) {
      if (flag.group != group || flag.is_action) continue;
      absl::StrAppend(&out, "| `--", flag.name, flag.placeholder.empty() ? "" : "=", flag.placeholder, "` |");
      if (environment) absl::StrAppend(&out, " `", Variable(flag), "` |");
      absl::StrAppend(&out, flag.default_value.empty() ? "" : absl::StrCat(" `", flag.default_value, "`"),
                      " | ", absl::StrReplaceAll(flag.help, {{"|", "\\|"}}), " |\n");
    }
    out += "\n";
  }
  return out;
}

std::string FlagParser::Help() const {
  constexpr size_t kIndent = 8;
  constexpr size_t kWidth = 100;
  std::string out = absl::StrCat("Usage: ", usage_, "\n");
  if (!environment_.empty()) {
    absl::StrAppend(
        &out, "\nFlags may also be in a file (--flagfile=FILE, one a line) or in the environment (",
        environment_, "_LOG_LEVEL for --log-level). What is given wins over what is in the environment.\n");
  }
  for (const std::string& group : Groups()) {
    absl::StrAppend(&out, "\n", group, ":\n");
    for (const Flag& flag : flags_) {
      if (flag.group != group) continue;
      absl::StrAppend(&out, "  --", flag.is_bool ? "[no]" : "", flag.name,
                      flag.placeholder.empty() ? "" : "=", flag.placeholder, "\n");
      std::string help = flag.help;
      if (!flag.default_value.empty()) absl::StrAppend(&help, " [default: ", flag.default_value, "]");
      out += Wrap(help, kIndent, kWidth);
    }
  }
  return out;
}

}  // namespace svi
