#include "worker/engine/dit/transformer.h"

#include <algorithm>
#include <cmath>
#include <deque>
#include <stdexcept>
#include <vector>

#include "worker/engine/dit/block.h"
#include "worker/engine/dit/rope.h"
#include "worker/engine/dit/timesteps.h"
#include "worker/engine/kernels/modulated_norm.h"
#include "worker/engine/nn/checkpointed.h"
#include "worker/engine/nn/layers.h"

namespace svi::engine {
namespace {

void Check(bool ok, const char* what) {
  if (!ok) throw std::invalid_argument(std::string("transformer: ") + what);
}

// [B, C, F, H, W] → [B, tokens, 4 C], each token a patch of 2 × 2 in the order channel, row, column.
at::Tensor Patchify(const at::Tensor& x, const TokenGrid& grid) {
  const int64_t batch = x.size(0), channels = x.size(1);
  return x.reshape({batch, channels, grid.frames, grid.rows, 2, grid.columns, 2})
      .permute({0, 2, 3, 5, 1, 4, 6})
      .reshape({batch, grid.tokens(), channels * 4});
}

// [B, tokens, 4 C], here in the order row, column, channel → [B, C, F, H, W].
at::Tensor Unpatchify(const at::Tensor& x, const TokenGrid& grid) {
  const int64_t batch = x.size(0), channels = x.size(2) / 4;
  return x.view({batch, grid.frames, grid.rows, grid.columns, 2, 2, channels})
      .permute({0, 6, 1, 2, 4, 3, 5})
      .reshape({batch, channels, grid.frames, grid.rows * 2, grid.columns * 2});
}

// Rows of text [B, length, width] up to the first of those at its end that are zero in the whole batch. What
// comes after is the same row again, most of a padded prompt, and need not be computed again.
int64_t DistinctRows(const at::Tensor& text) {
  const at::Tensor used = (text != 0).any(2).any(0).nonzero();
  const int64_t last = used.numel() == 0 ? -1 : used.max().item<int64_t>();
  return std::min(last + 2, text.size(1));
}

// [B, heads, n, d] → [B, heads, length, d].
at::Tensor RepeatLast(const at::Tensor& x, int64_t length) {
  const int64_t rows = x.size(2);
  if (rows == length) return x;
  return at::cat({x, x.narrow(2, rows - 1, 1).expand({-1, -1, length - rows, -1})}, 2);
}

// A logit's bias with which the last of `rows` rows counts as often as `length` says it is there.
at::Tensor CountLast(int64_t rows, int64_t length, const at::Tensor& like) {
  at::Tensor bias = at::zeros({rows}, like.options());
  bias[rows - 1].fill_(std::log(static_cast<double>(length - rows + 1)));
  return bias;
}

// Of a text of `length` rows the first `rows`, the last of which stands for those that are left out.
KeyValue Shortened(const KeyValue& text, int64_t rows, int64_t length) {
  KeyValue result{RepeatLast(text.key, rows), RepeatLast(text.value, rows), {}};
  if (rows < length) result.bias = CountLast(rows, length, text.key);
  return result;
}

// block.Forward, computed again in the backward pass.
at::Tensor CheckpointedBlock(const Block& block, const at::Tensor& x, const Modulation& modulation,
                             const at::Tensor& rotations, const KeyValue& text) {
  return Checkpointed(
      [&block, row_of_token = modulation.row_of_token, rotations, bias = text.bias](
          const std::vector<at::Tensor>& inputs, Want want) {
        return block.Forward(inputs[0], {inputs[1], row_of_token}, rotations, {inputs[2], inputs[3], bias},
                             want);
      },
      {x, modulation.rows, text.key, text.value});
}

}  // namespace

struct TextContext {
  int64_t batch = 0;
  int64_t length = 0;  // of the text; layers hold no more rows than they need
  std::vector<KeyValue> layers;
  int64_t rows() const { return layers.front().key.size(2); }
};

struct Transformer::Impl {
  Impl(const TransformerConfig& c, const Scope& scope)
      : config(c),
        patch_weight(scope.Take("patch_embedding.weight", {c.dim(), c.in_channels, 1, 2, 2})),
        patch_bias(scope.Take("patch_embedding.bias", {c.dim()})),
        time_embedding(scope / "condition_embedder", c.freq_dim, c.dim()),
        text_in(scope / "condition_embedder" / "text_embedder" / "linear_1", c.text_dim, c.dim()),
        text_out(scope / "condition_embedder" / "text_embedder" / "linear_2", c.dim(), c.dim()),
        proj_out(scope / "proj_out", c.dim(), c.out_channels * 4),
        scale_shift_table(scope.Take("scale_shift_table", {1, 2, c.dim()})),
        rotations(c.attention_head_dim) {
    for (int64_t i = 0; i < c.num_layers; ++i) blocks.emplace_back(scope / "blocks" / i, c);
  }

  TokenGrid CheckInputs(const at::Tensor& hidden, const at::Tensor& timestep, const TextContext& text) const {
    Check(hidden.dim() == 5 && hidden.size(1) == config.in_channels,
          "hidden must be [B, in_channels, F, H, W]");
    Check(hidden.numel() > 0, "hidden is empty");
    Check(hidden.size(3) % 2 == 0 && hidden.size(4) % 2 == 0, "H and W must be even");
    const TokenGrid grid{hidden.size(2), hidden.size(3) / 2, hidden.size(4) / 2};
    Check((timestep.dim() == 1 || (timestep.dim() == 2 && timestep.size(1) == grid.tokens())) &&
              timestep.size(0) == hidden.size(0),
          "timestep must be [B] or [B, tokens]");
    Check(text.batch == 1 || text.batch == hidden.size(0), "the text's batch must be 1 or hidden's");
    Check(text.layers.size() == blocks.size(), "the text was prepared by another model");
    return grid;
  }

  // A convolution whose kernel is its stride is a matrix product over the patches.
  at::Tensor Embed(const at::Tensor& hidden, const TokenGrid& grid) const {
    const at::ScalarType dtype = hidden.scalar_type();
    return at::linear(Patchify(hidden, grid), patch_weight.flatten(1).to(dtype), patch_bias.to(dtype));
  }

  at::Tensor Head(const at::Tensor& x, const Modulation& modulation, const TokenGrid& grid) const {
    const std::vector<at::Tensor> parts = modulation.Parts(scale_shift_table);
    const at::Tensor y = ModulatedNorm(x, parts[0], parts[1], modulation.row_of_token, config.eps);
    return Unpatchify(proj_out.Forward(y), grid);
  }

  TransformerConfig config;
  at::Tensor patch_weight, patch_bias;
  TimeEmbedding time_embedding;
  Linear text_in, text_out;
  std::deque<Block> blocks;
  Linear proj_out;
  at::Tensor scale_shift_table;  // [1, 2, D]
  mutable RotationCache rotations;
};

Transformer::Transformer(const TransformerConfig& config, WeightSource& weights)
    : impl_(std::make_unique<Impl>(config, Scope(weights))) {}

Transformer::~Transformer() = default;

const TransformerConfig& Transformer::config() const { return impl_->config; }

std::shared_ptr<const TextContext> Transformer::PrepareText(const at::Tensor& text) const {
  Check(text.dim() == 3 && text.size(2) == impl_->config.text_dim && text.numel() > 0,
        "text must be [B, length, text_dim]");
  const at::Tensor rows = text.narrow(1, 0, DistinctRows(text));
  const at::Tensor embedded = impl_->text_out.Forward(at::gelu(impl_->text_in.Forward(rows), "tanh"));
  auto context = std::make_shared<TextContext>();
  context->batch = text.size(0);
  context->length = text.size(1);
  // A GPU's fast attention takes no bias, and a prompt's length is little to it.
  const int64_t kept = text.is_cpu() ? rows.size(1) : text.size(1);
  for (const Block& block : impl_->blocks) {
    context->layers.push_back(Shortened(block.TextKeyValue(embedded), kept, text.size(1)));
  }
  return context;
}

std::shared_ptr<const TextContext> Transformer::JoinText(const TextContext& first,
                                                         const TextContext& second) {
  Check(first.layers.size() == second.layers.size(), "the texts were prepared by different models");
  Check(first.length == second.length, "texts of different lengths cannot be one batch");
  auto joined = std::make_shared<TextContext>();
  joined->batch = first.batch + second.batch;
  joined->length = first.length;
  const int64_t rows = std::max(first.rows(), second.rows());
  for (size_t i = 0; i < first.layers.size(); ++i) {
    const KeyValue one = Shortened(first.layers[i], rows, first.length);
    const KeyValue two = Shortened(second.layers[i], rows, first.length);
    joined->layers.push_back({at::cat({one.key, two.key}), at::cat({one.value, two.value}), one.bias});
  }
  return joined;
}

std::map<std::string, Linear*> Transformer::Linears() {
  std::map<std::string, Linear*> list;
  impl_->time_embedding.ListLinears("condition_embedder.", list);
  list["condition_embedder.text_embedder.linear_1"] = &impl_->text_in;
  list["condition_embedder.text_embedder.linear_2"] = &impl_->text_out;
  for (size_t i = 0; i < impl_->blocks.size(); ++i) {
    impl_->blocks[i].ListLinears("blocks." + std::to_string(i) + ".", list);
  }
  list["proj_out"] = &impl_->proj_out;
  return list;
}

at::Tensor Transformer::Forward(const at::Tensor& hidden, const at::Tensor& timestep, const TextContext& text,
                                bool checkpoint_blocks) const {
  const TokenGrid grid = impl_->CheckInputs(hidden, timestep, text);
  const at::Tensor rotations = impl_->rotations.Get(grid, hidden.device());
  const DistinctTimesteps distinct = FindDistinctTimesteps(timestep.to(hidden.device()), grid.tokens());
  const TimeEmbedding::Output time = impl_->time_embedding.Forward(distinct.values);

  at::Tensor x = impl_->Embed(hidden, grid);
  const Modulation of_blocks{time.blocks, distinct.row_of_token};
  for (size_t i = 0; i < impl_->blocks.size(); ++i) {
    const Block& block = impl_->blocks[i];
    x = checkpoint_blocks ? CheckpointedBlock(block, x, of_blocks, rotations, text.layers[i])
                          : block.Forward(x, of_blocks, rotations, text.layers[i]);
  }
  // Both parts of the head's modulation start from the same embedding.
  const Modulation of_head{time.head.unsqueeze(2).expand({-1, -1, 2, -1}), distinct.row_of_token};
  return impl_->Head(x, of_head, grid);
}

}  // namespace svi::engine
