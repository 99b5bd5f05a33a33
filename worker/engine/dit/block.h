// One layer of the diffusion transformer.
#ifndef SVI_ENGINE_DIT_BLOCK_H_
#define SVI_ENGINE_DIT_BLOCK_H_

#include <ATen/ATen.h>

#include <map>
#include <string>
#include <vector>

#include "worker/engine/dit/transformer.h"
#include "worker/engine/nn/layers.h"

namespace svi::engine {

// Keys and values of one attention: [B, heads, length, head_dim].
struct KeyValue {
  at::Tensor key, value;
  at::Tensor bias;  // added to the logits, [length]; undefined for none
};

// Modulation of all tokens by the distinct timesteps.
struct Modulation {
  at::Tensor rows;          // float32 [B, R, parts, D]
  at::Tensor row_of_token;  // int64 [B, tokens], values < R

  // All rows with `table` [1, parts, D] added, by part: parts times [B, R, D].
  std::vector<at::Tensor> Parts(const at::Tensor& table) const;
};

// Projections of one attention. q and k pass an RMS norm over all heads together.
class AttentionLayer {
 public:
  AttentionLayer(const Scope& scope, const TransformerConfig& config);

  // x [B, tokens, D] attends to itself, positions turned in.
  at::Tensor SelfAttend(const at::Tensor& x, const at::Tensor& rotations) const;
  // x [B, tokens, D] attends to a text; text.key's batch is B or 1.
  at::Tensor CrossAttend(const at::Tensor& x, const KeyValue& text) const;
  // text [B, length, D].
  KeyValue TextKeyValue(const at::Tensor& text) const;
  // As Transformer::Linears; `prefix` ends with a dot.
  void ListLinears(const std::string& prefix, std::map<std::string, Linear*>& list);

 private:
  int64_t heads_;
  Linear q_, k_, v_, out_;
  RmsNorm norm_q_, norm_k_;
};

// Self-attention, cross-attention to the text and a feed-forward, each added to its input.
class Block {
 public:
  // Scope: "blocks.N".
  Block(const Scope& scope, const TransformerConfig& config);

  // x [B, tokens, D].
  at::Tensor Forward(const at::Tensor& x, const Modulation& modulation, const at::Tensor& rotations,
                     const KeyValue& text, Want want = Want::kResult) const;
  KeyValue TextKeyValue(const at::Tensor& text) const { return attn2_.TextKeyValue(text); }
  void ListLinears(const std::string& prefix, std::map<std::string, Linear*>& list);

 private:
  double eps_;
  AttentionLayer attn1_, attn2_;
  LayerNorm norm2_;
  Linear ffn_in_, ffn_out_;
  at::Tensor scale_shift_table_;  // [1, 6, D]
};

}  // namespace svi::engine

#endif  // SVI_ENGINE_DIT_BLOCK_H_
