// What a clip's frames look like, in numbers that need no network. Definitions: README, "Drift".
#ifndef SVI_WORKER_DRIFT_MEASURES_H_
#define SVI_WORKER_DRIFT_MEASURES_H_

#include <array>
#include <optional>

namespace svi::drift {

inline constexpr int kHistogramBins = 16;  // a channel

// Of the frames as they were made, before H.264. Levels are 0..1 for 8-bit 0..255; luma is BT.709's.
struct ClipMeasures {
  double brightness = 0;  // mean luma
  double contrast = 0;    // standard deviation of a frame's luma, mean over frames
  double saturation = 0;  // mean of HSV's: (max - min) / max of a pixel's channels, 0 for black
  double sharpness = 0;   // mean |4 centre - left - right - above - below| of the luma, inner pixels
  double motion = 0;      // mean |difference| of the lumas of neighbouring frames; 0 for a single frame
  // Shares of equal bins: red's, green's, blue's; each channel's sum to 1.
  std::array<double, size_t{3} * kHistogramBins> histogram{};
};

// The regions that do not move in a clip, in its last frame, against the picture that the video started from.
struct StillSimilarity {
  double share = 0;  // of the frame that does not move
  // Of the still cells without the quarter that differs most, where things have come or gone since the
  // picture. Unset if nothing is still; SSIM also if no window of it is.
  std::optional<double> psnr;  // dB over red, green and blue, at most 100
  std::optional<double> ssim;  // of the luma
};

// This clip minus clip 0.
struct ClipDrift {
  double brightness = 0;
  double contrast = 0;
  double saturation = 0;
  double sharpness = 0;           // ratio minus 1
  double motion = 0;              // ratio minus 1
  double histogram_distance = 0;  // earth mover's, mean of the channels, 0..1
  std::optional<double> static_psnr, static_ssim;
};

}  // namespace svi::drift

#endif  // SVI_WORKER_DRIFT_MEASURES_H_
