// The Wan 2.2 diffusion transformer (TI2V): predicts velocity = noise - clean.
#ifndef SVI_ENGINE_DIT_TRANSFORMER_H_
#define SVI_ENGINE_DIT_TRANSFORMER_H_

#include <ATen/ATen.h>

#include <cstdint>
#include <map>
#include <memory>
#include <string>

#include "worker/engine/nn/layers.h"
#include "worker/engine/weights/weight_source.h"

namespace svi::engine {

// Field names as in the Diffusers config.json of WanTransformer3DModel.
struct TransformerConfig {
  int64_t num_attention_heads = 24;
  int64_t attention_head_dim = 128;
  int64_t in_channels = 48;
  int64_t out_channels = 48;
  int64_t text_dim = 4096;
  int64_t freq_dim = 256;
  int64_t ffn_dim = 14336;
  int64_t num_layers = 30;
  double eps = 1e-6;
  int64_t dim() const { return num_attention_heads * attention_head_dim; }

  // From config.json's text. Throws std::invalid_argument naming the field; refuses what this class does not
  // do (patch size other than 1,2,2; image conditioning; no qk norm).
  static TransformerConfig FromJson(const std::string& text);
  std::string ToJson() const;
};

// Text keys and values of all cross-attention layers, computed once a prompt: they do not depend on the step.
struct TextContext;

class Transformer {
 public:
  Transformer(const TransformerConfig& config,
              WeightSource& weights);  // takes every tensor, does not call Finish()
  ~Transformer();

  const TransformerConfig& config() const;

  // text: [B, L, text_dim] → what Forward needs of it. Rows past the prompt are zero and are attended to
  // (Wan's way).
  std::shared_ptr<const TextContext> PrepareText(const at::Tensor& text) const;
  // Two contexts of texts of one length as one batch, `first` in front.
  static std::shared_ptr<const TextContext> JoinText(const TextContext& first, const TextContext& second);

  // hidden [B, C, F, H, W]; timestep [B] or [B, tokens] (tokens = F·H/2·W/2), any real dtype, fractional
  // allowed; returns [B, C_out, F, H, W] in hidden's dtype. Computes modulation once for each distinct
  // timestep of a row. Gradients flow to whatever takes them, through `text` too, outside inference mode;
  // `checkpoint_blocks`: of each block only the inputs are kept for them, and the transformer must live until
  // the backward pass is done (nn/checkpointed.h).
  at::Tensor Forward(const at::Tensor& hidden, const at::Tensor& timestep, const TextContext& text,
                     bool checkpoint_blocks = false) const;

  // Every linear layer by its module's name in Diffusers' spelling ("blocks.0.attn1.to_q", "proj_out"): what
  // a LoRA may change. Valid as long as the transformer. Contexts from PrepareText hold the weights of their
  // time.
  std::map<std::string, Linear*> Linears();

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace svi::engine

#endif  // SVI_ENGINE_DIT_TRANSFORMER_H_
