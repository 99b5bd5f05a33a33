// What `svi` says of a video.
#ifndef SVI_CLIENT_VIDEO_REPORTER_H_
#define SVI_CLIENT_VIDEO_REPORTER_H_

#include <string>

#include "client/progress_bar.h"
#include "client/reporter.h"
#include "svi/v1/video_service.pb.h"

namespace svi::client {

// The bar is the video's until this is gone.
class VideoReporter {
 public:
  explicit VideoReporter(Reporter& out);
  ~VideoReporter() { out_.SetBar(nullptr); }
  VideoReporter(const VideoReporter&) = delete;
  VideoReporter& operator=(const VideoReporter&) = delete;

  void Created(const v1::Video& video);
  void Watching(const v1::Video& video);
  void Event(const v1::VideoEvent& event);
  // As it ended.
  void Ended(const v1::Video& video);

 private:
  void PlainProgress(const v1::Progress& progress);
  void DescribeEvent(const v1::VideoEvent& event);

  Reporter& out_;
  VideoProgress progress_;
  std::string last_progress_;  // plain mode: what was said last, so that it is not said again
};

}  // namespace svi::client

#endif  // SVI_CLIENT_VIDEO_REPORTER_H_
