#include "worker/engine/text/prompt_encoder.h"

#include <absl/base/thread_annotations.h>
#include <absl/synchronization/mutex.h>

#include <cstdint>
#include <stdexcept>
#include <utility>
#include <vector>

#include "worker/engine/text/clean.h"
#include "worker/engine/text/lru_cache.h"
#include "worker/engine/text/tokenizer.h"
#include "worker/engine/text/umt5.h"

namespace svi::engine {
namespace {

// What the transformer was trained on.
constexpr int kMaxTokens = 512;
// A stream uses few prompts at a time (one a scene, and a negative one); an embedding of umT5-xxl takes 8
// MiB.
constexpr size_t kCachedPrompts = 16;

}  // namespace

struct PromptEncoder::Impl {
  Impl(std::unique_ptr<Tokenizer> t, std::unique_ptr<Offloadable<UmT5Encoder>> e)
      : tokenizer(std::move(t)), encoder(std::move(e)), cache(kCachedPrompts) {}

  const std::unique_ptr<Tokenizer> tokenizer;
  const std::unique_ptr<Offloadable<UmT5Encoder>> encoder;
  absl::Mutex mutex;
  LruCache<std::vector<int64_t>, at::Tensor> cache ABSL_GUARDED_BY(mutex);
};

namespace {

at::Tensor Embed(const UmT5Encoder& encoder, const std::vector<int64_t>& ids) {
  const auto count = static_cast<int64_t>(ids.size());
  const at::Tensor padded = at::zeros({1, kMaxTokens}, at::kLong);
  padded.narrow(1, 0, count).copy_(at::tensor(at::ArrayRef<int64_t>(ids), at::kLong));
  const at::Tensor mask = at::zeros({1, kMaxTokens}, at::kLong);
  mask.narrow(1, 0, count).fill_(1);
  return encoder.Forward(padded, mask);
}

}  // namespace

PromptEncoder::PromptEncoder(std::unique_ptr<Tokenizer> tokenizer,
                             std::unique_ptr<Offloadable<UmT5Encoder>> encoder, int64_t vocab_size)
    : impl_(std::make_unique<Impl>(std::move(tokenizer), std::move(encoder))) {
  if (impl_->tokenizer->vocab_size() > vocab_size) {
    throw std::invalid_argument("the tokenizer has " + std::to_string(impl_->tokenizer->vocab_size()) +
                                " ids, the text encoder's vocab_size is " + std::to_string(vocab_size));
  }
}

PromptEncoder::~PromptEncoder() = default;

std::vector<at::Tensor> PromptEncoder::Encode(const std::vector<std::string>& prompts) {
  std::vector<at::Tensor> embeddings;
  std::shared_ptr<const UmT5Encoder> encoder;  // in memory until all prompts are done
  const absl::MutexLock lock(&impl_->mutex);
  for (const std::string& prompt : prompts) {
    const std::vector<int64_t> ids = impl_->tokenizer->Encode(CleanPrompt(prompt), kMaxTokens);
    if (const at::Tensor* known = impl_->cache.Get(ids)) {
      embeddings.push_back(*known);
      continue;
    }
    if (encoder == nullptr) encoder = impl_->encoder->Use();
    embeddings.push_back(Embed(*encoder, ids));
    impl_->cache.Put(ids, embeddings.back());
  }
  return embeddings;
}

}  // namespace svi::engine
