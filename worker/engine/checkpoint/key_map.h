// The two spellings of every tensor's name: Wan's own code and Diffusers (Hugging Face's for the text
// encoder).
#ifndef SVI_ENGINE_CHECKPOINT_KEY_MAP_H_
#define SVI_ENGINE_CHECKPOINT_KEY_MAP_H_

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <string_view>

namespace svi::engine {

// One component's names, both ways; whatever the widths and depths. Constant, made once. Returns nothing for
// a name that no checkpoint of this component has. With a VAE, blocks are numbered through in one spelling
// and by kind in the other, so its map must know num_res_blocks.
class KeyMap {
 public:
  static const KeyMap& Transformer();
  static const KeyMap& TextEncoder();
  static KeyMap Vae(int64_t num_res_blocks);

  // "blocks.3.self_attn.q.weight" → "blocks.3.attn1.to_q.weight". The text encoder's token_embedding.weight
  // is shared.weight here (Hugging Face's files may repeat it as encoder.embed_tokens.weight).
  std::optional<std::string> ToDiffusers(std::string_view original) const;
  std::optional<std::string> ToOriginal(std::string_view diffusers) const;

 private:
  // Names with "#" in the place of a block's number.
  using Table = std::map<std::string, std::string, std::less<>>;

  // `leaves`: what follows both names ("weight bias"); empty if the names are whole.
  void Add(const std::string& original, const std::string& diffusers, std::string_view leaves);
  void AddVaeBlock(const std::string& original, const std::string& diffusers);
  void AddVaeHalf(const std::string& half, int64_t blocks);
  static std::optional<std::string> Find(const Table& table, std::string_view prefix, std::string_view name);

  std::string original_blocks_;  // what stands before a block's number; empty: nothing is numbered
  std::string diffusers_blocks_;
  Table to_diffusers_;
  Table to_original_;
};

}  // namespace svi::engine

#endif  // SVI_ENGINE_CHECKPOINT_KEY_MAP_H_
