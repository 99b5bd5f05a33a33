// The SVI chain: one call makes one clip, the carry links it to the next.
#ifndef SVI_ENGINE_SVI_CHAIN_H_
#define SVI_ENGINE_SVI_CHAIN_H_

#include <memory>
#include <string>

#include "engine/types.h"
#include "worker/engine/as_status.h"
#include "worker/engine/svi/carry.h"
#include "worker/engine/svi/pipeline.h"

namespace svi::engine {

class Chain {
 public:
  explicit Chain(const Pipeline& pipeline) : pipeline_(pipeline) {}

  // As Engine::GenerateClip; throws instead of returning errors.
  ClipResult Generate(const ClipRequest& request, const Picture& picture, const std::string& carry,
                      const ClipCallbacks& callbacks);

 private:
  struct Run;  // one clip in the making
  std::unique_ptr<DecoderState> TakeDecoder(const Vae& vae, const std::string& carry_bytes,
                                            const Carry& carry);

  const Pipeline& pipeline_;
  // Of the last pro clip: the decoder as it stood at its end, good for the clip that continues exactly this
  // carry. It only saves work: without it the same state is rebuilt from the carry's latents.
  // It holds activations only, so it outlives the VAE's weights where those are off-loaded.
  std::string warm_carry_;
  std::unique_ptr<DecoderState> warm_decoder_;
  absl::Duration decode_time_per_latent_ = absl::ZeroDuration();  // of the last clip, for the ETA
};

// Throws std::invalid_argument, naming field and limit, unless the model can make this clip.
void CheckRequest(const ClipRequest& request, const ModelDefaults& defaults);

}  // namespace svi::engine

#endif  // SVI_ENGINE_SVI_CHAIN_H_
