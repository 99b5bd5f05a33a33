#include "worker/engine/vae/config.h"

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>
#include <stdexcept>

namespace svi::engine {
namespace {

using Json = nlohmann::json;

constexpr int64_t kLargestWidth = 1 << 16;

// Per-channel statistics of Wan 2.2's 48-channel latents, as its config.json publishes them.
const std::vector<double>& Wan22Mean() {
  static const std::vector<double> table = {
      -0.2289, -0.0052, -0.1323, -0.2339, -0.2799, 0.0174,  0.1838,  0.1557,  -0.1382, 0.0542,
      0.2813,  0.0891,  0.157,   -0.0098, 0.0375,  -0.1825, -0.2246, -0.1207, -0.0698, 0.5109,
      0.2665,  -0.2108, -0.2158, 0.2502,  -0.2055, -0.0322, 0.1109,  0.1567,  -0.0729, 0.0899,
      -0.2799, -0.123,  -0.0313, -0.1649, 0.0117,  0.0723,  -0.2839, -0.2083, -0.052,  0.3748,
      0.0152,  0.1957,  0.1433,  -0.2944, 0.3573,  -0.0548, -0.1681, -0.0667};
  return table;
}

const std::vector<double>& Wan22Std() {
  static const std::vector<double> table = {
      0.4765, 1.0364, 0.4514, 1.1677, 0.5313, 0.499,  0.4818, 0.5013, 0.8158, 1.0344, 0.5894, 1.0901,
      0.6885, 0.6165, 0.8454, 0.4978, 0.5759, 0.3523, 0.7135, 0.6804, 0.5833, 1.4146, 0.8986, 0.5659,
      0.7069, 0.5338, 0.4889, 0.4917, 0.4069, 0.4999, 0.6866, 0.4093, 0.5709, 0.6065, 0.6415, 0.4944,
      0.5726, 1.2042, 0.5458, 1.6887, 0.3971, 1.06,   0.3943, 0.5537, 0.5444, 0.4089, 0.7468, 0.7744};
  return table;
}

// Empty if the table is too short.
std::vector<double> Beginning(const std::vector<double>& table, int64_t entries) {
  if (entries < 1 || entries > static_cast<int64_t>(table.size())) return {};
  return {table.begin(), table.begin() + entries};
}

[[noreturn]] void Fail(const std::string& field, const std::string& why) {
  throw std::invalid_argument("VAE config: " + field + " " + why);
}

template <typename T>
void Read(const Json& json, const char* field, T& value) {
  const auto found = json.find(field);
  if (found == json.end()) return;
  try {
    value = found->get<T>();
  } catch (const Json::exception&) {
    Fail(field, "has the wrong type");
  }
}

// nlohmann would truncate 2.5 to 2 without a word.
void ReadInteger(const Json& json, const char* field, int64_t& value) {
  const auto found = json.find(field);
  if (found == json.end()) return;
  if (!found->is_number_integer()) Fail(field, "must be an integer");
  value = found->get<int64_t>();
}

void ReadIntegers(const Json& json, const char* field, std::vector<int64_t>& values) {
  const auto found = json.find(field);
  if (found == json.end()) return;
  const auto integer = [](const Json& entry) { return entry.is_number_integer(); };
  if (!found->is_array() || !std::all_of(found->begin(), found->end(), integer)) {
    Fail(field, "must be a list of integers");
  }
  values = found->get<std::vector<int64_t>>();
}

// A field that this implementation knows with one value only; absent means that value.
void Require(const Json& json, const char* field, const Json& value) {
  const auto found = json.find(field);
  if (found != json.end() && *found != value) Fail(field, "must be " + value.dump() + " (Wan 2.2's VAE)");
}

void CheckWidth(const char* field, int64_t value) {
  if (value < 1 || value > kLargestWidth) Fail(field, "must be between 1 and 65536");
}

void CheckTable(const char* field, const std::vector<double>& table, int64_t z_dim) {
  if (static_cast<int64_t>(table.size()) != z_dim) {
    Fail(field,
         "must have z_dim = " + std::to_string(z_dim) + " entries, has " + std::to_string(table.size()));
  }
  if (!std::all_of(table.begin(), table.end(), [](double v) { return std::isfinite(v); })) {
    Fail(field, "must be finite");
  }
}

// AvgDown averages and DupUp repeats whole groups of channels.
void CheckShortcuts(const VaeConfig& config) {
  for (size_t i = 0; i + 1 < kVaeStages; ++i) {
    const int64_t in = config.base_dim * (i == 0 ? 1 : config.dim_mult[i - 1]);
    const int64_t out = config.base_dim * config.dim_mult[i];
    if ((in * (config.temperal_downsample[i] ? 8 : 4)) % out != 0)
      Fail("dim_mult", "does not divide the encoder's widths");
  }
  if (config.dim_mult[2] % config.dim_mult[3] != 0) Fail("dim_mult", "does not divide the encoder's widths");
  for (size_t i = 0; i + 1 < kVaeStages; ++i) {
    const int64_t in = config.dim_mult[i == 0 ? kVaeStages - 1 : kVaeStages - i];
    const int64_t out = config.dim_mult[kVaeStages - 1 - i];
    const bool time = config.temperal_downsample[kVaeStages - 2 - i];
    if ((out * (time ? 8 : 4)) % in != 0) Fail("dim_mult", "does not divide the decoder's widths");
  }
}

}  // namespace

VaeConfig CompleteVaeConfig(VaeConfig config) {
  CheckWidth("base_dim", config.base_dim);
  CheckWidth("decoder_base_dim", config.decoder_base_dim);
  CheckWidth("z_dim", config.z_dim);
  if (config.num_res_blocks < 1 || config.num_res_blocks > 64)
    Fail("num_res_blocks", "must be between 1 and 64");
  if (config.dim_mult.size() != kVaeStages) Fail("dim_mult", "must have 4 entries");
  for (const int64_t multiple : config.dim_mult) {
    if (multiple < 1 || multiple > 64) Fail("dim_mult", "must have entries between 1 and 64");
  }
  const auto& time = config.temperal_downsample;
  if (time.size() != kVaeStages - 1) Fail("temperal_downsample", "must have 3 entries");
  if (std::count(time.begin(), time.end(), true) != 2) {
    Fail("temperal_downsample", "must be true twice (4× in time)");
  }
  CheckShortcuts(config);
  const bool published = config.z_dim == static_cast<int64_t>(Wan22Mean().size());
  if (config.latents_mean.empty() && published) config.latents_mean = Wan22Mean();
  if (config.latents_std.empty() && published) config.latents_std = Wan22Std();
  CheckTable("latents_mean", config.latents_mean, config.z_dim);
  CheckTable("latents_std", config.latents_std, config.z_dim);
  for (const double value : config.latents_std) {
    if (value <= 0) Fail("latents_std", "must be positive");
  }
  return config;
}

VaeConfig VaeConfig::FromJson(const std::string& text) {
  const Json json = Json::parse(text, nullptr, /*allow_exceptions=*/false);
  if (!json.is_object()) throw std::invalid_argument("VAE config: not a JSON object");
  // Wan's own code writes no such file; what others write for its class goes by that class's names.
  const bool original = json.contains("dim") || json.contains("dec_dim") ||
                        (json.contains("_class_name") && json["_class_name"].is_string() &&
                         json["_class_name"].get<std::string>().starts_with("Wan"));
  if (!original) Require(json, "_class_name", "AutoencoderKLWan");
  Require(json, "is_residual", true);
  Require(json, "patch_size", kVaePatch);
  Require(json, "in_channels", kVaePatchedChannels);
  Require(json, "out_channels", kVaePatchedChannels);
  Require(json, "attn_scales", Json::array());
  Require(json, "scale_factor_spatial", kVaeSpatialFactor);
  Require(json, "scale_factor_temporal", kVaeTemporalFactor);
  VaeConfig config;
  ReadInteger(json, "dim", config.base_dim);
  ReadInteger(json, "base_dim", config.base_dim);
  ReadInteger(json, "dec_dim", config.decoder_base_dim);
  // Diffusers writes null for "as the encoder's".
  if (json.contains("decoder_base_dim") && json["decoder_base_dim"].is_null()) {
    config.decoder_base_dim = config.base_dim;
  } else {
    ReadInteger(json, "decoder_base_dim", config.decoder_base_dim);
  }
  ReadInteger(json, "z_dim", config.z_dim);
  ReadIntegers(json, "dim_mult", config.dim_mult);
  ReadInteger(json, "num_res_blocks", config.num_res_blocks);
  Read(json, "temperal_downsample", config.temperal_downsample);
  // A smaller model without tables of its own has the beginning of Wan 2.2's.
  if (!json.contains("latents_mean")) config.latents_mean = Beginning(Wan22Mean(), config.z_dim);
  if (!json.contains("latents_std")) config.latents_std = Beginning(Wan22Std(), config.z_dim);
  Read(json, "latents_mean", config.latents_mean);
  Read(json, "latents_std", config.latents_std);
  return CompleteVaeConfig(std::move(config));
}

std::string VaeConfig::ToJson() const {
  const Json json = {
      {"_class_name", "AutoencoderKLWan"},
      {"attn_scales", Json::array()},
      {"base_dim", base_dim},
      {"decoder_base_dim", decoder_base_dim},
      {"dim_mult", dim_mult},
      {"dropout", 0.0},
      {"in_channels", kVaePatchedChannels},
      {"is_residual", true},
      {"latents_mean", latents_mean},
      {"latents_std", latents_std},
      {"num_res_blocks", num_res_blocks},
      {"out_channels", kVaePatchedChannels},
      {"patch_size", kVaePatch},
      {"scale_factor_spatial", kVaeSpatialFactor},
      {"scale_factor_temporal", kVaeTemporalFactor},
      {"temperal_downsample", temperal_downsample},
      {"z_dim", z_dim},
  };
  return json.dump(2) + "\n";
}

}  // namespace svi::engine
