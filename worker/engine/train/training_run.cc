#include "worker/engine/train/training_run.h"

#include <chrono>
#include <cmath>
#include <filesystem>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "worker/engine/as_status.h"
#include "worker/engine/svi/carry.h"
#include "worker/engine/train/learning_rate.h"
#include "worker/engine/train/parameter.h"
#include "worker/engine/train/training_state.h"

namespace svi::engine {
namespace {

WindowOptions WindowOf(const TrainOptions& options) {
  WindowOptions window;
  window.variant = options.variant;
  window.num_frames = options.num_frames;
  window.first_clip_prob = options.first_clip_prob;
  window.p_motion_threshold = options.recycling.p_motion_threshold;
  window.repeat_first_frame = options.recycling.repeat_first_frame;
  return window;
}

// Adds the time that it lives to `seconds`.
class Stopwatch {
 public:
  explicit Stopwatch(double& seconds) : seconds_(seconds) {}
  ~Stopwatch() {
    seconds_ += std::chrono::duration<double>(std::chrono::steady_clock::now() - start_).count();
  }
  Stopwatch(const Stopwatch&) = delete;
  Stopwatch& operator=(const Stopwatch&) = delete;

 private:
  double& seconds_;
  const std::chrono::steady_clock::time_point start_ = std::chrono::steady_clock::now();
};

std::vector<int64_t> GridSizes(const ErrorBank* bank) {
  std::vector<int64_t> sizes;
  for (int64_t grid = 0; bank != nullptr && grid < kErrorGrids; ++grid) sizes.push_back(bank->size(grid));
  return sizes;
}

}  // namespace

TrainingRun::TrainingRun(const TrainOptions& options, const RunSite& site, VideoSource& videos,
                         Collectives& collectives, const TrainCallbacks& callbacks)
    : options_(options),
      site_(site),
      videos_(videos),
      collectives_(collectives),
      callbacks_(callbacks),
      window_(WindowOf(options)),
      schedule_(MakeTrainSchedule(options.flow_shift, options.loss_weighting)),
      checkpoints_((std::filesystem::path(site.run_dir) / "checkpoints").string(), options.keep_checkpoints,
                   collectives) {
  report_.max_steps = options.max_steps;
}

TrainingRun::~TrainingRun() = default;

TrainResult TrainingRun::Execute() {
  Prepare();
  if (collectives_.size() == 1) {
    Steps();
    return Export();
  }
  try {
    Steps();
    return Export();
  } catch (const RunStopped&) {
    throw;
  } catch (const RunFailed&) {
    throw;
  } catch (const RankLost& lost) {
    throw RankLost(absl::StrCat(lost.what(), "; the newest checkpoint is of step ", report_.checkpoint_step));
  } catch (...) {
    throw RankFailed(std::string(ToStatus(std::current_exception()).message()));
  }
}

void TrainingRun::Steps() {
  report_.phase.clear();
  while (report_.step < options_.max_steps) {
    // All ranks stop at the same step, whichever was told to.
    const at::Tensor stop =
        at::full({1}, callbacks_.stop() ? 1.0 : 0.0, at::device(site_.device).dtype(at::kFloat));
    collectives_.AllReduceSum({stop});
    if (stop.item<float>() > 0) {
      if (report_.checkpoint_step != report_.step) WriteCheckpoint();
      throw RunStopped();
    }
    Step();
    const bool last = report_.step == options_.max_steps;
    if (last || report_.step % options_.checkpoint_every == 0) WriteCheckpoint();
    if (last || report_.step % options_.log_every == 0) Report();
  }
}

void TrainingRun::Step() {
  report_.phases = {};
  const int64_t begin = report_.step * samples_a_step();
  ClearGradients(trainable_->parameters);
  at::Tensor loss;
  for (int64_t pass = 0; pass < options_.gradient_accumulation_steps; ++pass) {
    const at::Tensor of_pass =
        Pass(begin + pass * samples_a_pass() + collectives_.rank() * options_.batch_size);
    loss = loss.defined() ? loss + of_pass : of_pass;
  }
  loss = loss.to(at::kDouble).reshape({1});
  collectives_.AllReduceSum({loss});
  report_.loss = loss.item<double>() / static_cast<double>(samples_a_step());
  if (!std::isfinite(report_.loss)) {
    throw RunFailed(absl::StrCat("the loss is not finite at step ", report_.step + 1,
                                 "; the newest checkpoint is of step ", report_.checkpoint_step));
  }
  {
    const Stopwatch watch(report_.phases.optimizer);
    Learn();
  }
  {
    const Stopwatch watch(report_.phases.bank);
    collector_->Bank(report_.step);
  }
  ++report_.step;
  report_.samples += samples_a_step();
  meter_.Step(absl::Now(), samples_a_step());
}

at::Tensor TrainingRun::Pass(int64_t first_position) {
  std::vector<DrawnSample> samples;
  std::vector<int64_t> positions;
  StepBatch batch;
  {
    const Stopwatch watch(report_.phases.data);
    for (int64_t i = 0; i < options_.batch_size; ++i) {
      positions.push_back(first_position + i);
      samples.push_back(samples_->At(first_position + i));
    }
    batch = MakeBatch(schedule_, samples, options_.recycling.exact_target);
  }
  at::Tensor prediction, loss;
  {
    const Stopwatch watch(report_.phases.forward);
    const auto on_device = [&](const at::Tensor& t) { return t.to(site_.device).to(site_.compute_dtype); };
    const auto text = trainable_->transformer->PrepareText(on_device(batch.text));
    prediction = trainable_->transformer->Forward(on_device(batch.hidden), batch.timestep.to(site_.device),
                                                  *text, options_.gradient_checkpointing);
    loss = SummedLoss(schedule_, batch, prediction);
  }
  {
    const Stopwatch watch(report_.phases.backward);
    // The mean over all samples of the step, on all ranks.
    Backward(loss / static_cast<double>(samples_a_step()));
  }
  {
    const Stopwatch watch(report_.phases.bank);
    collector_->Measure(samples, positions, batch, prediction.detach());
  }
  const double encode = collector_->TakeEncodeSeconds();
  report_.phases.encode += encode;
  report_.phases.bank -= encode;
  return loss.detach();
}

void TrainingRun::Learn() {
  if (collectives_.size() > 1) {
    std::vector<at::Tensor> gradients;
    for (const Parameter& parameter : trainable_->parameters) {
      // Ranks whose samples do not reach a parameter have no gradient for it; the sum needs one from each.
      if (!parameter.tensor.grad().defined())
        parameter.tensor.mutable_grad() = at::zeros_like(parameter.tensor);
      gradients.push_back(parameter.tensor.grad());
    }
    collectives_.AllReduceSum(gradients);
  }
  report_.gradient_norm = GradientNorm(trainable_->parameters);
  if (options_.max_grad_norm > 0) {
    ClipGradients(trainable_->parameters, report_.gradient_norm, options_.max_grad_norm);
  }
  report_.learning_rate = LearningRateAt(options_.learning_rate, report_.step);
  optimizer_->Step(report_.learning_rate);
  if (average_) average_->Update();
}

void TrainingRun::Report() {
  if (!first_rank()) return;
  const ErrorBank& latent = recycling_->latent_bank();
  const ErrorBank* noise = recycling_->noise_bank();
  report_.latent_bank_grids = GridSizes(&latent);
  report_.noise_bank_grids = GridSizes(noise);
  const ErrorBank::Statistics latent_statistics = latent.statistics();
  report_.latent_bank_mean = latent_statistics.mean;
  report_.latent_bank_std = latent_statistics.std;
  if (noise != nullptr) {
    report_.noise_bank_mean = noise->statistics().mean;
    report_.noise_bank_std = noise->statistics().std;
  }
  const RecyclingCounters& counters = recycling_->counters();
  report_.clean_share =
      counters.samples > 0 ? static_cast<double>(counters.clean) / static_cast<double>(counters.samples) : 0;
  report_.banked_errors = counters.banked;
  report_.skipped_errors = counters.skipped;
  report_.samples_per_second = meter_.SamplesPerSecond();
  report_.eta = meter_.Eta(options_.max_steps - report_.step);
  callbacks_.report(report_);
}

void TrainingRun::WriteCheckpoint() {
  TensorFile shared, own;
  SaveParameters(shared, trainable_->parameters);
  optimizer_->Save(shared);
  if (average_) average_->Save(shared);
  shared.metadata = {{"step", std::to_string(report_.step)},
                     {"ranks", std::to_string(collectives_.size())},
                     {"fingerprint", options_.fingerprint},
                     {"cache", cache_->fingerprint()}};
  recycling_->Save(own, "recycling.");
  checkpoints_.Write(report_.step, shared, own);
  report_.checkpoint_step = report_.step;
  Log(absl::StrCat("checkpoint of step ", report_.step));
}

TrainResult TrainingRun::Export() {
  TrainResult result;
  result.last = report_;
  std::optional<AverageInPlace> averaged;
  if (average_) averaged.emplace(*average_);
  const std::filesystem::path folder(site_.run_dir);
  if (full()) {
    result.model_path = (folder / "model").string();
    if (first_rank()) WriteTrainedModel(*trainable_, site_.model_dir, result.model_path, at::kFloat);
  } else {
    result.lora_path = (folder / "lora.safetensors").string();
    if (first_rank()) {
      WriteSafetensors(result.lora_path,
                       LoraToFile(*trainable_, {{"variant", VariantName(options_.variant)},
                                                {"base_model_sha256", TransformerSha256(site_.model_dir)},
                                                {"step", std::to_string(report_.step)},
                                                {"config", options_.config_text}}));
    }
  }
  collectives_.Barrier();
  return result;
}

}  // namespace svi::engine
