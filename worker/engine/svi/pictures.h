// Between 8-bit pictures and the tensors that the VAE works on.
#ifndef SVI_ENGINE_SVI_PICTURES_H_
#define SVI_ENGINE_SVI_PICTURES_H_

#include <ATen/ATen.h>

#include <functional>

#include "absl/status/status.h"
#include "engine/types.h"

namespace svi::engine {

// Any size → uint8 [3, height, width]: scaled to cover (Lanczos with antialiasing, as Wan's own image path),
// then a window is cut out, as a rule the centre. `x`, `y`: where it lies in what is left over, 0 at the left
// and top to 1. Throws std::invalid_argument if rgb's size is not width * height * 3.
at::Tensor CoverPicture(const Picture& picture, int width, int height, double x = 0.5, double y = 0.5);

// uint8 [3, H, W] or [F, 3, H, W] → float32 [1, 3, F, H, W] in [-1, 1].
at::Tensor ToVideo(const at::Tensor& frames);

// [1, 3, F, H, W] in [-1, 1] → uint8 [F, 3, H, W], rounded, on the CPU.
at::Tensor ToFrames(const at::Tensor& video);

// uint8 [3, H, W] on the CPU → Picture.
Picture ToPicture(const at::Tensor& frame);

}  // namespace svi::engine

#endif  // SVI_ENGINE_SVI_PICTURES_H_
