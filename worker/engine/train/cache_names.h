// Where a latent cache keeps what: every name says by a hash all that decides the file's content, so that
// what has changed is not found. Private to the latent cache.
#ifndef SVI_ENGINE_TRAIN_CACHE_NAMES_H_
#define SVI_ENGINE_TRAIN_CACHE_NAMES_H_

#include <cstdint>
#include <string>

#include "worker/engine/train/latent_cache.h"

namespace svi::engine {

// Paths of the two folders. Embeddings depend on the text encoder and the tokenizer alone, so that runs of
// all sizes and variants share them.
struct CacheFolders {
  std::string windows;
  std::string prompts;
};
// Reads the model's files. Throws as LatentCache's constructor.
CacheFolders CacheFoldersOf(const LatentCacheOptions& options);

// Of a file that holds a window: without its number and ending. The prompt has no say, so that a new caption
// costs no new latents.
std::string WindowStem(const VideoSource::Item& item);
std::string WindowFile(const std::string& folder, const std::string& stem, int64_t sample);
std::string PromptFile(const std::string& folder, const std::string& prompt);

// Draws of a window; the file's time does not change them.
uint64_t WindowSeed(uint64_t seed, const VideoSource::Item& item, int64_t sample);

}  // namespace svi::engine

#endif  // SVI_ENGINE_TRAIN_CACHE_NAMES_H_
