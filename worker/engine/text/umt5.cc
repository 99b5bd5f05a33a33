#include "worker/engine/text/umt5.h"

#include <ATen/core/grad_mode.h>

#include <cmath>
#include <limits>
#include <stdexcept>
#include <vector>

#include "worker/engine/nn/layers.h"
#include "worker/engine/text/json_reader.h"

namespace svi::engine {
namespace {

constexpr int64_t kLargestSize = 1 << 20;

void CheckFeedForward(const JsonReader& json) {
  if (json.Has("feed_forward_proj") && json["feed_forward_proj"].String() != "gated-gelu") {
    json["feed_forward_proj"].Fail("only gated-gelu is supported");
  }
  if (json.Has("dense_act_fn") && json["dense_act_fn"].String() != "gelu_new") {
    json["dense_act_fn"].Fail("only gelu_new is supported");
  }
  if (!json.Bool("is_gated_act", true)) json["is_gated_act"].Fail("only true is supported");
}

// x / sqrt(mean(x²) + eps) · weight, in float32; no mean is subtracted.
at::Tensor T5LayerNorm(const at::Tensor& x, const at::Tensor& weight, double eps) {
  const at::Tensor wide = x.to(at::kFloat);
  const at::Tensor scale = at::rsqrt(wide.square().mean(-1, /*keepdim=*/true) + eps);
  return (wide * scale).to(x.dtype()) * weight.to(x.dtype());
}

struct Layer {
  at::Tensor attention_norm, q, k, v, o, relative_bias;
  at::Tensor feed_forward_norm, wi_0, wi_1, wo;
};

Layer TakeLayer(const Scope& block, const UmT5Config& config) {
  const int64_t inner = config.num_heads * config.d_kv;
  const Scope attention = block / "layer" / 0 / "SelfAttention";
  const Scope dense = block / "layer" / 1 / "DenseReluDense";
  Layer layer;
  layer.q = (attention / "q").Take("weight", {inner, config.d_model});
  layer.k = (attention / "k").Take("weight", {inner, config.d_model});
  layer.v = (attention / "v").Take("weight", {inner, config.d_model});
  layer.o = (attention / "o").Take("weight", {config.d_model, inner});
  layer.relative_bias = (attention / "relative_attention_bias")
                            .Take("weight", {config.relative_attention_num_buckets, config.num_heads});
  layer.attention_norm = (block / "layer" / 0 / "layer_norm").Take("weight", {config.d_model});
  layer.wi_0 = (dense / "wi_0").Take("weight", {config.d_ff, config.d_model});
  layer.wi_1 = (dense / "wi_1").Take("weight", {config.d_ff, config.d_model});
  layer.wo = (dense / "wo").Take("weight", {config.d_model, config.d_ff});
  layer.feed_forward_norm = (block / "layer" / 1 / "layer_norm").Take("weight", {config.d_model});
  return layer;
}

}  // namespace

UmT5Config UmT5Config::FromJson(const std::string& text) {
  const nlohmann::json parsed = ParseJson(text, "text encoder config.json");
  const JsonReader json(parsed, "text encoder config.json");
  UmT5Config config;
  const auto size = [&](const char* field, int64_t& value) {
    value = json.Integer(field, value, 1, kLargestSize);
  };
  // Wan's own code calls some of them otherwise.
  const auto named = [&](const char* field, const char* original) {
    return json.Has(original) && !json.Has(field) ? original : field;
  };
  size(named("d_model", "dim"), config.d_model);
  size(named("d_ff", "dim_ffn"), config.d_ff);
  size("num_heads", config.num_heads);
  size(named("num_layers", "encoder_layers"), config.num_layers);
  size(named("vocab_size", "vocab"), config.vocab_size);
  if (json.Has("dim_attn") && !json.Has("d_kv")) {
    const int64_t inner = json["dim_attn"].Integer(1, kLargestSize);
    if (inner % config.num_heads != 0) json["dim_attn"].Fail("must be a multiple of num_heads");
    config.d_kv = inner / config.num_heads;
  }
  size("d_kv", config.d_kv);
  if (json.Bool("shared_pos", false)) json["shared_pos"].Fail("only false is supported");
  const char* const buckets = named("relative_attention_num_buckets", "num_buckets");
  config.relative_attention_num_buckets =
      json.Integer(buckets, config.relative_attention_num_buckets, 4, kLargestSize);
  if (config.relative_attention_num_buckets % 4 != 0) json[buckets].Fail("must be a multiple of 4");
  const int64_t exact = config.relative_attention_num_buckets / 4;
  config.relative_attention_max_distance = json.Integer(
      "relative_attention_max_distance", config.relative_attention_max_distance, exact + 1, kLargestSize);
  if (json.Has("layer_norm_epsilon")) config.layer_norm_epsilon = json["layer_norm_epsilon"].Number();
  if (config.layer_norm_epsilon <= 0) json["layer_norm_epsilon"].Fail("must be positive");
  CheckFeedForward(json);
  return config;
}

std::string UmT5Config::ToJson() const {
  return nlohmann::json{
      {"architectures", {"UMT5EncoderModel"}},
      {"model_type", "umt5"},
      {"d_model", d_model},
      {"d_kv", d_kv},
      {"d_ff", d_ff},
      {"num_heads", num_heads},
      {"num_layers", num_layers},
      {"vocab_size", vocab_size},
      {"relative_attention_num_buckets", relative_attention_num_buckets},
      {"relative_attention_max_distance", relative_attention_max_distance},
      {"layer_norm_epsilon", layer_norm_epsilon},
      {"feed_forward_proj", "gated-gelu"},
      {"dense_act_fn", "gelu_new"},
      {"is_gated_act", true},
      {"is_encoder_decoder", true},
      {"dropout_rate", 0.0},
      {"pad_token_id", 0},
      {"eos_token_id", 1},
  }
      .dump(2);
}

struct UmT5Encoder::Impl {
  UmT5Config config;
  at::Tensor embedding;
  std::vector<Layer> layers;
  at::Tensor final_norm;

  at::Tensor Buckets(int64_t length) const;
  at::Tensor Attention(const Layer& layer, const at::Tensor& x, const at::Tensor& buckets,
                       const at::Tensor& mask) const;
  at::Tensor FeedForward(const Layer& layer, const at::Tensor& x) const;
  void CheckShapes(const at::Tensor& input_ids, const at::Tensor& attention_mask) const;
  // ids [B, L] and visible [B, L] bool, on the CPU → [B, L, d_model] in `dtype`, every row. Throws
  // std::invalid_argument on ids outside of the vocabulary.
  at::Tensor Encode(const at::Tensor& ids, const at::Tensor& visible, at::ScalarType dtype) const;
};

// Which row of a layer's bias table belongs to each distance key - query, from 1 - length to length - 1:
// [2 · length - 1]. Half of the rows are for keys after the query; of each half, half for single distances
// and the rest, in logarithmic steps, up to the maximum.
at::Tensor UmT5Encoder::Impl::Buckets(int64_t length) const {
  const int64_t half = config.relative_attention_num_buckets / 2;
  const int64_t exact = half / 2;
  const at::Tensor relative = at::arange(1 - length, length, at::kLong);
  const at::Tensor distance = relative.abs();
  // In float32, because rounding decides at the steps.
  const double reach =
      std::log(static_cast<double>(config.relative_attention_max_distance) / static_cast<double>(exact));
  const at::Tensor steps = at::log(distance.to(at::kFloat) / exact) / reach * (half - exact);
  const at::Tensor far = at::clamp_max(exact + steps.clamp_min(0).to(at::kLong), half - 1);
  const at::Tensor bucket = at::where(distance < exact, distance, far) + (relative > 0).to(at::kLong) * half;
  return bucket.to(embedding.device());
}

// x: [B, L, d_model]; mask: [B, 1, 1, L], 0 or the lowest float. Scores are not divided by sqrt(d_kv).
at::Tensor UmT5Encoder::Impl::Attention(const Layer& layer, const at::Tensor& x, const at::Tensor& buckets,
                                        const at::Tensor& mask) const {
  const int64_t batch = x.size(0);
  const int64_t length = x.size(1);
  const auto heads = [&](const at::Tensor& w) {
    return LinearUpcast(x, w).view({batch, length, config.num_heads, config.d_kv}).transpose(1, 2);
  };
  const int64_t pairs = batch * config.num_heads;
  const at::Tensor of_distance = layer.relative_bias.to(at::kFloat).t().index_select(1, buckets).contiguous();
  // Query i's row is the table from distance -i on; all rows, last query first, are overlapping windows of
  // it.
  const at::Tensor bias =
      of_distance.as_strided({config.num_heads, length, length}, {2 * length - 1, 1, 1}).flip(1);
  const at::Tensor offset =
      (bias.unsqueeze(0) + mask).expand({batch, -1, -1, -1}).reshape({pairs, length, length});
  // In float32 whatever x is: unscaled scores are large, and bfloat16 would keep two digits of them. (The
  // fused attention of a CPU is no faster here, and three times as far from the reference.)
  const auto wide = [&](const at::Tensor& w) { return heads(w).flatten(0, 1).to(at::kFloat); };
  const at::Tensor scores = at::baddbmm(offset, wide(layer.q), wide(layer.k).transpose(1, 2));
  const at::Tensor weights = at::softmax(scores, -1).to(x.dtype());
  const at::Tensor mixed = at::bmm(weights, heads(layer.v).flatten(0, 1));
  return LinearUpcast(mixed.view({batch, config.num_heads, length, -1}).transpose(1, 2).flatten(2), layer.o);
}

at::Tensor UmT5Encoder::Impl::FeedForward(const Layer& layer, const at::Tensor& x) const {
  at::Tensor gate = at::gelu(LinearUpcast(x, layer.wi_0), "tanh");
  return LinearUpcast(gate.mul_(LinearUpcast(x, layer.wi_1)), layer.wo);
}

UmT5Encoder::UmT5Encoder(const UmT5Config& config, WeightSource& weights) : impl_(std::make_unique<Impl>()) {
  impl_->config = config;
  const Scope root(weights);
  const Scope encoder = root / "encoder";
  const bool own = (encoder / "embed_tokens").Has("weight");
  if (own) impl_->embedding = (encoder / "embed_tokens").Take("weight", {config.vocab_size, config.d_model});
  if (!own || (root / "shared").Has("weight")) {
    impl_->embedding = (root / "shared").Take("weight", {config.vocab_size, config.d_model});
  }
  for (int64_t i = 0; i < config.num_layers; ++i) {
    impl_->layers.push_back(TakeLayer(encoder / "block" / i, config));
  }
  impl_->final_norm = (encoder / "final_layer_norm").Take("weight", {config.d_model});
}

UmT5Encoder::~UmT5Encoder() = default;

const UmT5Config& UmT5Encoder::config() const { return impl_->config; }

at::Device UmT5Encoder::device() const { return impl_->embedding.device(); }

void UmT5Encoder::Impl::CheckShapes(const at::Tensor& input_ids, const at::Tensor& attention_mask) const {
  if (input_ids.dim() != 2 || input_ids.scalar_type() != at::kLong ||
      input_ids.sizes() != attention_mask.sizes()) {
    throw std::invalid_argument("input_ids must be int64 [B, L] and attention_mask of the same shape");
  }
}

at::Tensor UmT5Encoder::Impl::Encode(const at::Tensor& ids, const at::Tensor& visible,
                                     at::ScalarType dtype) const {
  if (ids.min().item<int64_t>() < 0 || ids.max().item<int64_t>() >= config.vocab_size) {
    throw std::invalid_argument("input_ids must be from 0 to " + std::to_string(config.vocab_size - 1));
  }
  const int64_t batch = ids.size(0);
  const int64_t length = ids.size(1);
  const at::Device device = embedding.device();
  const at::Tensor mask = at::zeros({batch, 1, 1, length}, at::TensorOptions(device).dtype(at::kFloat))
                              .masked_fill_(~visible.to(device).view({batch, 1, 1, length}),
                                            std::numeric_limits<float>::lowest());
  const at::Tensor buckets = Buckets(length);
  at::Tensor x =
      embedding.index_select(0, ids.flatten().to(device)).view({batch, length, config.d_model}).to(dtype);
  for (const Layer& layer : layers) {
    const double eps = config.layer_norm_epsilon;
    x = x + Attention(layer, T5LayerNorm(x, layer.attention_norm, eps), buckets, mask);
    x = x + FeedForward(layer, T5LayerNorm(x, layer.feed_forward_norm, eps));
  }
  return T5LayerNorm(x, final_norm, config.layer_norm_epsilon);
}

at::Tensor UmT5Encoder::Forward(const at::Tensor& input_ids, const at::Tensor& attention_mask) const {
  const at::NoGradGuard no_grad;
  const at::Tensor real = attention_mask.to(at::kCPU) != 0;
  impl_->CheckShapes(input_ids, real);
  const at::Tensor result = at::zeros({input_ids.size(0), input_ids.size(1), impl_->config.d_model},
                                      at::TensorOptions(device()).dtype(at::kFloat));
  const at::Tensor columns = real.any(0).nonzero();
  if (columns.numel() == 0) return result;
  const int64_t length = columns.max().item<int64_t>() + 1;
  const at::Tensor ids = input_ids.to(at::kCPU).narrow(1, 0, length);
  const at::Tensor visible = real.narrow(1, 0, length);
  const at::ScalarType dtype = device().is_cpu() ? at::kFloat : impl_->embedding.scalar_type();
  const at::Tensor rows = impl_->Encode(ids, visible, dtype).to(at::kFloat);
  result.narrow(1, 0, length).copy_(rows * visible.unsqueeze(-1).to(device()));
  return result;
}

at::Tensor UmT5Encoder::ForwardAllRows(const at::Tensor& input_ids, const at::Tensor& attention_mask,
                                       at::ScalarType dtype) const {
  const at::NoGradGuard no_grad;
  const at::Tensor real = attention_mask.to(at::kCPU) != 0;
  impl_->CheckShapes(input_ids, real);
  if (input_ids.numel() == 0) throw std::invalid_argument("input_ids is empty");
  return impl_->Encode(input_ids.to(at::kCPU), real, dtype);
}

}  // namespace svi::engine
