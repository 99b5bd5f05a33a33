#include "worker/engine/checkpoint/key_map.h"

#include <algorithm>

namespace svi::engine {
namespace {

struct Rename {
  const char* original;
  const char* diffusers;
  const char* leaves;
};

constexpr Rename kTransformer[] = {
    {"patch_embedding", "patch_embedding", "weight bias"},
    {"text_embedding.0", "condition_embedder.text_embedder.linear_1", "weight bias"},
    {"text_embedding.2", "condition_embedder.text_embedder.linear_2", "weight bias"},
    {"time_embedding.0", "condition_embedder.time_embedder.linear_1", "weight bias"},
    {"time_embedding.2", "condition_embedder.time_embedder.linear_2", "weight bias"},
    {"time_projection.1", "condition_embedder.time_proj", "weight bias"},
    {"head.head", "proj_out", "weight bias"},
    {"head.modulation", "scale_shift_table", ""},
    {"blocks.#.modulation", "blocks.#.scale_shift_table", ""},
    {"blocks.#.self_attn.q", "blocks.#.attn1.to_q", "weight bias"},
    {"blocks.#.self_attn.k", "blocks.#.attn1.to_k", "weight bias"},
    {"blocks.#.self_attn.v", "blocks.#.attn1.to_v", "weight bias"},
    {"blocks.#.self_attn.o", "blocks.#.attn1.to_out.0", "weight bias"},
    {"blocks.#.self_attn.norm_q", "blocks.#.attn1.norm_q", "weight"},
    {"blocks.#.self_attn.norm_k", "blocks.#.attn1.norm_k", "weight"},
    {"blocks.#.cross_attn.q", "blocks.#.attn2.to_q", "weight bias"},
    {"blocks.#.cross_attn.k", "blocks.#.attn2.to_k", "weight bias"},
    {"blocks.#.cross_attn.v", "blocks.#.attn2.to_v", "weight bias"},
    {"blocks.#.cross_attn.o", "blocks.#.attn2.to_out.0", "weight bias"},
    {"blocks.#.cross_attn.norm_q", "blocks.#.attn2.norm_q", "weight"},
    {"blocks.#.cross_attn.norm_k", "blocks.#.attn2.norm_k", "weight"},
    // The one norm with parameters, the one before cross-attention, is counted differently.
    {"blocks.#.norm3", "blocks.#.norm2", "weight bias"},
    {"blocks.#.ffn.0", "blocks.#.ffn.net.0.proj", "weight bias"},
    {"blocks.#.ffn.2", "blocks.#.ffn.net.2", "weight bias"},
};

constexpr Rename kTextEncoder[] = {
    {"token_embedding", "shared", "weight"},
    {"norm", "encoder.final_layer_norm", "weight"},
    {"blocks.#.norm1", "encoder.block.#.layer.0.layer_norm", "weight"},
    {"blocks.#.attn.q", "encoder.block.#.layer.0.SelfAttention.q", "weight"},
    {"blocks.#.attn.k", "encoder.block.#.layer.0.SelfAttention.k", "weight"},
    {"blocks.#.attn.v", "encoder.block.#.layer.0.SelfAttention.v", "weight"},
    {"blocks.#.attn.o", "encoder.block.#.layer.0.SelfAttention.o", "weight"},
    {"blocks.#.pos_embedding.embedding", "encoder.block.#.layer.0.SelfAttention.relative_attention_bias",
     "weight"},
    {"blocks.#.norm2", "encoder.block.#.layer.1.layer_norm", "weight"},
    {"blocks.#.ffn.gate.0", "encoder.block.#.layer.1.DenseReluDense.wi_0", "weight"},
    {"blocks.#.ffn.fc1", "encoder.block.#.layer.1.DenseReluDense.wi_1", "weight"},
    {"blocks.#.ffn.fc2", "encoder.block.#.layer.1.DenseReluDense.wo", "weight"},
};

// Within the encoder and, alike, within the decoder.
constexpr Rename kVaeHalf[] = {
    {"conv1", "conv_in", "weight bias"},
    {"middle.1.norm", "mid_block.attentions.0.norm", "gamma"},
    {"middle.1.to_qkv", "mid_block.attentions.0.to_qkv", "weight bias"},
    {"middle.1.proj", "mid_block.attentions.0.proj", "weight bias"},
    {"head.0", "norm_out", "gamma"},
    {"head.2", "conv_out", "weight bias"},
};

constexpr Rename kVaeBlock[] = {
    {"residual.0", "norm1", "gamma"},
    {"residual.2", "conv1", "weight bias"},
    {"residual.3", "norm2", "gamma"},
    {"residual.6", "conv2", "weight bias"},
    {"shortcut", "conv_shortcut", "weight bias"},
};

constexpr int64_t kVaeStages = 4;

}  // namespace

void KeyMap::Add(const std::string& original, const std::string& diffusers, std::string_view leaves) {
  if (leaves.empty()) {
    to_diffusers_.emplace(original, diffusers);
    to_original_.emplace(diffusers, original);
    return;
  }
  while (!leaves.empty()) {
    const size_t space = std::min(leaves.find(' '), leaves.size());
    const std::string leaf = "." + std::string(leaves.substr(0, space));
    Add(original + leaf, diffusers + leaf, "");
    leaves.remove_prefix(std::min(space + 1, leaves.size()));
  }
}

void KeyMap::AddVaeBlock(const std::string& original, const std::string& diffusers) {
  for (const Rename& part : kVaeBlock) {
    Add(original + "." + part.original, diffusers + "." + part.diffusers, part.leaves);
  }
}

void KeyMap::AddVaeHalf(const std::string& half, int64_t blocks) {
  const bool down = half == "encoder";
  const std::string list = down ? "downsamples" : "upsamples";
  for (const Rename& part : kVaeHalf) {
    Add(half + "." + part.original, half + "." + part.diffusers, part.leaves);
  }
  AddVaeBlock(half + ".middle.0", half + ".mid_block.resnets.0");
  AddVaeBlock(half + ".middle.2", half + ".mid_block.resnets.1");
  for (int64_t stage = 0; stage < kVaeStages; ++stage) {
    const std::string index = std::to_string(stage);
    const std::string original = half + "." + list + "." + index + "." + list + ".";
    const std::string diffusers = half + (down ? ".down_blocks." : ".up_blocks.") + index;
    for (int64_t block = 0; block < blocks; ++block) {
      AddVaeBlock(original + std::to_string(block), diffusers + ".resnets." + std::to_string(block));
    }
    if (stage + 1 == kVaeStages) continue;
    // What changes the size comes after the blocks, in the same list.
    const std::string sampler = original + std::to_string(blocks);
    const std::string name = diffusers + (down ? ".downsampler" : ".upsampler");
    Add(sampler + ".resample.1", name + ".resample.1", "weight bias");
    Add(sampler + ".time_conv", name + ".time_conv", "weight bias");
  }
}

const KeyMap& KeyMap::Transformer() {
  static const KeyMap map = [] {
    KeyMap made;
    made.original_blocks_ = made.diffusers_blocks_ = "blocks.";
    for (const Rename& entry : kTransformer) made.Add(entry.original, entry.diffusers, entry.leaves);
    return made;
  }();
  return map;
}

const KeyMap& KeyMap::TextEncoder() {
  static const KeyMap map = [] {
    KeyMap made;
    made.original_blocks_ = "blocks.";
    made.diffusers_blocks_ = "encoder.block.";
    for (const Rename& entry : kTextEncoder) made.Add(entry.original, entry.diffusers, entry.leaves);
    made.to_original_.emplace("encoder.embed_tokens.weight", "token_embedding.weight");  // tied to shared
    return made;
  }();
  return map;
}

KeyMap KeyMap::Vae(int64_t num_res_blocks) {
  KeyMap made;
  made.Add("conv1", "quant_conv", "weight bias");
  made.Add("conv2", "post_quant_conv", "weight bias");
  made.AddVaeHalf("encoder", num_res_blocks);
  // The decoder's stages have one block more.
  made.AddVaeHalf("decoder", num_res_blocks + 1);
  return made;
}

std::optional<std::string> KeyMap::Find(const Table& table, std::string_view prefix, std::string_view name) {
  // A name with "#" in it is nobody's tensor.
  if (name.find('#') != std::string_view::npos) return std::nullopt;
  std::string pattern(name);
  std::string number;
  if (!prefix.empty() && name.starts_with(prefix)) {
    const std::string_view rest = name.substr(prefix.size());
    const size_t dot = rest.find('.');
    number = std::string(rest.substr(0, dot));
    const bool digits = !number.empty() && std::all_of(number.begin(), number.end(),
                                                       [](char c) { return c >= '0' && c <= '9'; });
    // "007" would be a second spelling of 7.
    if (dot == std::string_view::npos || !digits || (number.size() > 1 && number[0] == '0')) {
      return std::nullopt;
    }
    pattern.replace(prefix.size(), dot, "#");
  }
  const auto found = table.find(pattern);
  if (found == table.end()) return std::nullopt;
  std::string result = found->second;
  if (const size_t mark = result.find('#'); mark != std::string::npos) result.replace(mark, 1, number);
  return result;
}

std::optional<std::string> KeyMap::ToDiffusers(std::string_view original) const {
  return Find(to_diffusers_, original_blocks_, original);
}

std::optional<std::string> KeyMap::ToOriginal(std::string_view diffusers) const {
  return Find(to_original_, diffusers_blocks_, diffusers);
}

}  // namespace svi::engine
