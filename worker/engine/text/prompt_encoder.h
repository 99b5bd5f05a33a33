// Prompt → embeddings: cleaning, tokenizer and umT5 encoder together.
#ifndef SVI_ENGINE_TEXT_PROMPT_ENCODER_H_
#define SVI_ENGINE_TEXT_PROMPT_ENCODER_H_

#include <ATen/ATen.h>

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "worker/engine/nn/offload.h"

namespace svi::engine {

class Tokenizer;
class UmT5Encoder;

// Thread-safe.
class PromptEncoder {
 public:
  // `vocab_size`: the encoder's. Throws std::invalid_argument if the tokenizer has more ids.
  PromptEncoder(std::unique_ptr<Tokenizer> tokenizer, std::unique_ptr<Offloadable<UmT5Encoder>> encoder,
                int64_t vocab_size);
  ~PromptEncoder();

  // Any valid UTF-8 → [1, 512, d_model] float32 on the encoder's device, rows past the prompt zero; one for
  // each prompt. Keeps the embeddings of the most recent prompts, so that a repeated one costs nothing. Uses
  // the encoder once if any of the prompts is new, else not at all.
  std::vector<at::Tensor> Encode(const std::vector<std::string>& prompts);

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace svi::engine

#endif  // SVI_ENGINE_TEXT_PROMPT_ENCODER_H_
