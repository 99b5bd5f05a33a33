#include "worker/engine/train/error_collector.h"

#include <c10/core/GradMode.h>

#include <chrono>
#include <utility>

#include "worker/engine/train/data_order.h"
#include "worker/engine/train/sample_stream.h"

namespace svi::engine {
namespace {

// [C, F, h, w] → its last `slots` slots.
at::Tensor Last(const at::Tensor& tensor, int64_t slots) {
  return tensor.narrow(1, tensor.size(1) - slots, slots);
}

}  // namespace

ErrorCollector::ErrorCollector(const TrainOptions& options, const TrainSchedule& schedule, int64_t slots,
                               const Vae* vae, Collectives& collectives, at::Device device,
                               ErrorRecycling& recycling)
    : options_(options),
      schedule_(schedule),
      slots_(slots),
      vae_(vae),
      collectives_(collectives),
      device_(device),
      recycling_(recycling) {}

void ErrorCollector::Measure(const std::vector<DrawnSample>& samples, const std::vector<int64_t>& positions,
                             const StepBatch& batch, const at::Tensor& prediction) {
  const c10::NoGradGuard no_gradients;
  for (size_t i = 0; i < samples.size(); ++i) {
    const auto row = static_cast<int64_t>(i);
    const at::Tensor miss = Last(Miss(batch, prediction, row), slots_);
    const OneStepErrors errors = MakeErrors(schedule_, samples[i].timestep_index, miss);
    Measured measured{positions[i], samples[i].timestep_index, samples[i].injection.clean, {}, {}};
    at::Generator random = SampleGenerator(options_.seed, positions[i], kReencodeStream);
    const bool reencode =
        at::rand({1}, random, at::kDouble).item<double>() < options_.recycling.reencode_prob;
    measured.latent = reencode ? ReencodedError(samples[i], batch, prediction, row) : errors.latent.cpu();
    if (recycling_.noise_bank() != nullptr) measured.noise = errors.noise.cpu();
    measured_.push_back(std::move(measured));
  }
}

// What film's history really suffers: the prediction of the clean clip decoded to pixels and encoded again.
at::Tensor ErrorCollector::ReencodedError(const DrawnSample& drawn, const StepBatch& batch,
                                          const at::Tensor& prediction, int64_t i) {
  const auto start = std::chrono::steady_clock::now();
  const auto index = static_cast<size_t>(i);
  const double sigma = schedule_.sigmas.at(static_cast<size_t>(drawn.timestep_index));
  const at::Tensor& noisy = batch.noisy.at(index);
  const at::Tensor velocity = prediction[i].narrow(1, drawn.sample.clean_slots, noisy.size(1)).to(at::kFloat);
  const at::Tensor predicted = noisy.to(velocity.device()) - velocity * sigma;
  const at::Tensor clip = at::cat(
      {drawn.sample.latents.narrow(1, 0, drawn.sample.clean_slots).to(predicted.device()), predicted}, 1);
  const at::Tensor again = vae_->Encode(vae_->Decode(clip.unsqueeze(0))).squeeze(0);
  at::Tensor error = (Last(again, slots_).cpu() - Last(drawn.sample.latents, slots_)).contiguous();
  encode_seconds_ += std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  return error;
}

std::vector<ErrorCollector::Measured> ErrorCollector::OfAllRanks() const {
  std::vector<at::Tensor> latent, noise, about;
  for (const Measured& m : measured_) {
    latent.push_back(m.latent);
    if (m.noise.defined()) noise.push_back(m.noise);
    about.push_back(at::tensor({m.position, m.timestep_index, int64_t{m.clean}}, at::kLong));
  }
  const std::vector<at::Tensor> all_about = collectives_.AllGather(at::stack(about).to(device_));
  const std::vector<at::Tensor> all_latent = collectives_.AllGather(at::stack(latent).to(device_));
  const std::vector<at::Tensor> all_noise =
      noise.empty() ? std::vector<at::Tensor>() : collectives_.AllGather(at::stack(noise).to(device_));
  std::vector<Measured> all;
  for (size_t rank = 0; rank < all_about.size(); ++rank) {
    const at::Tensor of_rank = all_about[rank].cpu();
    for (int64_t i = 0; i < of_rank.size(0); ++i) {
      const int64_t* row = of_rank[i].const_data_ptr<int64_t>();
      all.push_back({row[0], row[1], row[2] != 0, all_latent[rank][i].cpu(),
                     all_noise.empty() ? at::Tensor() : all_noise[rank][i].cpu()});
    }
  }
  return all;
}

void ErrorCollector::Bank(int64_t step) {
  const c10::NoGradGuard no_gradients;
  const bool gather = collectives_.size() > 1 && step < options_.recycling.buffer_warmup_iter;
  for (const Measured& m : gather ? OfAllRanks() : measured_) {
    at::Generator random = SampleGenerator(options_.seed, m.position, kBankStream);
    recycling_.Collect(m.timestep_index, m.clean, m.latent, m.noise, random);
  }
  measured_.clear();
}

double ErrorCollector::TakeEncodeSeconds() { return std::exchange(encode_seconds_, 0.0); }

}  // namespace svi::engine
