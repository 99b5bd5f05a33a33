// What a training run does. Plain structs; proto/svi/v1/training_spec.proto describes the same fields for
// users.
#ifndef SVI_ENGINE_TRAIN_OPTIONS_H_
#define SVI_ENGINE_TRAIN_OPTIONS_H_

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "engine/types.h"

namespace svi::engine {

enum class Objective { kLora, kFull };
// Of the timesteps in the loss: a bell around t = 500 that is zero at pure noise, or all alike.
enum class LossWeighting { kGaussian, kUniform };
enum class LearningRateSchedule { kConstant, kCosine, kLinear };
// Which entry of a full grid gives way. The two L2 rules choose the same one, the nearest to the new error
// and the first of equally near ones; kL2Batch compares with all entries at once.
enum class BankReplacement { kRandom, kFifo, kL2Similarity, kL2Batch };
enum class HistoryErrorSource { kAllGrids, kTimestepRange, kCurrentGrid };
enum class InjectedError { kBanked, kGaussian };

// Error recycling (Stable Video Infinity, arXiv 2510.09212, section 3). Probabilities are 0..1.
struct ErrorRecyclingOptions {
  double noise_prob = 0.0;                     // of injecting a noise error; 0: no noise bank is kept
  double latent_prob = 0.0;                    // of injecting a latent error into the clip itself
  double y_prob = 0.9;                         // of injecting a latent error into the history slots
  double clean_prob = 0.2;                     // of switching all three off
  double clean_buffer_update_prob = 0.1;       // of banking the errors of an uninjected sample
  double error_modulate_factor = 0.0;          // f: a drawn error is scaled by U(1-f, 1+f)
  int64_t buffer_size = 500;                   // entries a grid
  uint64_t buffer_bytes = uint64_t{16} << 30;  // of both banks on one rank
  BankReplacement buffer_replacement = BankReplacement::kRandom;
  int64_t buffer_warmup_iter = 50;  // steps in which every rank stores the errors of all
  HistoryErrorSource y_error_sample_from = HistoryErrorSource::kAllGrids;
  double y_error_timestep_min = 0.0;  // of kTimestepRange, inclusive
  double y_error_timestep_max = 1000.0;
  int64_t y_error_num = 0;  // latents that go into the history slots; 0: as many as there are
  bool use_last_y_error = false;
  double p_motion_threshold = 0.9;
  bool repeat_first_frame = false;
  bool exact_target = false;
  InjectedError injected_error = InjectedError::kBanked;
  double reencode_prob = 0.0;  // of banking encode(decode(prediction)) - clean in place of the one-step error
};

// Defaults: the reference's (shared notes svi-5b.md, "LoRA").
struct LoraAdapterOptions {
  int64_t rank = 128;  // 1 to the narrowest side of a target's weight
  double alpha = 128;  // the adapters' product counts alpha / rank times; finite and above 0
  // Layers by the last components of their name, in Wan's spelling or Diffusers' ("q" and "to_q" are the same
  // layers; "self_attn.q" only one of them), or by the whole name. As PEFT's target_modules.
  std::vector<std::string> targets = {"q", "k", "v", "o", "ffn.0", "ffn.2"};
  uint64_t seed = 0;  // of the adapters' first values
};

struct LearningRateOptions {
  double base = 1e-4;  // the highest
  LearningRateSchedule schedule = LearningRateSchedule::kConstant;
  int64_t warmup_steps = 0;  // rises linearly over these: step 0 of a warm-up learns nothing
  int64_t total_steps = 0;   // where cosine and linear end; constant does not look at it
  double final_ratio = 0;    // of the base, what cosine and linear end at
};

// Defaults: torch.optim.AdamW's.
struct AdamWOptions {
  double beta1 = 0.9;    // of the mean of gradients
  double beta2 = 0.999;  // of the mean of their squares
  double epsilon = 1e-8;
  double weight_decay = 0.01;  // of all parameters, biases and norms too, as torch.optim.AdamW without groups
};

struct TrainOptions {
  Objective objective = Objective::kLora;
  Variant variant = Variant::kPro;

  // Of the training clips; 0: the model's own.
  int width = 0;
  int height = 0;
  int num_frames = 0;
  double flow_shift = 0;

  int64_t samples_per_video = 1;
  int64_t max_stride = 1;
  double first_clip_prob = 0.2;
  double prompt_dropout = 0.0;
  LossWeighting loss_weighting = LossWeighting::kGaussian;

  int64_t max_steps = 1;
  int64_t batch_size = 1;
  int64_t gradient_accumulation_steps = 1;
  LearningRateOptions learning_rate;
  AdamWOptions adamw;
  double max_grad_norm = 1.0;  // 0: not clipped
  uint64_t seed = 0;
  bool gradient_checkpointing = true;
  double ema_decay = 0.0;  // 0: none
  LoraAdapterOptions lora;
  ErrorRecyclingOptions recycling;

  int64_t checkpoint_every = 500;
  int64_t keep_checkpoints = 2;
  int64_t log_every = 1;

  // The whole specification as text, for the metadata of what is exported.
  std::string config_text;
  // What a checkpoint must agree on to be continued: the specification without what may change on the way
  // (max_steps, checkpoint_every, keep_checkpoints, log_every, lora_name).
  std::string fingerprint;
};

}  // namespace svi::engine

#endif  // SVI_ENGINE_TRAIN_OPTIONS_H_
