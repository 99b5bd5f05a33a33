// Checks and defaults of VaeConfig that the model's parts share.
#ifndef SVI_ENGINE_VAE_CONFIG_H_
#define SVI_ENGINE_VAE_CONFIG_H_

#include "worker/engine/vae/vae.h"

namespace svi::engine {

// What every Wan 2.2 VAE has, whatever its widths: the engine's 16×/4× geometry depends on it.
inline constexpr int64_t kVaePatch = 2;
inline constexpr int64_t kVaePixelChannels = 3;
inline constexpr int64_t kVaePatchedChannels = kVaePixelChannels * kVaePatch * kVaePatch;
inline constexpr int64_t kVaeSpatialFactor = 16;
inline constexpr int64_t kVaeTemporalFactor = 4;
inline constexpr size_t kVaeStages = 4;

// Fills empty latent tables with Wan 2.2's when z_dim is theirs, then throws std::invalid_argument, naming
// the field, if the geometry is not Wan 2.2's, a number is not positive or a shortcut's widths do not divide.
[[nodiscard]] VaeConfig CompleteVaeConfig(VaeConfig config);

}  // namespace svi::engine

#endif  // SVI_ENGINE_VAE_CONFIG_H_
