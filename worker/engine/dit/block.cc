#include "worker/engine/dit/block.h"

#include "worker/engine/dit/rope.h"
#include "worker/engine/kernels/modulated_norm.h"
#include "worker/engine/kernels/token_rows.h"

namespace svi::engine {

std::vector<at::Tensor> Modulation::Parts(const at::Tensor& table) const {
  return at::unbind(rows + table.unsqueeze(1).to(rows.scalar_type()), 2);
}

AttentionLayer::AttentionLayer(const Scope& scope, const TransformerConfig& config)
    : heads_(config.num_attention_heads),
      q_(scope / "to_q", config.dim(), config.dim()),
      k_(scope / "to_k", config.dim(), config.dim()),
      v_(scope / "to_v", config.dim(), config.dim()),
      out_(scope / "to_out" / "0", config.dim(), config.dim()),
      norm_q_(scope / "norm_q", config.dim(), config.eps),
      norm_k_(scope / "norm_k", config.dim(), config.eps) {}

at::Tensor AttentionLayer::SelfAttend(const at::Tensor& x, const at::Tensor& rotations) const {
  const auto turned = [&](const at::Tensor& projected) {
    return Rotate(projected.unflatten(-1, {heads_, -1}), rotations).transpose(1, 2);
  };
  const at::Tensor q = turned(norm_q_.Forward(q_.Forward(x)));
  const at::Tensor k = turned(norm_k_.Forward(k_.Forward(x)));
  return out_.Forward(Attend(q, k, SplitHeads(v_.Forward(x), heads_)));
}

at::Tensor AttentionLayer::CrossAttend(const at::Tensor& x, const KeyValue& text) const {
  const at::Tensor q = SplitHeads(norm_q_.Forward(q_.Forward(x)), heads_);
  const auto of_batch = [&](const at::Tensor& t) { return t.expand({x.size(0), -1, -1, -1}); };
  return out_.Forward(Attend(q, of_batch(text.key), of_batch(text.value), text.bias));
}

KeyValue AttentionLayer::TextKeyValue(const at::Tensor& text) const {
  return {SplitHeads(norm_k_.Forward(k_.Forward(text)), heads_), SplitHeads(v_.Forward(text), heads_), {}};
}

void AttentionLayer::ListLinears(const std::string& prefix, std::map<std::string, Linear*>& list) {
  list[prefix + "to_q"] = &q_;
  list[prefix + "to_k"] = &k_;
  list[prefix + "to_v"] = &v_;
  list[prefix + "to_out.0"] = &out_;
}

void Block::ListLinears(const std::string& prefix, std::map<std::string, Linear*>& list) {
  attn1_.ListLinears(prefix + "attn1.", list);
  attn2_.ListLinears(prefix + "attn2.", list);
  list[prefix + "ffn.net.0.proj"] = &ffn_in_;
  list[prefix + "ffn.net.2"] = &ffn_out_;
}

Block::Block(const Scope& scope, const TransformerConfig& config)
    : eps_(config.eps),
      attn1_(scope / "attn1", config),
      attn2_(scope / "attn2", config),
      norm2_(scope / "norm2", config.dim(), config.eps),
      ffn_in_(scope / "ffn" / "net" / "0" / "proj", config.dim(), config.ffn_dim),
      ffn_out_(scope / "ffn" / "net" / "2", config.ffn_dim, config.dim()),
      scale_shift_table_(scope.Take("scale_shift_table", {1, 6, config.dim()})) {}

at::Tensor Block::Forward(const at::Tensor& x, const Modulation& modulation, const at::Tensor& rotations,
                          const KeyValue& text, Want want) const {
  const std::vector<at::Tensor> parts = modulation.Parts(scale_shift_table_);
  const at::Tensor& row_of_token = modulation.row_of_token;

  const at::Tensor attn1_in = ModulatedNorm(x, parts[0], parts[1], row_of_token, eps_);
  at::Tensor y = AddGated(x, attn1_.SelfAttend(attn1_in, rotations), parts[2], row_of_token);

  y = y + attn2_.CrossAttend(norm2_.Forward(y), text);

  const at::Tensor ffn_in = ModulatedNorm(y, parts[3], parts[4], row_of_token, eps_);
  // The gate's gradient is the one thing behind the last product that needs its values.
  const Want last = Recorded(parts[5]) ? Want::kResult : want;
  const at::Tensor update = ffn_out_.Forward(at::gelu(ffn_in_.Forward(ffn_in), "tanh"), last);
  return AddGated(y, update, parts[5], row_of_token);
}

}  // namespace svi::engine
