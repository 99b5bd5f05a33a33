// What `svi` prints: a bar on a terminal, plain lines in a pipe, or one JSON object a line.
#ifndef SVI_CLIENT_REPORTER_H_
#define SVI_CLIENT_REPORTER_H_

#include <cstdint>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "client/progress_bar.h"
#include "svi/v1/video_service.pb.h"

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

  // A video that was created or is now watched.
  void Created(const v1::Video& video);
  void Watching(const v1::Video& video);
  void Event(const v1::VideoEvent& event);
  // A clip's file, or the whole video's, is there.
  void Saved(std::string_view name, const std::string& path, uint64_t bytes, const std::string& sha256_hex);
  void AlreadyThere(std::string_view name, const std::string& path, const std::string& sha256_hex);
  // A video as it ended.
  void Ended(const v1::Video& video);
  void Retrying(const absl::Status& error, absl::Duration wait);
  void Error(const absl::Status& status);

  // A line for people; nothing in JSON mode.
  void Line(const std::string& text);
  // A line of advice on standard error, in every mode.
  void Note(const std::string& text);
  // The message as one line of JSON.
  void Json(const google::protobuf::Message& message);

 private:
  void EraseBar();
  void DrawBar();
  void PlainProgress(const v1::Progress& progress);
  void DescribeEvent(const v1::VideoEvent& event);

  const OutputMode mode_;
  VideoProgress progress_;
  bool bar_drawn_ = false;
  std::string last_progress_;  // plain mode: what was said last, so that it is not said again
};

// The message through protobuf's own JSON printer, on one line.
std::string ToJson(const google::protobuf::Message& message);
// "1.4 MB".
std::string ShortSize(uint64_t bytes);

}  // namespace svi::client

#endif  // SVI_CLIENT_REPORTER_H_
