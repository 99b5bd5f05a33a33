// Weights and inputs that tests make instead of storing: the same numbers as
// tests/golden/vae/make_vae_golden.py's.
#ifndef SVI_TESTS_WORKER_ENGINE_VAE_GENERATED_H_
#define SVI_TESTS_WORKER_ENGINE_VAE_GENERATED_H_

#include <ATen/ATen.h>

#include <string>

#include "worker/engine/vae/vae.h"
#include "worker/engine/weights/weight_source.h"

namespace svi::engine {

// fp32 in [-1, 1): value i from splitmix64 of FNV-1a(name) + i.
at::Tensor Uniform(const std::string& name, at::IntArrayRef shape);

// Every tensor that is asked for, by its name.
class GeneratedWeights : public WeightSource {
 public:
  enum class Kind {
    kRandom,
    // fp64, and temporal kernels see only their oldest frame: what reaches the output from as long ago as the
    // architecture allows is then faint, but far above the last digit.
    kOldestFrameOnly,
  };
  // Leaves one thread to the process: these models are too small for more, and on a busy machine threads
  // wait for one another.
  explicit GeneratedWeights(Kind kind = Kind::kRandom);
  at::Tensor Take(const std::string& name, at::IntArrayRef shape) override;
  bool Has(const std::string&) const override { return true; }

 private:
  Kind kind_;
};

// The golden models' widths, with the first entries of Wan 2.2's latent tables.
VaeConfig SmallConfig(int64_t base_dim, int64_t decoder_base_dim, int64_t num_res_blocks);

double MaxAbs(const at::Tensor& a, const at::Tensor& b);

}  // namespace svi::engine

#endif  // SVI_TESTS_WORKER_ENGINE_VAE_GENERATED_H_
