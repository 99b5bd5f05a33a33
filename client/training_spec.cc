#include "client/training_spec.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "client/lora_name.h"
#include "client/utf8.h"

namespace svi {
namespace {

constexpr size_t kMaxDatasetBytes = 1024;
constexpr uint64_t kMaxSeed = uint64_t{1} << 62;
constexpr uint64_t kMinBufferBytes = uint64_t{1} << 20;
constexpr uint64_t kDefaultBufferBytes = uint64_t{16} << 30;
constexpr uint32_t kDefaultCheckpointEvery = 500;
constexpr std::array<const char*, 6> kLoraTargets = {"q", "k", "v", "o", "ffn.0", "ffn.2"};

// Collects faults. Every comparison is written so that NaN fails it.
class Faults {
 public:
  explicit Faults(std::string prefix = "") : prefix_(std::move(prefix)) {}

  void Add(absl::string_view field, std::string what) {
    found_.push_back({absl::StrCat(prefix_, field), std::move(what)});
  }
  template <typename Number>
  void Range(absl::string_view field, Number value, Number low, Number high) {
    if (!(value >= low && value <= high))
      Add(field, absl::StrCat("must be ", low, "..", high, ", is ", value));
  }
  void Share(absl::string_view field, double value) { Range(field, value, 0.0, 1.0); }
  void FiniteFromZero(absl::string_view field, double value) {
    if (!(value >= 0 && std::isfinite(value))) Add(field, absl::StrCat("must be 0 or more, is ", value));
  }
  void FiniteAboveZero(absl::string_view field, double value) {
    if (!(value > 0 && std::isfinite(value))) Add(field, absl::StrCat("must be above 0, is ", value));
  }
  // 0 may be reached, 1 may not.
  void BelowOne(absl::string_view field, double value) {
    if (!(value >= 0 && value < 1)) Add(field, absl::StrCat("must be at least 0 and below 1, is ", value));
  }
  void Known(absl::string_view field, bool known, int value) {
    if (!known) Add(field, absl::StrCat("is the unknown value ", value));
  }
  void Append(Faults other) {
    for (auto& fault : other.found_) found_.push_back(std::move(fault));
  }
  [[nodiscard]] std::vector<SpecFault> Take() { return std::move(found_); }

 private:
  const std::string prefix_;
  std::vector<SpecFault> found_;
};

// The checks below see a spec with its defaults: what is not set is good.

void CheckTask(const v1::TrainingSpec& spec, Faults* bad) {
  if (spec.dataset().empty()) {
    bad->Add("dataset", "is required: a folder of videos, or a .jsonl file");
  } else if (spec.dataset().size() > kMaxDatasetBytes) {
    bad->Add("dataset", absl::StrCat("must be 1..", kMaxDatasetBytes, " bytes, is ", spec.dataset().size()));
  } else if (!IsUtf8(spec.dataset()) || spec.dataset().find('\0') != std::string::npos) {
    bad->Add("dataset", "must be valid UTF-8 without a zero byte");
  }
  if (!spec.lora_name().empty() && !IsLoraName(spec.lora_name())) {
    bad->Add("lora_name", "must be 1..128 characters of [A-Za-z0-9._-]");
  }
  bad->Known("objective", v1::Objective_IsValid(spec.objective()), spec.objective());
  bad->Known("variant", v1::Variant_IsValid(spec.variant()), spec.variant());
}

void CheckClips(const v1::TrainingSpec& spec, Faults* bad) {
  const auto side = [&](const char* field, uint32_t value) {
    if (value < 32 || value > 4096 || value % 32 != 0) {
      bad->Add(field, absl::StrCat("must be a multiple of 32, 32..4096, is ", value));
    }
  };
  if (spec.has_width()) side("width", spec.width());
  if (spec.has_height()) side("height", spec.height());
  if (spec.has_width() != spec.has_height()) {
    bad->Add(spec.has_width() ? "height" : "width", "must be set, too: set both sides or neither");
  }
  if (spec.has_num_frames() &&
      (spec.num_frames() < 9 || spec.num_frames() > 257 || spec.num_frames() % 4 != 1)) {
    bad->Add("num_frames", absl::StrCat("must be 4k+1, 9..257, is ", spec.num_frames()));
  }
  bad->Range<uint32_t>("samples_per_video", spec.samples_per_video(), 1, 1000);
  bad->Range<uint32_t>("max_stride", spec.max_stride(), 1, 16);
  if (spec.has_flow_shift()) bad->Range<double>("flow_shift", spec.flow_shift(), 0.1, 100);
  bad->Share("first_clip_prob", spec.first_clip_prob());
  bad->Share("prompt_dropout", spec.prompt_dropout());
}

void CheckOptimiser(const v1::TrainingSpec& spec, Faults* bad) {
  bad->Range<uint32_t>("max_steps", spec.max_steps(), 1, 10000000);
  bad->Range<uint32_t>("batch_size", spec.batch_size(), 1, 1024);
  bad->Range<uint32_t>("gradient_accumulation_steps", spec.gradient_accumulation_steps(), 1, 1024);
  if (!(spec.learning_rate() > 0 && spec.learning_rate() <= 1)) {
    bad->Add("learning_rate", absl::StrCat("must be above 0, at most 1, is ", spec.learning_rate()));
  }
  if (!(spec.learning_rate_min() >= 0 && spec.learning_rate_min() <= spec.learning_rate())) {
    bad->Add("learning_rate_min", absl::StrCat("must be 0..learning_rate (", spec.learning_rate(), "), is ",
                                               spec.learning_rate_min()));
  }
  bad->Known("loss_weighting", v1::LossWeighting_IsValid(spec.loss_weighting()), spec.loss_weighting());
  bad->Known("learning_rate_schedule", v1::LearningRateSchedule_IsValid(spec.learning_rate_schedule()),
             spec.learning_rate_schedule());
  if (spec.warmup_steps() > spec.max_steps()) {
    bad->Add("warmup_steps",
             absl::StrCat("must be 0..max_steps (", spec.max_steps(), "), is ", spec.warmup_steps()));
  }
  bad->FiniteFromZero("weight_decay", spec.weight_decay());
  bad->BelowOne("adam_beta1", spec.adam_beta1());
  bad->BelowOne("adam_beta2", spec.adam_beta2());
  bad->FiniteAboveZero("adam_epsilon", spec.adam_epsilon());
  bad->FiniteFromZero("max_grad_norm", spec.max_grad_norm());
  bad->Range<uint64_t>("seed", spec.seed(), 0, kMaxSeed);
  bad->BelowOne("ema_decay", spec.ema_decay());
}

void CheckLora(const v1::TrainingSpec& spec, Faults* bad) {
  bad->Range<uint32_t>("lora_rank", spec.lora_rank(), 1, 1024);
  if (spec.lora_rank() > 0) bad->FiniteAboveZero("lora_alpha", spec.lora_alpha());
  for (int i = 0; i < spec.lora_targets_size(); ++i) {
    const auto& targets = spec.lora_targets();
    const std::string field = absl::StrCat("lora_targets[", i, "]");
    if (std::find(kLoraTargets.begin(), kLoraTargets.end(), targets[i]) == kLoraTargets.end()) {
      bad->Add(field, absl::StrCat("must be one of ", absl::StrJoin(kLoraTargets, ", ")));
    } else if (std::find(targets.begin(), targets.begin() + i, targets[i]) != targets.begin() + i) {
      bad->Add(field, absl::StrCat("repeats ", targets[i]));
    }
  }
}

void CheckErrorRecycling(const v1::ErrorRecycling& spec, uint32_t history_slots, Faults* bad) {
  bad->Share("noise_prob", spec.noise_prob());
  bad->Share("latent_prob", spec.latent_prob());
  bad->Share("y_prob", spec.y_prob());
  bad->Share("clean_prob", spec.clean_prob());
  bad->Share("clean_buffer_update_prob", spec.clean_buffer_update_prob());
  bad->Share("error_modulate_factor", spec.error_modulate_factor());
  bad->Range<uint32_t>("buffer_size", spec.buffer_size(), 1, 100000);
  if (spec.buffer_bytes() < kMinBufferBytes) {
    bad->Add("buffer_bytes",
             absl::StrCat("must be at least ", kMinBufferBytes, " (1 MiB), is ", spec.buffer_bytes()));
  }
  bad->Known("buffer_replacement_strategy", v1::BankReplacement_IsValid(spec.buffer_replacement_strategy()),
             spec.buffer_replacement_strategy());
  bad->Range<uint32_t>("buffer_warmup_iter", spec.buffer_warmup_iter(), 0, 100000);
  bad->Known("y_error_sample_from", v1::HistoryErrorSource_IsValid(spec.y_error_sample_from()),
             spec.y_error_sample_from());
  bad->Range<double>("y_error_timestep_min", spec.y_error_timestep_min(), 0, 1000);
  bad->Range<double>("y_error_timestep_max", spec.y_error_timestep_max(), 0, 1000);
  if (spec.y_error_timestep_min() > spec.y_error_timestep_max()) {
    bad->Add("y_error_timestep_min",
             absl::StrCat("must be at most y_error_timestep_max (", spec.y_error_timestep_max(), "), is ",
                          spec.y_error_timestep_min()));
  }
  bad->Range<uint32_t>("y_error_num", spec.y_error_num(), 1, history_slots);
  bad->Share("p_motion_threshold", spec.p_motion_threshold());
  bad->Known("injected_error", v1::InjectedError_IsValid(spec.injected_error()), spec.injected_error());
  bad->Share("reencode_prob", spec.reencode_prob());
}

void CheckReports(const v1::TrainingSpec& spec, Faults* bad) {
  // max_steps is named by its own fault where it is wrong.
  if (spec.max_steps() > 0)
    bad->Range<uint32_t>("checkpoint_every", spec.checkpoint_every(), 1, spec.max_steps());
  bad->Range<uint32_t>("keep_checkpoints", spec.keep_checkpoints(), 1, 1000);
  bad->Range<uint32_t>("log_every", spec.log_every(), 1, 100000);
}

// Sets a field that is silent.
#define SVI_DEFAULT(message, field, value) \
  if (!(message).has_##field()) (message).set_##field(value)
// The same for an enum, which is silent at its first value.
#define SVI_DEFAULT_ENUM(message, field, value) \
  if ((message).field() == 0) (message).set_##field(value)

void FillErrorRecycling(bool film, uint32_t history_slots, v1::ErrorRecycling* spec) {
  SVI_DEFAULT(*spec, noise_prob, 0);
  SVI_DEFAULT(*spec, latent_prob, 0);
  SVI_DEFAULT(*spec, y_prob, 0.9);
  SVI_DEFAULT(*spec, clean_prob, film ? 0.5 : 0.2);
  SVI_DEFAULT(*spec, clean_buffer_update_prob, 0.1);
  SVI_DEFAULT(*spec, error_modulate_factor, 0);
  SVI_DEFAULT(*spec, buffer_size, 500);
  SVI_DEFAULT(*spec, buffer_bytes, kDefaultBufferBytes);
  SVI_DEFAULT_ENUM(*spec, buffer_replacement_strategy, v1::BANK_REPLACEMENT_RANDOM);
  SVI_DEFAULT(*spec, buffer_warmup_iter, 50);
  SVI_DEFAULT_ENUM(*spec, y_error_sample_from, v1::HISTORY_ERROR_SOURCE_ALL_GRIDS);
  SVI_DEFAULT(*spec, y_error_timestep_min, 0);
  SVI_DEFAULT(*spec, y_error_timestep_max, 1000);
  SVI_DEFAULT(*spec, y_error_num, history_slots);
  SVI_DEFAULT(*spec, p_motion_threshold, 0.9);
  SVI_DEFAULT_ENUM(*spec, injected_error, v1::INJECTED_ERROR_BANKED);
  SVI_DEFAULT(*spec, reencode_prob, film ? 0.1 : 0);
}

}  // namespace

uint32_t HistorySlots(v1::Variant variant) { return variant == v1::VARIANT_FILM ? 2 : 1; }

v1::TrainingSpec WithDefaults(v1::TrainingSpec spec) {
  SVI_DEFAULT_ENUM(spec, objective, v1::OBJECTIVE_LORA);
  SVI_DEFAULT_ENUM(spec, variant, v1::VARIANT_PRO);
  SVI_DEFAULT(spec, samples_per_video, 1);
  SVI_DEFAULT(spec, max_stride, 1);
  SVI_DEFAULT(spec, first_clip_prob, 0.2);
  SVI_DEFAULT(spec, prompt_dropout, spec.objective() == v1::OBJECTIVE_FULL ? 0.1 : 0);
  SVI_DEFAULT_ENUM(spec, loss_weighting, v1::LOSS_WEIGHTING_GAUSSIAN);

  SVI_DEFAULT(spec, batch_size, 1);
  SVI_DEFAULT(spec, gradient_accumulation_steps, 1);
  SVI_DEFAULT(spec, learning_rate, 1e-4);
  SVI_DEFAULT(spec, learning_rate_min, 0);
  SVI_DEFAULT_ENUM(spec, learning_rate_schedule, v1::LEARNING_RATE_SCHEDULE_CONSTANT);
  SVI_DEFAULT(spec, warmup_steps, 0);
  SVI_DEFAULT(spec, weight_decay, 0.01);
  SVI_DEFAULT(spec, adam_beta1, 0.9);
  SVI_DEFAULT(spec, adam_beta2, 0.999);
  SVI_DEFAULT(spec, adam_epsilon, 1e-8);
  SVI_DEFAULT(spec, max_grad_norm, 1);
  SVI_DEFAULT(spec, seed, 0);
  SVI_DEFAULT(spec, gradient_checkpointing, true);
  SVI_DEFAULT(spec, ema_decay, 0);

  SVI_DEFAULT(spec, lora_rank, 128);
  SVI_DEFAULT(spec, lora_alpha, spec.lora_rank());
  if (spec.lora_targets().empty()) {
    for (const char* target : kLoraTargets) spec.add_lora_targets(target);
  }
  FillErrorRecycling(spec.variant() == v1::VARIANT_FILM, HistorySlots(spec.variant()),
                     spec.mutable_error_recycling());

  SVI_DEFAULT(spec, checkpoint_every, std::clamp<uint32_t>(spec.max_steps(), 1, kDefaultCheckpointEvery));
  SVI_DEFAULT(spec, keep_checkpoints, 2);
  SVI_DEFAULT(spec, log_every, 1);
  return spec;
}

#undef SVI_DEFAULT
#undef SVI_DEFAULT_ENUM

std::vector<SpecFault> CheckTrainingSpec(const v1::TrainingSpec& spec) {
  const auto full = WithDefaults(spec);
  Faults bad;
  CheckTask(full, &bad);
  CheckClips(full, &bad);
  CheckOptimiser(full, &bad);
  CheckLora(full, &bad);
  Faults recycling("error_recycling.");
  CheckErrorRecycling(full.error_recycling(), HistorySlots(full.variant()), &recycling);
  bad.Append(std::move(recycling));
  CheckReports(full, &bad);
  return bad.Take();
}

}  // namespace svi
