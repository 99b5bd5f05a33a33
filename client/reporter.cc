#include "client/reporter.h"

#include <google/protobuf/util/json_util.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "client/errors.h"
#include "nlohmann/json.hpp"

namespace svi::client {
namespace {

int TerminalWidth() {
  winsize size{};
  return ::ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0 ? size.ws_col : 80;
}

void Print(const std::string& text) {
  std::fputs(text.c_str(), stdout);
  // The reader of a pipe wants each line as it happens.
  std::fflush(stdout);
}

}  // namespace

OutputMode ChooseOutputMode(bool json) {
  if (json) return OutputMode::kJson;
  const char* term = std::getenv("TERM");
  const bool redraws = ::isatty(STDOUT_FILENO) == 1 && term != nullptr && std::string_view(term) != "dumb";
  return redraws ? OutputMode::kBar : OutputMode::kPlain;
}

std::string ToJson(const google::protobuf::Message& message) {
  google::protobuf::util::JsonPrintOptions options;
  options.add_whitespace = false;
  std::string out;
  const auto status = google::protobuf::util::MessageToJsonString(message, &out, options);
  return status.ok() ? out : nlohmann::json{{"error", {{"message", status.ToString()}}}}.dump();
}

std::string ShortSize(uint64_t bytes) {
  if (bytes < 1000) return absl::StrCat(bytes, " B");
  if (bytes < 1'000'000) return absl::StrFormat("%.1f kB", bytes / 1e3);
  if (bytes < 1'000'000'000) return absl::StrFormat("%.1f MB", bytes / 1e6);
  return absl::StrFormat("%.2f GB", bytes / 1e9);
}

void Reporter::EraseBar() {
  if (!bar_drawn_) return;
  Print("\r\x1b[K");
  bar_drawn_ = false;
}

void Reporter::SetBar(std::function<std::string(int width)> render) {
  render_bar_ = std::move(render);
  if (!render_bar_) EraseBar();
}

void Reporter::DrawBar() {
  if (mode_ != OutputMode::kBar || !render_bar_) return;
  Print(absl::StrCat("\r", render_bar_(TerminalWidth() - 1), "\x1b[K"));
  bar_drawn_ = true;
}

void Reporter::Line(const std::string& text) {
  if (json()) return;
  EraseBar();
  Print(text + "\n");
}

void Reporter::Note(const std::string& text) {
  EraseBar();
  std::fprintf(stderr, "%s\n", text.c_str());
}

void Reporter::Json(const google::protobuf::Message& message, const char* key) {
  const std::string json = ToJson(message);
  Print(key == nullptr ? json + "\n" : absl::StrCat("{\"", key, "\":", json, "}\n"));
}

void Reporter::Saved(std::string_view name, const std::string& path, uint64_t bytes,
                     const std::string& sha256_hex) {
  if (json()) {
    const nlohmann::json saved = {
        {"name", std::string(name)}, {"path", path}, {"sizeBytes", bytes}, {"sha256", sha256_hex}};
    return Print(
        nlohmann::json{{"saved", saved}}.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace) +
        "\n");
  }
  Line(absl::StrCat("saved ", path, " (", ShortSize(bytes), ")"));
  DrawBar();
}

void Reporter::AlreadyThere(std::string_view name, const std::string& path, const std::string& sha256_hex) {
  if (json()) {
    const nlohmann::json kept = {{"name", std::string(name)}, {"path", path}, {"sha256", sha256_hex}};
    return Print(nlohmann::json{{"alreadyThere", kept}}.dump(-1, ' ', false,
                                                             nlohmann::json::error_handler_t::replace) +
                 "\n");
  }
  Line(absl::StrCat("already there: ", path));
  DrawBar();
}

void Reporter::Retrying(const absl::Status& error, absl::Duration wait) {
  Note(absl::StrFormat("svi: %s; trying again in %.1f s", Describe(error), absl::ToDoubleSeconds(wait)));
  DrawBar();
}

void Reporter::Error(const absl::Status& status) {
  Note(json() ? DescribeAsJson(status) : absl::StrCat("svi: ", Describe(status)));
}

}  // namespace svi::client
