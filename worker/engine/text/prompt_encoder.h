// Prompt → embeddings: cleaning, tokenizer and umT5 encoder together.
#ifndef SVI_ENGINE_TEXT_PROMPT_ENCODER_H_
#define SVI_ENGINE_TEXT_PROMPT_ENCODER_H_

#include <ATen/ATen.h>

#include <memory>
#include <string>

namespace svi::engine {

class Tokenizer;
class UmT5Encoder;

class PromptEncoder {
 public:
  PromptEncoder(std::unique_ptr<Tokenizer> tokenizer, std::unique_ptr<UmT5Encoder> encoder);
  ~PromptEncoder();

  // Any valid UTF-8 → [1, 512, d_model] float32 on the encoder's device, rows past the prompt zero. Keeps the
  // embeddings of the most recent prompts, so that a repeated one costs nothing.
  at::Tensor Encode(const std::string& prompt);

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace svi::engine

#endif  // SVI_ENGINE_TEXT_PROMPT_ENCODER_H_
