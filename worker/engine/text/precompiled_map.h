// Sentencepiece's "precompiled_charsmap": a table of replacements in a double-array trie (darts-clone).
#ifndef SVI_ENGINE_TEXT_PRECOMPILED_MAP_H_
#define SVI_ENGINE_TEXT_PRECOMPILED_MAP_H_

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace svi::engine {

class PrecompiledMap {
 public:
  // Layout: uint32 size of the trie in bytes, the trie's uint32 units, then the replacements, each ended by a
  // NUL; all little-endian. Throws std::invalid_argument.
  explicit PrecompiledMap(std::string_view blob);

  // What the tokenizers library does: a grapheme cluster shorter than six bytes as a whole becomes what its
  // *shortest* known beginning becomes, else each of its characters for itself.
  std::string NormalizeByGrapheme(std::string_view utf8) const;

  struct Match {
    std::string_view replacement;
    size_t length;
  };
  // What sentencepiece does: the longest known beginning of `text`, or nothing.
  std::optional<Match> Longest(std::string_view text) const;

 private:
  std::optional<Match> Walk(std::string_view text, bool longest) const;
  std::string_view Replacement(size_t offset) const;

  std::vector<uint32_t> units_;
  std::string replacements_;
};

// RFC 4648, padding required. Nothing if it is malformed.
std::optional<std::string> DecodeBase64(std::string_view text);

}  // namespace svi::engine

#endif  // SVI_ENGINE_TEXT_PRECOMPILED_MAP_H_
