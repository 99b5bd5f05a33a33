// Where the trainer gets its videos from: the engine neither reads folders nor decodes.
#ifndef SVI_ENGINE_VIDEO_SOURCE_H_
#define SVI_ENGINE_VIDEO_SOURCE_H_

#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "engine/types.h"

namespace svi::engine {

// Captioned videos. Thread-compatible.
class VideoSource {
 public:
  struct Item {
    std::string name;      // relative to the data set, unique together with the prompt; for messages too
    std::string prompt;    // UTF-8
    std::string identity;  // changes when the video's bytes do
  };
  struct Skipped {
    std::string name;  // of a video, a folder, or a file and its line
    std::string why;
  };
  struct Info {
    int64_t frames = 0;
    int width = 0;  // pixels, upright
    int height = 0;
    double fps = 0;  // as the file states it; 0: it does not
  };

  virtual ~VideoSource() = default;

  // The order is the data set's own: the same files give the same list.
  virtual const std::vector<Item>& items() const = 0;
  // What could not even be listed: bad rows, files that are not there.
  virtual const std::vector<Skipped>& skipped() const = 0;

  // Decodes the whole video: `frames` is what ReadFrames can give, whatever the file's header says.
  // INVALID_ARGUMENT: it cannot be read, is damaged, or holds no frames. NOT_FOUND: it has gone.
  virtual absl::StatusOr<Info> Probe(size_t item) = 0;

  // Hands over the frames of these numbers (from 0; ascending, repeats allowed) in one pass, one frame in
  // memory at a time: whole, upright RGB. An error of `frame` ends the pass with it. INVALID_ARGUMENT as
  // Probe and when the video ends too early.
  virtual absl::Status ReadFrames(size_t item, const std::vector<int64_t>& numbers,
                                  const std::function<absl::Status(const Picture&)>& frame) = 0;
};

}  // namespace svi::engine

#endif  // SVI_ENGINE_VIDEO_SOURCE_H_
