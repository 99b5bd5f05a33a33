// The "normalizer" and "pre_tokenizer" parts of a tokenizer.json.
#ifndef SVI_ENGINE_TEXT_NORMALIZER_H_
#define SVI_ENGINE_TEXT_NORMALIZER_H_

#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "worker/engine/text/json_reader.h"

namespace svi::engine {

// Steps that change a piece of text, applied in order.
using TextStep = std::function<std::string(std::string_view)>;

// Reads Sequence, Precompiled, Replace, Strip, Prepend, Lowercase, NFC, NFD, NFKC and NFKD; null is no step.
// A Replace knows fixed strings and the regular expressions that runs of spaces need. Throws
// std::invalid_argument for others.
std::vector<TextStep> ReadNormalizer(const JsonReader& json);

// A part of the text between added tokens. `first`: it begins where the text begins.
struct TextSegment {
  std::string text;
  bool first;
};

// Steps that cut segments into words; an empty word is dropped.
using SplitStep = std::function<std::vector<TextSegment>(const TextSegment&)>;

// Reads Sequence, WhitespaceSplit and Metaspace, the latter with "prepend_scheme" or the older
// "add_prefix_space"; null is no step.
std::vector<SplitStep> ReadPreTokenizer(const JsonReader& json);

}  // namespace svi::engine

#endif  // SVI_ENGINE_TEXT_NORMALIZER_H_
