// Error recycling: which banked errors go into a training sample, and which measured ones go into the banks
// (Stable Video Infinity, arXiv 2510.09212, section 3; its option names are in
// proto/svi/v1/training_spec.proto).
#ifndef SVI_ENGINE_TRAIN_ERROR_RECYCLING_H_
#define SVI_ENGINE_TRAIN_ERROR_RECYCLING_H_

#include <ATen/ATen.h>

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "engine/train_options.h"
#include "engine/types.h"
#include "worker/engine/train/error_bank.h"
#include "worker/engine/train/flow_matching.h"
#include "worker/engine/weights/safetensors.h"

namespace svi::engine {

double DefaultCleanProb(Variant variant);     // film 0.5, others 0.2
double DefaultReencodeProb(Variant variant);  // film 0.1, others 0

// std::invalid_argument with the field and its limits. `history_slots`: that the variant's samples have.
void CheckErrorRecyclingOptions(const ErrorRecyclingOptions& options, int64_t history_slots);

// What a run is like, as far as the advice below depends on it.
struct RecyclingContext {
  Variant variant = Variant::kPro;
  int64_t effective_batch = 64;  // ranks · batch_size · gradient_accumulation_steps
  int64_t parameters = 0;        // of the transformer
  bool vae_reduced_precision = false;
  bool vae_tiled = false;
  bool anchor_inside_clip = false;  // the padding frame may come from the clip that is learnt
};
// Where a run departs from what SVI's authors advise (their development log, October 2025), a sentence each.
// Their advice on seeds concerns inference alone.
std::vector<std::string> RecyclingWarnings(const ErrorRecyclingOptions& options,
                                           const RecyclingContext& context);

// One sample's errors. Undefined tensors: none.
struct Injection {
  bool clean = false;        // by the draw: nothing was to be injected
  at::Tensor noise_error;    // float32 [C, T, h, w] on the CPU, onto the noise of the last T target slots
  at::Tensor latent_error;   // the same, onto their latents
  at::Tensor history_error;  // float32 [C, k, h, w], onto the last k history slots
};

struct RecyclingCounters {
  int64_t samples = 0;       // drawn for
  int64_t clean = 0;         // of them, by the draw
  int64_t noise_errors = 0;  // injected
  int64_t latent_errors = 0;
  int64_t history_errors = 0;
  int64_t banked = 0;   // samples collected, those of other ranks included
  int64_t skipped = 0;  // samples not banked, for they were clean or not finite
};

// The banks of one rank. T is the same for all samples of a run: a sample in first-clip mode, which has more
// target slots, banks its last T. Bad arguments: std::invalid_argument. Not thread-safe.
class ErrorRecycling {
 public:
  // With noise_prob 0 no noise bank is kept, else each bank gets half of the bytes.
  ErrorRecycling(const ErrorRecyclingOptions& options, double flow_shift);

  // `timestep_index`: 0…999, as in TrainSchedule. `history_slots`: how many may be corrupted, the anchor not
  // among them; 0 in first-clip mode. Always takes the same random numbers in the same order, whatever the
  // options and the banks: switches for noise, history, latent, clean; then for noise, history, latent each
  // the entry and the scale; the history's offset; the seed of Gaussian noise.
  Injection Draw(int64_t timestep_index, int64_t history_slots, at::Generator& generator);

  // After the forward pass: one sample's errors, float32 [C, T, h, w]. During warm-up called for the samples
  // of all ranks, in rank order, each with its own index and `clean`. `noise_error` may be undefined, and is
  // ignored, without a noise bank. True if banked. Takes three random numbers (two without a noise bank).
  bool Collect(int64_t timestep_index, bool clean, const at::Tensor& latent_error,
               const at::Tensor& noise_error, at::Generator& generator);

  const ErrorBank& latent_bank() const { return latent_bank_; }
  const ErrorBank* noise_bank() const { return noise_bank_ ? &*noise_bank_ : nullptr; }
  const RecyclingCounters& counters() const { return counters_; }

  // Banks and counters, below `prefix`. The generator is the caller's to keep.
  void Save(TensorFile& file, const std::string& prefix) const;
  void Load(const TensorFile& file, const std::string& prefix);

 private:
  int64_t GridOf(int64_t timestep_index) const;
  // A contiguous part of a drawn error, undefined for none.
  at::Tensor HistoryWindow(const at::Tensor& error, int64_t history_slots, double random) const;

  ErrorRecyclingOptions options_;
  std::vector<int64_t> grid_of_;  // of each training index
  ErrorBank latent_bank_;
  std::optional<ErrorBank> noise_bank_;
  std::vector<int64_t> history_grids_;  // of kTimestepRange
  RecyclingCounters counters_;
};

}  // namespace svi::engine

#endif  // SVI_ENGINE_TRAIN_ERROR_RECYCLING_H_
