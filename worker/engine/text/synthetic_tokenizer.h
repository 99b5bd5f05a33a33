// A small tokenizer of our own making, for models without published files.
#ifndef SVI_ENGINE_TEXT_SYNTHETIC_TOKENIZER_H_
#define SVI_ENGINE_TEXT_SYNTHETIC_TOKENIZER_H_

#include <cstdint>
#include <string>

namespace svi::engine {

// Writes tokenizer.json, tokenizer_config.json, special_tokens_map.json and spiece.model into the existing
// folder `dir` and returns the vocabulary's size. Laid out like umT5's: <pad> 0, </s> 1, <s> 2, <unk> 3, the
// 256 byte pieces, words and characters, then <extra_id_99> .. <extra_id_0>. Every text can be encoded, by
// bytes where nothing else fits. The same bytes every time. Throws std::runtime_error if a file cannot be
// written.
int64_t WriteSyntheticTokenizer(const std::string& dir);

// What WriteSyntheticTokenizer returns.
int64_t SyntheticVocabSize();

}  // namespace svi::engine

#endif  // SVI_ENGINE_TEXT_SYNTHETIC_TOKENIZER_H_
