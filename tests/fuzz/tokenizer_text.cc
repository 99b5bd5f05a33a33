// A prompt: cleaned, and encoded by both kinds of tokenizers.
#include <fstream>
#include <iterator>

#include "tests/fuzz/fuzz.h"
#include "worker/engine/text/clean.h"
#include "worker/engine/text/tokenizer.h"
#include "worker/engine/text/unicode.h"

namespace svi::engine {
namespace {

std::string Golden(const char* name) {
  std::ifstream file(std::string(SVI_SOURCE_DIR "/tests/golden/text/") + name, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

void TryEncode(const Tokenizer& tokenizer, const std::string& text) {
  const auto ids = tokenizer.Encode(text);
  fuzz::Check(!ids.empty() && ids.size() <= 512, "1..512 ids");
  for (const int64_t id : ids)
    fuzz::Check(id >= 0 && id < tokenizer.vocab_size(), "ids are in the vocabulary");
}

}  // namespace
}  // namespace svi::engine

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace svi::engine;
  static const auto* json = Tokenizer::FromJson(Golden("tokenizer_a/tokenizer.json")).release();
  static const auto* pieces = Tokenizer::FromSentencePiece(Golden("tokenizer_b/spiece.model")).release();
  const std::string text(svi::fuzz::View(data, size));
  const std::string clean = CleanPrompt(text);
  for (const std::string& each : {text, clean}) {
    TryEncode(*json, each);
    TryEncode(*pieces, each);
  }
  return 0;
}
