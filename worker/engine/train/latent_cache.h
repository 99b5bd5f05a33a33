// A data set's latents and prompt embeddings, encoded once and kept on disk.
#ifndef SVI_ENGINE_TRAIN_LATENT_CACHE_H_
#define SVI_ENGINE_TRAIN_LATENT_CACHE_H_

#include <ATen/ATen.h>

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "engine/video_source.h"
#include "worker/engine/text/prompt_encoder.h"
#include "worker/engine/train/windows.h"
#include "worker/engine/vae/vae.h"

namespace svi::engine {

struct LatentCacheOptions {
  // Made if need be. Several caches may share it: each lives in a subfolder named after all that decides its
  // content, so a changed model, size or option finds nothing and encodes anew. Old subfolders stay; delete
  // them by hand.
  std::string dir;
  std::string model_dir;  // checkpoint whose VAE and text encoder encode
  int width = 0;          // pixels, multiples of 32
  int height = 0;
  WindowOptions window;
  int64_t samples_per_video = 1;  // windows of each video
  int64_t max_stride = 1;  // a window takes every n-th frame, n uniform over 1…max_stride as far as the
                           // video is long enough
  uint64_t seed = 0;       // of stride, start, crop and anchor; each window has its own draws
  bool store_bfloat16 = false;  // halves the files and the memory; latents are computed in float32 anyway
  int64_t memory_bytes = int64_t{2} << 30;  // windows that Load keeps in memory, at most
};

// What turns videos and prompts into what is cached; loaded only when something is missing.
struct CacheModels {
  std::function<std::unique_ptr<Vae>()> vae;
  std::function<std::unique_ptr<PromptEncoder>()> prompts;
  at::Device device = at::kCPU;  // of the VAE
};
// The checkpoint's own, as inference uses them, with the VAE in float32.
CacheModels CacheModelsOf(const std::string& model_dir, at::Device device);

struct CacheReport {
  int64_t videos = 0;          // files of this rank's share; of these, usable: videos - unusable
  int64_t unusable = 0;        // unreadable, or too short
  int64_t encoded = 0;         // windows
  int64_t reused = 0;          // windows that were there
  int64_t anchors_inside = 0;  // shot: windows with no frame outside of them, whose first frame is the anchor
  // The unusable ones, and rows that are there twice.
  std::vector<VideoSource::Skipped> skipped;
  bool stopped = false;  // by the callback; what is done is kept
};

struct CacheCallbacks {
  // This rank's, after every one of them. `what`: "prompts", then "videos".
  std::function<void(const char* what, int64_t done, int64_t total)> progress = [](const char*, int64_t,
                                                                                   int64_t) {};
  std::function<bool()> cancelled = [] { return false; };  // asked before every window and every prompt
};

// Life: construct, Fill on every rank, a barrier of the caller's, Open on every rank, Load. Ranks share
// `dir`.
class LatentCache {
 public:
  // Reads the model's files to know its identity, but does not load it. `videos` must outlive Fill and Open.
  // Throws std::invalid_argument naming field and limit, MissingFile, or std::system_error if the folder
  // cannot be made.
  LatentCache(LatentCacheOptions options, VideoSource& videos);
  ~LatentCache();

  // Encodes what is missing of the videos rank, rank + size, …. A video that cannot be used is reported, not
  // thrown. Throws std::runtime_error when files cannot be written, and what loading and using a model
  // throws.
  CacheReport Fill(const CacheModels& models, int64_t rank, int64_t size, const CacheCallbacks& callbacks);

  // Finds all ranks' windows, in the data set's order: of every row, those of its video. A video with windows
  // missing is left out. Throws std::invalid_argument if nothing is left.
  void Open();

  // The rest needs Open.
  int64_t size() const;
  // A hash of all windows in their order: equal on all ranks, or they do not see the same folder.
  const std::string& fingerprint() const;
  // Thread-safe. Tensors are shared with the cache's memory: do not write to them.
  CachedWindow Load(int64_t index);
  // Embedding of "", for samples whose prompt is dropped, [L, text_dim].
  at::Tensor EmptyPrompt() const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace svi::engine

#endif  // SVI_ENGINE_TRAIN_LATENT_CACHE_H_
