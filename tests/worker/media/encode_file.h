// Videos in any container and codec of this FFmpeg, for tests of what reads them.
#ifndef SVI_TESTS_WORKER_MEDIA_ENCODE_FILE_H_
#define SVI_TESTS_WORKER_MEDIA_ENCODE_FILE_H_

#include <string>

namespace svi::media {

struct FileOptions {
  const char* codec = "mpeg4";  // an encoder's name
  int width = 96;
  int height = 64;
  int frames = 12;
  int max_b_frames = 0;
};

// MovingPicture(0), MovingPicture(1), … at 24 frames a second; the container follows from the path's ending.
void EncodeFile(const std::string& path, const FileOptions& options);

}  // namespace svi::media

#endif  // SVI_TESTS_WORKER_MEDIA_ENCODE_FILE_H_
