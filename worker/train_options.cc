#include "worker/train_options.h"

#include <google/protobuf/text_format.h>

#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "client/training_spec.h"

namespace svi::worker {
namespace {

engine::Variant ToVariant(v1::Variant variant) {
  if (variant == v1::VARIANT_FILM) return engine::Variant::kFilm;
  if (variant == v1::VARIANT_SHOT) return engine::Variant::kShot;
  return engine::Variant::kPro;
}

engine::BankReplacement ToReplacement(v1::BankReplacement replacement) {
  switch (replacement) {
    case v1::BANK_REPLACEMENT_FIFO:
      return engine::BankReplacement::kFifo;
    case v1::BANK_REPLACEMENT_L2_SIMILARITY:
      return engine::BankReplacement::kL2Similarity;
    case v1::BANK_REPLACEMENT_L2_BATCH:
      return engine::BankReplacement::kL2Batch;
    default:
      return engine::BankReplacement::kRandom;
  }
}

engine::HistoryErrorSource ToSource(v1::HistoryErrorSource source) {
  if (source == v1::HISTORY_ERROR_SOURCE_TIMESTEP_RANGE) return engine::HistoryErrorSource::kTimestepRange;
  if (source == v1::HISTORY_ERROR_SOURCE_CURRENT_GRID) return engine::HistoryErrorSource::kCurrentGrid;
  return engine::HistoryErrorSource::kAllGrids;
}

engine::ErrorRecyclingOptions ToRecycling(const v1::ErrorRecycling& r) {
  engine::ErrorRecyclingOptions o;
  o.noise_prob = r.noise_prob();
  o.latent_prob = r.latent_prob();
  o.y_prob = r.y_prob();
  o.clean_prob = r.clean_prob();
  o.clean_buffer_update_prob = r.clean_buffer_update_prob();
  o.error_modulate_factor = r.error_modulate_factor();
  o.buffer_size = r.buffer_size();
  o.buffer_bytes = r.buffer_bytes();
  o.buffer_replacement = ToReplacement(r.buffer_replacement_strategy());
  o.buffer_warmup_iter = r.buffer_warmup_iter();
  o.y_error_sample_from = ToSource(r.y_error_sample_from());
  o.y_error_timestep_min = r.y_error_timestep_min();
  o.y_error_timestep_max = r.y_error_timestep_max();
  o.y_error_num = r.y_error_num();
  o.use_last_y_error = r.use_last_y_error();
  o.p_motion_threshold = r.p_motion_threshold();
  o.repeat_first_frame = r.repeat_first_frame();
  o.exact_target = r.exact_target();
  o.injected_error = r.injected_error() == v1::INJECTED_ERROR_GAUSSIAN ? engine::InjectedError::kGaussian
                                                                       : engine::InjectedError::kBanked;
  o.reencode_prob = r.reencode_prob();
  return o;
}

engine::LearningRateOptions ToLearningRate(const v1::TrainingSpec& spec) {
  engine::LearningRateOptions o;
  o.base = spec.learning_rate();
  o.final_ratio = spec.learning_rate_min() / spec.learning_rate();
  o.warmup_steps = spec.warmup_steps();
  o.total_steps = spec.max_steps();
  if (spec.learning_rate_schedule() == v1::LEARNING_RATE_SCHEDULE_COSINE) {
    o.schedule = engine::LearningRateSchedule::kCosine;
  } else if (spec.learning_rate_schedule() == v1::LEARNING_RATE_SCHEDULE_LINEAR) {
    o.schedule = engine::LearningRateSchedule::kLinear;
  }
  return o;
}

std::string ToText(const v1::TrainingSpec& spec) {
  std::string text;
  google::protobuf::TextFormat::PrintToString(spec, &text);
  return text;
}

// What may differ between a run and its continuation says nothing about what has been learnt. The schedule's
// end does: it decides the learning rate of every step.
std::string Fingerprint(v1::TrainingSpec spec) {
  spec.clear_lora_name();
  spec.clear_checkpoint_every();
  spec.clear_keep_checkpoints();
  spec.clear_log_every();
  if (spec.learning_rate_schedule() == v1::LEARNING_RATE_SCHEDULE_CONSTANT) spec.clear_max_steps();
  return ToText(spec);
}

}  // namespace

absl::StatusOr<engine::TrainOptions> ToTrainOptions(const v1::TrainingSpec& given) {
  std::vector<std::string> faults;
  for (const SpecFault& fault : CheckTrainingSpec(given))
    faults.push_back(absl::StrCat(fault.field, " ", fault.what));
  if (!faults.empty()) return absl::InvalidArgumentError(absl::StrJoin(faults, "; "));
  const v1::TrainingSpec spec = WithDefaults(given);

  engine::TrainOptions o;
  o.objective = spec.objective() == v1::OBJECTIVE_FULL ? engine::Objective::kFull : engine::Objective::kLora;
  o.variant = ToVariant(spec.variant());
  o.width = static_cast<int>(spec.width());
  o.height = static_cast<int>(spec.height());
  o.num_frames = static_cast<int>(spec.num_frames());
  o.flow_shift = spec.flow_shift();
  o.loss_weighting = spec.loss_weighting() == v1::LOSS_WEIGHTING_UNIFORM ? engine::LossWeighting::kUniform
                                                                         : engine::LossWeighting::kGaussian;
  o.samples_per_video = spec.samples_per_video();
  o.max_stride = spec.max_stride();
  o.first_clip_prob = spec.first_clip_prob();
  o.prompt_dropout = spec.prompt_dropout();
  o.max_steps = spec.max_steps();
  o.batch_size = spec.batch_size();
  o.gradient_accumulation_steps = spec.gradient_accumulation_steps();
  o.learning_rate = ToLearningRate(spec);
  o.adamw = {spec.adam_beta1(), spec.adam_beta2(), spec.adam_epsilon(), spec.weight_decay()};
  o.max_grad_norm = spec.max_grad_norm();
  o.seed = spec.seed();
  o.gradient_checkpointing = spec.gradient_checkpointing();
  o.ema_decay = spec.ema_decay();
  o.lora.rank = spec.lora_rank();
  o.lora.alpha = spec.lora_alpha();
  o.lora.targets.assign(spec.lora_targets().begin(), spec.lora_targets().end());
  o.recycling = ToRecycling(spec.error_recycling());
  o.checkpoint_every = spec.checkpoint_every();
  o.keep_checkpoints = spec.keep_checkpoints();
  o.log_every = spec.log_every();
  o.config_text = ToText(spec);
  o.fingerprint = Fingerprint(spec);
  return o;
}

v1::TrainingProgress ToProgress(const engine::TrainReport& r) {
  v1::TrainingProgress p;
  p.set_step(static_cast<uint32_t>(r.step));
  p.set_max_steps(static_cast<uint32_t>(r.max_steps));
  p.set_loss(r.loss);
  p.set_learning_rate(r.learning_rate);
  p.set_gradient_norm(r.gradient_norm);
  p.set_samples(static_cast<uint64_t>(r.samples));
  p.set_samples_per_second(r.samples_per_second);
  if (r.eta != absl::InfiniteDuration()) {
    p.mutable_eta()->set_seconds(absl::ToInt64Seconds(r.eta));
    p.mutable_eta()->set_nanos(
        static_cast<int32_t>((r.eta - absl::Seconds(p.eta().seconds())) / absl::Nanoseconds(1)));
  }
  uint64_t entries = 0;
  for (const int64_t size : r.latent_bank_grids) {
    p.add_latent_bank_grids(static_cast<uint32_t>(size));
    entries += static_cast<uint64_t>(size);
  }
  p.set_latent_bank_entries(entries);
  entries = 0;
  for (const int64_t size : r.noise_bank_grids) {
    p.add_noise_bank_grids(static_cast<uint32_t>(size));
    entries += static_cast<uint64_t>(size);
  }
  p.set_noise_bank_entries(entries);
  p.set_latent_bank_mean(r.latent_bank_mean);
  p.set_latent_bank_std(r.latent_bank_std);
  p.set_noise_bank_mean(r.noise_bank_mean);
  p.set_noise_bank_std(r.noise_bank_std);
  p.set_clean_share(r.clean_share);
  p.set_banked_errors(static_cast<uint64_t>(r.banked_errors));
  p.set_skipped_errors(static_cast<uint64_t>(r.skipped_errors));
  p.set_checkpoint_step(static_cast<uint32_t>(r.checkpoint_step));
  p.set_phase(r.phase);
  p.set_videos(static_cast<uint32_t>(r.videos));
  p.set_skipped_videos(static_cast<uint32_t>(r.skipped_videos));
  return p;
}

}  // namespace svi::worker
