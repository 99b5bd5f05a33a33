// What an option may be, what it is by default, and what SVI's authors advise.
#include <stdexcept>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "worker/engine/train/error_recycling.h"

namespace svi::engine {
namespace {

constexpr int64_t kSmallModel = 10'000'000'000;  // parameters: between the 5B and the 14B model
constexpr int64_t kSmallBatch = 64;

void CheckBetween(const char* field, double value, double least, double greatest) {
  if (!(value >= least && value <= greatest)) {
    throw std::invalid_argument(
        absl::StrCat("error_recycling.", field, " must be ", least, " to ", greatest, ", not ", value));
  }
}

}  // namespace

double DefaultCleanProb(Variant variant) { return variant == Variant::kFilm ? 0.5 : 0.2; }

double DefaultReencodeProb(Variant variant) { return variant == Variant::kFilm ? 0.1 : 0.0; }

void CheckErrorRecyclingOptions(const ErrorRecyclingOptions& options, int64_t history_slots) {
  CheckBetween("noise_prob", options.noise_prob, 0, 1);
  CheckBetween("latent_prob", options.latent_prob, 0, 1);
  CheckBetween("y_prob", options.y_prob, 0, 1);
  CheckBetween("clean_prob", options.clean_prob, 0, 1);
  CheckBetween("clean_buffer_update_prob", options.clean_buffer_update_prob, 0, 1);
  CheckBetween("error_modulate_factor", options.error_modulate_factor, 0, 1);
  CheckBetween("p_motion_threshold", options.p_motion_threshold, 0, 1);
  CheckBetween("reencode_prob", options.reencode_prob, 0, 1);
  CheckBetween("buffer_size", static_cast<double>(options.buffer_size), 1, 100'000);
  CheckBetween("buffer_warmup_iter", static_cast<double>(options.buffer_warmup_iter), 0, 100'000);
  CheckBetween("y_error_num", static_cast<double>(options.y_error_num), 0,
               static_cast<double>(history_slots));
  CheckBetween("y_error_timestep_min", options.y_error_timestep_min, 0, 1000);
  CheckBetween("y_error_timestep_max", options.y_error_timestep_max, options.y_error_timestep_min, 1000);
  if (options.buffer_bytes < 1ULL << 20U) {
    throw std::invalid_argument("error_recycling.buffer_bytes must be at least 1048576");
  }
}

std::vector<std::string> RecyclingWarnings(const ErrorRecyclingOptions& options,
                                           const RecyclingContext& context) {
  std::vector<std::string> warnings;
  const bool injects = options.clean_prob < 1;
  const bool beyond_history = options.noise_prob > 0 || options.latent_prob > 0;
  if (injects && beyond_history && context.parameters < kSmallModel) {
    warnings.push_back(
        "noise_prob or latent_prob is above 0: models below 14B are best trained with errors in the "
        "history alone");
  }
  if (injects && options.clean_prob > 0 && context.effective_batch < kSmallBatch) {
    warnings.push_back(absl::StrCat("the effective batch, ", context.effective_batch, ", is below ",
                                    kSmallBatch, ": a clean_prob lower than ", options.clean_prob,
                                    " is advised"));
  }
  if (context.vae_reduced_precision || context.vae_tiled) {
    warnings.push_back(
        absl::StrCat("the VAE is ", context.vae_reduced_precision ? "in reduced precision" : "tiled",
                     context.vae_reduced_precision && context.vae_tiled ? " and tiled" : "",
                     ": its artefacts accumulate on static backgrounds, and latent errors do not "
                     "teach the model to correct them"));
  }
  if (context.variant != Variant::kFilm && context.anchor_inside_clip) {
    warnings.push_back("the anchor comes from inside the training clip: one from outside it is advised");
  }
  if (context.variant != Variant::kFilm && injects &&
      options.clean_prob > DefaultCleanProb(context.variant)) {
    warnings.push_back(absl::StrCat("clean_prob ", options.clean_prob, " is above ",
                                    DefaultCleanProb(context.variant),
                                    ", which is enough for variants other than film"));
  }
  return warnings;
}

}  // namespace svi::engine
