#include "worker/engine/checkpoint/infer_config.h"

#include <algorithm>
#include <charconv>
#include <optional>
#include <stdexcept>

namespace svi::engine {
namespace {

using Tensors = std::map<std::string, at::Tensor>;
using nlohmann::json;

// What the tensors with one meaning have in common.
class Votes {
 public:
  explicit Votes(const Tensors& tensors) : tensors_(&tensors) {}

  // The tensor's extent along `axis`, divided by `divisor`, if there is such a tensor and it divides.
  Votes& Add(const std::string& name, int64_t axis, int64_t divisor = 1) {
    const auto found = tensors_->find(name);
    if (found == tensors_->end() || found->second.dim() <= axis || divisor < 1) return *this;
    const int64_t extent = found->second.size(axis);
    if (extent % divisor == 0) ++counts_[extent / divisor];
    return *this;
  }
  std::optional<int64_t> Winner() const {
    const auto most = std::max_element(counts_.begin(), counts_.end(),
                                       [](const auto& a, const auto& b) { return a.second < b.second; });
    if (most == counts_.end()) return std::nullopt;
    return most->first;
  }

 private:
  const Tensors* tensors_;
  std::map<int64_t, int> counts_;
};

// Far more than any model has; numbers above it are nobody's.
constexpr int64_t kMostLayers = 4096;

// One more than the highest number after `prefix` in any name.
int64_t Count(const Tensors& tensors, std::string_view prefix) {
  int64_t count = 0;
  for (const auto& [name, tensor] : tensors) {
    if (!name.starts_with(prefix)) continue;
    int64_t number = -1;
    std::from_chars(name.data() + prefix.size(), name.data() + name.size(), number);
    if (number >= 0 && number < kMostLayers) count = std::max(count, number + 1);
  }
  return count;
}

void Set(json& config, const char* field, const std::optional<int64_t>& value) {
  if (value) config[field] = *value;
}

json InferTransformer(const Tensors& tensors) {
  const int64_t layers = Count(tensors, "blocks.");
  Votes dim(tensors), ffn_dim(tensors), text_dim(tensors), freq_dim(tensors), in(tensors), out(tensors);
  dim.Add("patch_embedding.weight", 0).Add("patch_embedding.bias", 0).Add("proj_out.weight", 1);
  for (int64_t i = 0; i < layers; ++i) {
    const std::string block = "blocks." + std::to_string(i) + ".";
    dim.Add(block + "norm2.weight", 0).Add(block + "norm2.bias", 0).Add(block + "attn1.norm_q.weight", 0);
    ffn_dim.Add(block + "ffn.net.0.proj.weight", 0).Add(block + "ffn.net.0.proj.bias", 0);
    ffn_dim.Add(block + "ffn.net.2.weight", 1);
  }
  text_dim.Add("condition_embedder.text_embedder.linear_1.weight", 1);
  freq_dim.Add("condition_embedder.time_embedder.linear_1.weight", 1);
  in.Add("patch_embedding.weight", 1);
  // Four pixels of a patch.
  out.Add("proj_out.weight", 0, 4).Add("proj_out.bias", 0, 4);
  json config = json::object();
  Set(config, "dim", dim.Winner());
  Set(config, "ffn_dim", ffn_dim.Winner());
  Set(config, "text_dim", text_dim.Winner());
  Set(config, "freq_dim", freq_dim.Winner());
  Set(config, "in_channels", in.Winner());
  Set(config, "out_channels", out.Winner());
  if (layers > 0) config["num_layers"] = layers;
  return config;
}

json InferTextEncoder(const Tensors& tensors) {
  const int64_t layers = Count(tensors, "encoder.block.");
  Votes d_model(tensors), d_ff(tensors), heads(tensors), buckets(tensors), inner(tensors), vocab(tensors);
  for (const char* embedding : {"shared.weight", "encoder.embed_tokens.weight"}) {
    vocab.Add(embedding, 0);
    d_model.Add(embedding, 1);
  }
  d_model.Add("encoder.final_layer_norm.weight", 0);
  for (int64_t i = 0; i < layers; ++i) {
    const std::string block = "encoder.block." + std::to_string(i) + ".layer.";
    d_model.Add(block + "0.layer_norm.weight", 0).Add(block + "1.layer_norm.weight", 0);
    for (const char* part : {"wi_0.weight", "wi_1.weight"}) d_ff.Add(block + "1.DenseReluDense." + part, 0);
    for (const char* part : {"q.weight", "k.weight", "v.weight"}) {
      inner.Add(block + "0.SelfAttention." + part, 0);
    }
    const std::string bias = block + "0.SelfAttention.relative_attention_bias.weight";
    buckets.Add(bias, 0);
    heads.Add(bias, 1);
  }
  json config = json::object();
  Set(config, "vocab_size", vocab.Winner());
  Set(config, "d_model", d_model.Winner());
  Set(config, "d_ff", d_ff.Winner());
  Set(config, "num_heads", heads.Winner());
  Set(config, "dim_attn", inner.Winner());
  if (inner.Winner() && heads.Winner().value_or(0) > 0) {
    config["d_kv"] = *inner.Winner() / *heads.Winner();
  }
  Set(config, "relative_attention_num_buckets", buckets.Winner());
  if (layers > 0) config["num_layers"] = layers;
  return config;
}

constexpr int64_t kVaeStages = 4;

std::string Down(int64_t stage) { return "encoder.down_blocks." + std::to_string(stage) + "."; }
std::string Up(int64_t stage) { return "decoder.up_blocks." + std::to_string(stage) + "."; }

void AddResnets(Votes& votes, const std::string& stage, int64_t blocks, int64_t divisor = 1) {
  for (int64_t i = 0; i < blocks; ++i) {
    const std::string block = stage + "resnets." + std::to_string(i) + ".";
    votes.Add(block + "conv1.weight", 0, divisor).Add(block + "norm2.gamma", 0, divisor);
    votes.Add(block + "conv2.weight", 0, divisor).Add(block + "conv2.bias", 0, divisor);
  }
}

// Halving in time has its own convolution, and so has the doubling on the other side.
std::vector<bool> InferTimeStages(const Tensors& tensors) {
  std::vector<bool> result(kVaeStages - 1);
  for (const auto& [name, tensor] : tensors) {
    for (int64_t i = 0; i + 1 < kVaeStages; ++i) {
      if (name.starts_with(Down(i) + "downsampler.time_conv.") ||
          name.starts_with(Up(kVaeStages - 2 - i) + "upsampler.time_conv.")) {
        result[static_cast<size_t>(i)] = true;
      }
    }
  }
  return result;
}

json InferVae(const Tensors& tensors) {
  const int64_t blocks = VaeResidualBlocks(
      [&] {
        std::vector<std::string> names;
        for (const auto& [name, tensor] : tensors) names.push_back(name);
        return names;
      }(),
      Layout::kDiffusers);
  Votes base(tensors), z(tensors), decoder_base(tensors);
  base.Add("encoder.conv_in.weight", 0).Add("encoder.conv_in.bias", 0);
  z.Add("post_quant_conv.weight", 0).Add("post_quant_conv.bias", 0).Add("decoder.conv_in.weight", 1);
  json config = {{"num_res_blocks", blocks}};
  Set(config, "base_dim", base.Winner());
  Set(config, "z_dim", z.Winner());
  json multiples = json::array();
  for (int64_t i = 0; i < kVaeStages && base.Winner(); ++i) {
    Votes multiple(tensors);
    AddResnets(multiple, Down(i), blocks, *base.Winner());
    if (multiple.Winner()) multiples.push_back(*multiple.Winner());
  }
  if (std::ssize(multiples) == kVaeStages && multiples[0] > 0) {
    config["dim_mult"] = multiples;
    AddResnets(decoder_base, Up(kVaeStages - 1), blocks + 1, multiples[0].get<int64_t>());
    Set(config, "decoder_base_dim", decoder_base.Winner());
  }
  // Anything else than two is no Wan 2.2 VAE; then the missing or superfluous tensors say so.
  const auto time = InferTimeStages(tensors);
  if (std::count(time.begin(), time.end(), true) == 2) config["temperal_downsample"] = time;
  return config;
}

}  // namespace

const std::vector<ConfigField>& InferredFields(Component component) {
  static const std::vector<ConfigField> transformer = {
      {"dim", "dim"},
      {"ffn_dim", "ffn_dim"},
      {"text_dim", "text_dim"},
      {"freq_dim", "freq_dim"},
      {"in_channels", "in_dim"},
      {"out_channels", "out_dim"},
      {"num_layers", "num_layers"},
  };
  static const std::vector<ConfigField> vae = {
      {"base_dim", "dim"},
      {"decoder_base_dim", "dec_dim"},
      {"z_dim", "z_dim"},
      {"dim_mult", "dim_mult"},
      {"num_res_blocks", "num_res_blocks"},
      {"temperal_downsample", "temperal_downsample"},
  };
  static const std::vector<ConfigField> text_encoder = {
      {"vocab_size", "vocab"},
      {"d_model", "dim"},
      {"d_ff", "dim_ffn"},
      {"num_heads", "num_heads"},
      {"d_kv", "d_kv"},
      {"dim_attn", "dim_attn"},
      {"num_layers", "encoder_layers"},
      {"relative_attention_num_buckets", "num_buckets"},
  };
  switch (component) {
    case Component::kTransformer:
      return transformer;
    case Component::kVae:
      return vae;
    case Component::kTextEncoder:
      return text_encoder;
  }
  throw std::logic_error("no such component");
}

json InferConfig(Component component, const Tensors& tensors) {
  switch (component) {
    case Component::kTransformer:
      return InferTransformer(tensors);
    case Component::kVae:
      return InferVae(tensors);
    case Component::kTextEncoder:
      return InferTextEncoder(tensors);
  }
  throw std::logic_error("no such component");
}

}  // namespace svi::engine
