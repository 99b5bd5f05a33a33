// Shared by the media tests: fixtures, pictures to encode, distance between pictures.
#ifndef SVI_TESTS_WORKER_MEDIA_MEDIA_TEST_UTIL_H_
#define SVI_TESTS_WORKER_MEDIA_MEDIA_TEST_UTIL_H_

#include <string>
#include <vector>

#include "engine/types.h"
#include "worker/media/media.h"

namespace svi::media {

// Bytes of tests/golden/media/NAME.
std::string Fixture(const std::string& name);
// tests/golden/media/NAME.ppm as a picture.
engine::Picture Ppm(const std::string& name);
std::string ReadFile(const std::string& path);
void WriteFile(const std::string& path, const std::string& bytes);

// A grey JPEG of `side` × `side` pixels (a multiple of 16) that goes over all of them `scans` times.
std::string JpegOfScans(int side, int scans);

// A smooth picture that moves with `time`.
engine::Picture MovingPicture(int width, int height, int time);
// MP4 of `count` moving pictures, the first at `start`.
std::string MakeClip(const ClipEncoderOptions& options, int start, int count);

// Of all samples; infinite for equal pictures. 0 for pictures of different sizes.
double Psnr(const engine::Picture& a, const engine::Picture& b);
// Largest difference of any sample; 256 for pictures of different sizes.
int MaxDifference(const engine::Picture& a, const engine::Picture& b);

}  // namespace svi::media

#endif  // SVI_TESTS_WORKER_MEDIA_MEDIA_TEST_UTIL_H_
