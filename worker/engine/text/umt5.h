// The umT5 text encoder (https://arxiv.org/abs/2304.09151): T5 1.1 with a relative position bias in every
// layer.
#ifndef SVI_ENGINE_TEXT_UMT5_H_
#define SVI_ENGINE_TEXT_UMT5_H_

#include <ATen/ATen.h>

#include <cstdint>
#include <memory>
#include <string>

#include "worker/engine/weights/weight_source.h"

namespace svi::engine {

// Field names as in Hugging Face's config.json of UMT5EncoderModel; the defaults are umT5-xxl's.
struct UmT5Config {
  int64_t d_model = 4096;
  int64_t d_kv = 64;
  int64_t d_ff = 10240;
  int64_t num_heads = 64;
  int64_t num_layers = 24;
  int64_t vocab_size = 256384;
  int64_t relative_attention_num_buckets = 32;
  int64_t relative_attention_max_distance = 128;
  double layer_norm_epsilon = 1e-6;

  // From config.json's text; fields that it does not have keep their defaults. Throws std::invalid_argument
  // naming the field; refuses a feed-forward other than gated GELU.
  static UmT5Config FromJson(const std::string& text);
  std::string ToJson() const;
};

class UmT5Encoder {
 public:
  // Takes every tensor under Hugging Face's names and does not call Finish(). The embedding is
  // "shared.weight" or "encoder.embed_tokens.weight" or both (they are tied).
  UmT5Encoder(const UmT5Config& config, WeightSource& weights);
  ~UmT5Encoder();

  const UmT5Config& config() const;
  at::Device device() const;

  // input_ids [B, L] int64, attention_mask [B, L] (1 where a token is real; real tokens before padding, any
  // dtype) → [B, L, d_model] float32, zero in the rows of padding. Computes only as many columns as the
  // longest text has, in float32 on the CPU (stored weights are widened matrix by matrix) and in the stored
  // dtype on CUDA. Throws std::invalid_argument on ids outside of the vocabulary.
  at::Tensor Forward(const at::Tensor& input_ids, const at::Tensor& attention_mask) const;

  // The same, but as transformers' UMT5EncoderModel has it: the rows of padding attend to the real tokens too
  // and stay as they come out, real tokens may stand anywhere, and all arithmetic is in `dtype` (float32, or
  // bfloat16: norms and softmax in float32 even so). Returns [B, L, d_model] in `dtype`.
  at::Tensor ForwardAllRows(const at::Tensor& input_ids, const at::Tensor& attention_mask,
                            at::ScalarType dtype) const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace svi::engine

#endif  // SVI_ENGINE_TEXT_UMT5_H_
