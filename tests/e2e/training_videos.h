// A data set for trainers, made of real MP4s.
#ifndef SVI_TESTS_E2E_TRAINING_VIDEOS_H_
#define SVI_TESTS_E2E_TRAINING_VIDEOS_H_

#include <filesystem>

namespace svi::e2e {

// DIR/squares/squares.csv and `count` videos of 64 × 64 pixels and 33 frames beside it; fails the test if it
// cannot.
void WriteTrainingVideos(const std::filesystem::path& dir, int count);

}  // namespace svi::e2e

#endif  // SVI_TESTS_E2E_TRAINING_VIDEOS_H_
