#include <cmath>
#include <nlohmann/json.hpp>
#include <stdexcept>

#include "worker/engine/dit/transformer.h"

namespace svi::engine {
namespace {

using nlohmann::json;

[[noreturn]] void Refuse(const std::string& why) {
  throw std::invalid_argument("transformer config: " + why);
}

// Larger than any model, small enough that products of two fields stay in 63 bits.
constexpr int64_t kMaxSize = 1 << 20;

int64_t Size(const json& config, const char* field) {
  const auto found = config.find(field);
  if (found == config.end()) Refuse(std::string(field) + " is missing");
  if (!found->is_number_integer() || *found < 1 || *found > kMaxSize) {
    Refuse(std::string(field) + " must be a whole number from 1 to " + std::to_string(kMaxSize));
  }
  return found->get<int64_t>();
}

// Fields that choose something else than what this class computes; absent ones mean Diffusers' default, which
// is this.
void RequireIfPresent(const json& config, const char* field, const json& value) {
  const auto found = config.find(field);
  if (found != config.end() && *found != value) {
    Refuse(std::string(field) + " must be " + value.dump() + ": nothing else is supported");
  }
}

double Eps(const json& config, double otherwise) {
  const auto found = config.find("eps");
  if (found == config.end()) return otherwise;
  if (!found->is_number()) Refuse("eps must be a number");
  const double eps = found->get<double>();
  if (!(eps > 0.0) || !std::isfinite(eps)) Refuse("eps must be positive");
  return eps;
}

// Wan's own config.json of a WanModel.
TransformerConfig FromOriginal(const json& config) {
  RequireIfPresent(config, "_class_name", "WanModel");
  RequireIfPresent(config, "patch_size", {1, 2, 2});
  RequireIfPresent(config, "window_size", {-1, -1});
  RequireIfPresent(config, "qk_norm", true);
  RequireIfPresent(config, "cross_attn_norm", true);
  // All of them are the same network; they differ in what the channels mean.
  if (const auto type = config.find("model_type");
      type != config.end() && *type != "ti2v" && *type != "t2v" && *type != "i2v") {
    Refuse("model_type must be \"ti2v\", \"t2v\" or \"i2v\"");
  }
  TransformerConfig result;
  const int64_t dim = Size(config, "dim");
  result.num_attention_heads = Size(config, "num_heads");
  if (dim % result.num_attention_heads != 0) Refuse("dim must be a multiple of num_heads");
  result.attention_head_dim = dim / result.num_attention_heads;
  result.in_channels = Size(config, "in_dim");
  result.out_channels = Size(config, "out_dim");
  // Wan's code does not write this field; its default is the class's.
  if (config.contains("text_dim")) result.text_dim = Size(config, "text_dim");
  result.freq_dim = Size(config, "freq_dim");
  result.ffn_dim = Size(config, "ffn_dim");
  result.num_layers = Size(config, "num_layers");
  return result;
}

TransformerConfig FromDiffusers(const json& config) {
  RequireIfPresent(config, "_class_name", "WanTransformer3DModel");
  RequireIfPresent(config, "patch_size", {1, 2, 2});
  RequireIfPresent(config, "qk_norm", "rms_norm_across_heads");
  RequireIfPresent(config, "cross_attn_norm", true);
  RequireIfPresent(config, "image_dim", nullptr);
  RequireIfPresent(config, "added_kv_proj_dim", nullptr);
  RequireIfPresent(config, "pos_embed_seq_len", nullptr);
  TransformerConfig result;
  result.num_attention_heads = Size(config, "num_attention_heads");
  result.attention_head_dim = Size(config, "attention_head_dim");
  result.in_channels = Size(config, "in_channels");
  result.out_channels = Size(config, "out_channels");
  result.text_dim = Size(config, "text_dim");
  result.freq_dim = Size(config, "freq_dim");
  result.ffn_dim = Size(config, "ffn_dim");
  result.num_layers = Size(config, "num_layers");
  return result;
}

}  // namespace

TransformerConfig TransformerConfig::FromJson(const std::string& text) {
  const json config = json::parse(text, nullptr, /*allow_exceptions=*/false);
  if (!config.is_object()) Refuse("is not a JSON object");
  const bool original =
      !config.contains("num_attention_heads") && (config.contains("dim") || config.contains("num_heads"));
  TransformerConfig result = original ? FromOriginal(config) : FromDiffusers(config);
  result.eps = Eps(config, result.eps);
  if (result.dim() > kMaxSize) {
    Refuse("num_attention_heads times attention_head_dim is above " + std::to_string(kMaxSize));
  }
  // Six: one rotated pair for each of the three axes.
  if (result.attention_head_dim % 2 != 0 || result.attention_head_dim < 6) {
    Refuse(original ? "dim divided by num_heads must be even and at least 6"
                    : "attention_head_dim must be even and at least 6");
  }
  if (result.freq_dim % 2 != 0) Refuse("freq_dim must be even");
  return result;
}

std::string TransformerConfig::ToJson() const {
  const json config = {{"_class_name", "WanTransformer3DModel"},
                       {"added_kv_proj_dim", nullptr},
                       {"attention_head_dim", attention_head_dim},
                       {"cross_attn_norm", true},
                       {"eps", eps},
                       {"ffn_dim", ffn_dim},
                       {"freq_dim", freq_dim},
                       {"image_dim", nullptr},
                       {"in_channels", in_channels},
                       {"num_attention_heads", num_attention_heads},
                       {"num_layers", num_layers},
                       {"out_channels", out_channels},
                       {"patch_size", {1, 2, 2}},
                       {"pos_embed_seq_len", nullptr},
                       {"qk_norm", "rms_norm_across_heads"},
                       {"rope_max_seq_len", 1024},
                       {"text_dim", text_dim}};
  return config.dump(2) + "\n";
}

}  // namespace svi::engine
