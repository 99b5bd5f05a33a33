// How `svi` prints: a bar on a terminal, plain lines in a pipe, or one JSON object a line.
#ifndef SVI_CLIENT_REPORTER_H_
#define SVI_CLIENT_REPORTER_H_

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "google/protobuf/message.h"

namespace svi::client {

enum class OutputMode { kBar, kPlain, kJson };

// kJson if asked for; kBar if standard output is a terminal that can redraw a line; else kPlain.
OutputMode ChooseOutputMode(bool json);

// Results go to standard output, errors and notes to standard error. Thread-compatible.
class Reporter {
 public:
  explicit Reporter(OutputMode mode) : mode_(mode) {}
  ~Reporter() { EraseBar(); }
  Reporter(const Reporter&) = delete;
  Reporter& operator=(const Reporter&) = delete;

  OutputMode mode() const { return mode_; }
  bool json() const { return mode_ == OutputMode::kJson; }

  // What is drawn at the bottom of a terminal from now on, and after every line. Null: nothing.
  void SetBar(std::function<std::string(int width)> render);
  void DrawBar();

  // A file that was fetched is there.
  void Saved(std::string_view name, const std::string& path, uint64_t bytes, const std::string& sha256_hex);
  void AlreadyThere(std::string_view name, const std::string& path, const std::string& sha256_hex);
  void Retrying(const absl::Status& error, absl::Duration wait);
  void Error(const absl::Status& status);

  // A line for people; nothing in JSON mode.
  void Line(const std::string& text);
  // A line of advice on standard error, in every mode.
  void Note(const std::string& text);
  // The message as one line of JSON; with `key`, as {key: message}.
  void Json(const google::protobuf::Message& message, const char* key = nullptr);

 private:
  void EraseBar();

  const OutputMode mode_;
  std::function<std::string(int width)> render_bar_;
  bool bar_drawn_ = false;
};

// The message through protobuf's own JSON printer, on one line.
std::string ToJson(const google::protobuf::Message& message);
// "1.4 MB".
std::string ShortSize(uint64_t bytes);

}  // namespace svi::client

#endif  // SVI_CLIENT_REPORTER_H_
