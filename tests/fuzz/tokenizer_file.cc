// A tokenizer's own file: spiece.model, or tokenizer.json where it begins with {.
#include <stdexcept>

#include "tests/fuzz/fuzz.h"
#include "worker/engine/text/tokenizer.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using svi::engine::Tokenizer;
  const std::string_view bytes = svi::fuzz::View(data, size);
  try {
    const auto tokenizer =
        bytes.starts_with("{") ? Tokenizer::FromJson(bytes) : Tokenizer::FromSentencePiece(bytes);
    for (const int64_t id :
         tokenizer->Encode("A small  <b>tökenizer</b> \xe2\x96\x81 \xf0\x9f\xa6\x8a</s>", 64))
      svi::fuzz::Check(id >= 0 && id < tokenizer->vocab_size(), "ids are in the vocabulary");
  } catch (const std::invalid_argument&) {
  }
  return 0;
}
