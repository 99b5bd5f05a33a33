// Text → token ids, as the tokenizer files of umT5 say.
#ifndef SVI_ENGINE_TEXT_TOKENIZER_H_
#define SVI_ENGINE_TEXT_TOKENIZER_H_

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace svi::engine {

class Tokenizer {
 public:
  virtual ~Tokenizer() = default;

  // Reads `dir`/tokenizer.json (the "fast" format of Hugging Face's tokenizers, with a unigram model), or,
  // where there is none, `dir`/spiece.model (sentencepiece, unigram). Throws std::invalid_argument, naming
  // the file and the field, if neither is there, or one is malformed or asks for something that this class
  // does not do.
  static std::unique_ptr<Tokenizer> Load(const std::string& dir);

  // The same from a tokenizer.json's or a spiece.model's content.
  static std::unique_ptr<Tokenizer> FromJson(std::string_view json);
  static std::unique_ptr<Tokenizer> FromSentencePiece(std::string_view model);

  // The ids with what the file's post-processor adds (a closing </s>). Of more than `max_length` (≥ 1) ids
  // the first are kept, the added ones included. Expects cleaned text (see CleanPrompt); malformed UTF-8
  // counts as U+FFFD.
  virtual std::vector<int64_t> Encode(std::string_view cleaned_utf8, int max_length = 512) const = 0;

  // One more than the highest id that Encode can give: the encoder's table must have at least as many rows.
  virtual int64_t vocab_size() const = 0;
};

}  // namespace svi::engine

#endif  // SVI_ENGINE_TEXT_TOKENIZER_H_
