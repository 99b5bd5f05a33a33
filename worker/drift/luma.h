// BT.709 luma of 8-bit RGB in whole numbers, so that sums of it are exact.
#ifndef SVI_WORKER_DRIFT_LUMA_H_
#define SVI_WORKER_DRIFT_LUMA_H_

#include <cstdint>

namespace svi::drift {

inline constexpr int32_t kLumaOne = 255 * 10000;  // white

// 0..kLumaOne, of one pixel's red, green and blue.
inline int32_t Luma(const uint8_t* rgb) { return 2126 * rgb[0] + 7152 * rgb[1] + 722 * rgb[2]; }

}  // namespace svi::drift

#endif  // SVI_WORKER_DRIFT_LUMA_H_
