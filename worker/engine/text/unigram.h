// The unigram language model: a word → the pieces whose scores add up to the most.
#ifndef SVI_ENGINE_TEXT_UNIGRAM_H_
#define SVI_ENGINE_TEXT_UNIGRAM_H_

#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace svi::engine {

struct UnigramPiece {
  std::string text;
  double score = 0;
  int64_t id = 0;
};

// How two programs that read the same model differ.
struct UnigramRules {
  // The id of what no piece covers; neighbours of it become one.
  int64_t unk_id = 0;
  double unk_score = 0;
  // What no piece covers becomes the pieces of its UTF-8 bytes, if all of them are there.
  bool byte_fallback = false;
  // Sums are kept in float (sentencepiece) or double (tokenizers); matters for ties only.
  bool single_precision = false;
  // Whether what was joined of neighbouring unknowns may be a piece itself (tokenizers).
  bool look_up_joined = true;
};

class Unigram {
 public:
  // `pieces`: what words are made of; of equal texts the last counts. `bytes`: the ids of the byte pieces, -1
  // where there is none. Texts must not be empty.
  Unigram(std::vector<UnigramPiece> pieces, const std::array<int64_t, 256>& bytes, const UnigramRules& rules);

  // Appends the ids of `word` (valid UTF-8).
  void Encode(std::string_view word, std::vector<int64_t>& ids) const;

  const UnigramPiece* Find(std::string_view text) const;

 private:
  struct Node {
    double score = 0;
    size_t begin = SIZE_MAX;
    int64_t id = -1;
  };
  std::vector<Node> BestPaths(std::string_view word) const;
  void Offer(Node& node, double score, size_t begin, int64_t id) const;
  void AppendUnknown(std::string_view text, std::vector<int64_t>& ids) const;

  std::vector<UnigramPiece> pieces_;  // sorted by text
  std::array<int64_t, 256> bytes_;
  UnigramRules rules_;
};

// The text of a byte's piece: "<0x0A>".
std::string BytePieceText(int byte);

}  // namespace svi::engine

#endif  // SVI_ENGINE_TEXT_UNIGRAM_H_
