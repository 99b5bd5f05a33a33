#include "worker/engine/train/error_recycling.h"

#include <ATen/CPUGeneratorImpl.h>

#include <algorithm>
#include <stdexcept>
#include <string>

#include "worker/engine/sampler/schedule.h"
#include "worker/engine/train/uniform.h"

namespace svi::engine {
namespace {

ErrorBankOptions BankOptions(const ErrorRecyclingOptions& options) {
  ErrorBankOptions bank;
  bank.capacity = options.buffer_size;
  bank.max_bytes = options.noise_prob > 0 ? options.buffer_bytes / 2 : options.buffer_bytes;
  bank.replacement = options.buffer_replacement;
  return bank;
}

// Grids whose own timesteps lie in the range. (The reference divides the range by a grid size, which fits
// neither a shifted schedule nor one that falls.)
std::vector<int64_t> GridsInRange(double flow_shift, double least, double greatest) {
  const std::vector<double> timesteps = EulerSchedule(static_cast<int>(kErrorGrids), flow_shift).timesteps;
  std::vector<int64_t> grids;
  for (size_t i = 0; i < timesteps.size(); ++i) {
    if (timesteps[i] >= least && timesteps[i] <= greatest) grids.push_back(static_cast<int64_t>(i));
  }
  if (grids.empty()) {
    throw std::invalid_argument(
        "no error grid's timestep lies between y_error_timestep_min and y_error_timestep_max; the lowest "
        "is " +
        std::to_string(timesteps.back()));
  }
  return grids;
}

// One error out of `bank`, scaled by 1 ± factor. Takes two random numbers, wanted or not.
at::Tensor TakeError(bool wanted, const ErrorBank* bank, const std::vector<int64_t>& grids, double factor,
                     at::Generator& generator) {
  at::Tensor error;
  if (wanted && bank != nullptr) {
    error = bank->DrawFrom(grids, generator);
  } else {
    Uniform(generator);
  }
  const double scale = 1.0 + factor * (2.0 * Uniform(generator) - 1.0);
  return error.defined() && factor > 0 ? error * scale : error;
}

// Noise of the error's shape and root mean square; none for none.
at::Tensor GaussianLike(const at::Tensor& error, at::Generator& generator) {
  if (!error.defined()) return {};
  const double root_mean_square = error.square().mean(at::kDouble).sqrt().item<double>();
  return at::randn(error.sizes(), generator, error.options()) * root_mean_square;
}

}  // namespace

ErrorRecycling::ErrorRecycling(const ErrorRecyclingOptions& options, double flow_shift)
    : options_(options), grid_of_(MakeTrainSchedule(flow_shift).grids), latent_bank_(BankOptions(options)) {
  if (options.noise_prob > 0) noise_bank_.emplace(BankOptions(options));
  if (options.y_error_sample_from == HistoryErrorSource::kTimestepRange) {
    history_grids_ = GridsInRange(flow_shift, options.y_error_timestep_min, options.y_error_timestep_max);
  }
}

Injection ErrorRecycling::Draw(int64_t timestep_index, int64_t history_slots, at::Generator& generator) {
  const int64_t grid = GridOf(timestep_index);
  if (history_slots < 0) throw std::invalid_argument("history_slots must not be negative");
  const bool noise = Uniform(generator) < options_.noise_prob;
  const bool history = Uniform(generator) < options_.y_prob && history_slots > 0;
  const bool latent = Uniform(generator) < options_.latent_prob;
  Injection injection;
  injection.clean = Uniform(generator) < options_.clean_prob;

  const bool dirty = !injection.clean;
  const double factor = options_.error_modulate_factor;
  const std::vector<int64_t> history_grids =
      options_.y_error_sample_from == HistoryErrorSource::kCurrentGrid ? std::vector{grid} : history_grids_;
  injection.noise_error = TakeError(noise && dirty, noise_bank(), {grid}, factor, generator);
  const at::Tensor whole = TakeError(history && dirty, &latent_bank_, history_grids, factor, generator);
  injection.latent_error = TakeError(latent && dirty, &latent_bank_, {grid}, factor, generator);
  injection.history_error = HistoryWindow(whole, history_slots, Uniform(generator));

  // A seed rather than the noise itself: the numbers that are taken do not depend on what is injected.
  const auto seed = static_cast<uint64_t>(Uniform(generator) * static_cast<double>(1ULL << 53U));
  if (options_.injected_error == InjectedError::kGaussian) {
    at::Generator noise_of_its_own = at::detail::createCPUGenerator(seed);
    for (at::Tensor* error : {&injection.noise_error, &injection.history_error, &injection.latent_error}) {
      *error = GaussianLike(*error, noise_of_its_own);
    }
  }

  ++counters_.samples;
  counters_.clean += injection.clean ? 1 : 0;
  counters_.noise_errors += injection.noise_error.defined() ? 1 : 0;
  counters_.latent_errors += injection.latent_error.defined() ? 1 : 0;
  counters_.history_errors += injection.history_error.defined() ? 1 : 0;
  return injection;
}

bool ErrorRecycling::Collect(int64_t timestep_index, bool clean, const at::Tensor& latent_error,
                             const at::Tensor& noise_error, at::Generator& generator) {
  const int64_t grid = GridOf(timestep_index);
  if (noise_bank_ && !noise_error.defined()) throw std::invalid_argument("noise_prob needs noise errors");
  // As in the reference, `clean` is what the draw said: a sample that was to get errors, from banks that were
  // still empty, is always banked. Otherwise the banks would take a tenth of all errors in the beginning.
  const bool chosen = Uniform(generator) < options_.clean_buffer_update_prob || !clean;
  bool banked = false;
  if (chosen) {
    banked = latent_bank_.Add(grid, latent_error, generator);
    if (noise_bank_) banked = noise_bank_->Add(grid, noise_error, generator) && banked;
  } else {
    Uniform(generator);
    if (noise_bank_) Uniform(generator);
  }
  ++(banked ? counters_.banked : counters_.skipped);
  return banked;
}

void ErrorRecycling::Save(TensorFile& file, const std::string& prefix) const {
  latent_bank_.Save(file, prefix + "latent.");
  if (noise_bank_) noise_bank_->Save(file, prefix + "noise.");
  const RecyclingCounters& c = counters_;
  file.tensors[prefix + "counters"] =
      at::tensor(std::vector<int64_t>{c.samples, c.clean, c.noise_errors, c.latent_errors, c.history_errors,
                                      c.banked, c.skipped},
                 at::kLong);
}

void ErrorRecycling::Load(const TensorFile& file, const std::string& prefix) {
  const auto found = file.tensors.find(prefix + "counters");
  if (found == file.tensors.end() || found->second.scalar_type() != at::kLong || found->second.numel() != 7) {
    throw std::invalid_argument("the saved error recycling has no counters");
  }
  latent_bank_.Load(file, prefix + "latent.");
  if (noise_bank_) noise_bank_->Load(file, prefix + "noise.");
  const int64_t* c = found->second.const_data_ptr<int64_t>();
  counters_ = {c[0], c[1], c[2], c[3], c[4], c[5], c[6]};
}

int64_t ErrorRecycling::GridOf(int64_t timestep_index) const {
  if (timestep_index < 0 || timestep_index >= kTrainTimesteps) {
    throw std::invalid_argument("the timestep's index must be 0 to " + std::to_string(kTrainTimesteps - 1));
  }
  return grid_of_[static_cast<size_t>(timestep_index)];
}

at::Tensor ErrorRecycling::HistoryWindow(const at::Tensor& error, int64_t history_slots,
                                         double random) const {
  if (!error.defined()) return {};
  const int64_t wanted =
      options_.y_error_num > 0 ? std::min(options_.y_error_num, history_slots) : history_slots;
  const int64_t length = std::min(wanted, error.size(1));
  const int64_t last = error.size(1) - length;
  const auto offsets = static_cast<size_t>(last) + 1;
  const int64_t offset = options_.use_last_y_error ? last : static_cast<int64_t>(Pick(random, offsets));
  return error.narrow(1, offset, length).contiguous();
}

}  // namespace svi::engine
