#include "worker/engine/train/latent_cache.h"

#include <ATen/CPUGeneratorImpl.h>
#include <absl/strings/escaping.h>
#include <absl/strings/str_cat.h>
#include <c10/core/InferenceMode.h>

#include <algorithm>
#include <filesystem>
#include <map>
#include <optional>
#include <set>
#include <stdexcept>
#include <system_error>
#include <utility>

#include "client/sha256.h"
#include "worker/engine/checkpoint/loaders.h"
#include "worker/engine/train/cache_names.h"
#include "worker/engine/train/tensor_shelf.h"
#include "worker/engine/train/window_encoder.h"
#include "worker/engine/weights/safetensors.h"

namespace svi::engine {
namespace {

namespace fs = std::filesystem;

void Require(bool ok, const char* what) {
  if (!ok) throw std::invalid_argument(what);
}

void CheckOptions(const LatentCacheOptions& options) {
  Require(!options.dir.empty(), "the latent cache needs a folder");
  Require(options.width >= 32 && options.width <= 4096 && options.width % 32 == 0,
          "width must be a multiple of 32 from 32 to 4096");
  Require(options.height >= 32 && options.height <= 4096 && options.height % 32 == 0,
          "height must be a multiple of 32 from 32 to 4096");
  Require(options.samples_per_video >= 1 && options.samples_per_video <= 1000,
          "samples_per_video must be from 1 to 1000");
  Require(options.max_stride >= 1 && options.max_stride <= 16, "max_stride must be from 1 to 16");
  CheckWindowOptions(options.window);
}

// Messages name the folder as the user knows it: std::filesystem's own tell whole paths.
void MakeFolder(const std::string& path) {
  std::error_code error;
  fs::create_directories(path, error);
  if (error) throw std::system_error(error, "the latent cache's folder cannot be made");
}

bool Exists(const std::string& path) {
  std::error_code ignored;
  return fs::exists(path, ignored);
}

// A file of the cache that is all there; one that is not is written anew.
std::optional<TensorFile> ReadWhole(const std::string& path, const char* tensor) {
  if (!Exists(path)) return std::nullopt;
  try {
    TensorFile file = ReadSafetensors(path);
    if (file.tensors.contains(tensor)) return file;
  } catch (const std::exception&) {
  }
  return std::nullopt;
}

// The rows of real tokens: what the encoder gives ends in rows of zeros (see PromptEncoder).
at::Tensor TrimPrompt(const at::Tensor& embedding) {
  const at::Tensor rows = embedding.select(0, 0).to(at::kCPU);
  const at::Tensor used = rows.ne(0).any(1).nonzero();
  const int64_t count = used.numel() == 0 ? 1 : used.max().item<int64_t>() + 1;
  return rows.narrow(0, 0, count);
}

// A file of the data set, which several rows may name.
struct Video {
  size_t item = 0;  // of its first row
  std::string stem;
};

struct Sample {
  std::string window;  // paths
  std::string prompt;
};

}  // namespace

struct LatentCache::Impl {
  Impl(LatentCacheOptions o, VideoSource& v) : options(std::move(o)), source(v), shelf(options.memory_bytes) {
    CheckOptions(options);
    folders = CacheFoldersOf(options);
    ListVideos();
  }

  void ListVideos();
  std::vector<std::string> Files(const std::string& stem) const;
  bool HasWindow(const std::string& path, CacheReport* report) const;

  // Parts of Fill, of one rank's share. False: stopped.
  bool FillPrompts(const CacheModels& models, int64_t rank, int64_t size, const CacheCallbacks& callbacks);
  bool FillVideo(const Video& video, const CacheModels& models, const std::function<bool()>& before_window,
                 CacheReport* report);
  absl::Status EncodeTo(const std::string& path, const Video& video, int64_t sample, int64_t frames,
                        const CacheModels& models, CacheReport* report);
  void WritePrompt(const std::string& path, const at::Tensor& embedding) const;

  at::ScalarType dtype() const { return options.store_bfloat16 ? at::kBFloat16 : at::kFloat; }

  const LatentCacheOptions options;
  VideoSource& source;
  CacheFolders folders;
  TensorShelf shelf;

  std::vector<Video> videos;         // each file once
  std::vector<size_t> video_of;      // of each row
  std::vector<size_t> doubles;       // rows that are there already
  std::vector<std::string> prompts;  // each once, "" first
  std::unique_ptr<Vae> vae;          // during Fill, once it is needed
  std::vector<Sample> samples;       // since Open
  std::string fingerprint;
};

void LatentCache::Impl::ListVideos() {
  std::map<std::string, size_t> by_stem;
  std::set<std::pair<size_t, std::string>> rows;
  std::set<std::string> texts = {""};
  prompts = {""};
  for (size_t i = 0; i < source.items().size(); ++i) {
    const VideoSource::Item& item = source.items()[i];
    const std::string stem = WindowStem(item);
    const auto [place, is_new] = by_stem.emplace(stem, videos.size());
    if (is_new) videos.push_back({i, stem});
    video_of.push_back(place->second);
    if (!rows.emplace(place->second, item.prompt).second) doubles.push_back(i);
    if (texts.insert(item.prompt).second) prompts.push_back(item.prompt);
  }
}

std::vector<std::string> LatentCache::Impl::Files(const std::string& stem) const {
  std::vector<std::string> files;
  for (int64_t s = 0; s < options.samples_per_video; ++s)
    files.push_back(WindowFile(folders.windows, stem, s));
  return files;
}

// Counts what the file says of itself.
bool LatentCache::Impl::HasWindow(const std::string& path, CacheReport* report) const {
  const std::optional<TensorFile> file = ReadWhole(path, "stream");
  if (!file) return false;
  const auto anchor = file->metadata.find("anchor");
  if (anchor != file->metadata.end() && anchor->second == "inside") ++report->anchors_inside;
  return true;
}

void LatentCache::Impl::WritePrompt(const std::string& path, const at::Tensor& embedding) const {
  TensorFile file;
  file.tensors["prompt"] = TrimPrompt(embedding).to(dtype());
  WriteSafetensors(path, file);
}

bool LatentCache::Impl::FillPrompts(const CacheModels& models, int64_t rank, int64_t size,
                                    const CacheCallbacks& callbacks) {
  std::unique_ptr<PromptEncoder> encoder;
  const auto count = static_cast<int64_t>(prompts.size());
  const int64_t share = (count - rank + size - 1) / size;
  for (int64_t i = rank, done = 0; i < count; i += size) {
    const std::string& prompt = prompts[static_cast<size_t>(i)];
    const std::string path = PromptFile(folders.prompts, prompt);
    if (!ReadWhole(path, "prompt")) {
      if (callbacks.cancelled()) return false;
      if (encoder == nullptr) encoder = models.prompts();
      WritePrompt(path, encoder->Encode({prompt})[0]);
    }
    callbacks.progress("prompts", ++done, share);
  }
  return true;
}

absl::Status LatentCache::Impl::EncodeTo(const std::string& path, const Video& video, int64_t sample,
                                         int64_t frames, const CacheModels& models, CacheReport* report) {
  const VideoSource::Item& item = source.items()[video.item];
  at::Generator random = at::detail::createCPUGenerator(WindowSeed(options.seed, item, sample));
  const WindowPlan plan = PlanWindow(options.window, options.max_stride, frames, random);
  if (plan.frames == 0) {
    return absl::InvalidArgumentError(
        absl::StrCat("it has ", frames, " frames, a window takes ", options.window.num_frames));
  }
  if (vae == nullptr) vae = models.vae();
  const absl::StatusOr<CachedWindow> window = EncodeWindow(plan, options.window, source, video.item, *vae,
                                                           options.width, options.height, models.device);
  if (!window.ok()) return window.status();
  TensorFile file;
  file.metadata = {{"video", item.name},
                   {"start", std::to_string(plan.start)},
                   {"stride", std::to_string(plan.stride)},
                   {"frames", std::to_string(plan.frames)},
                   {"anchor_frame", std::to_string(plan.anchor)},
                   {"anchor", plan.anchor_inside ? "inside" : "outside"}};
  file.tensors["stream"] = window->stream.to(dtype());
  if (window->anchor.defined()) file.tensors["anchor"] = window->anchor.to(dtype());
  if (window->still.defined()) file.tensors["still"] = window->still.to(dtype());
  WriteSafetensors(path, file);
  if (plan.anchor_inside) ++report->anchors_inside;
  return absl::OkStatus();
}

// `before_window` is asked before each; false stops.
bool LatentCache::Impl::FillVideo(const Video& video, const CacheModels& models,
                                  const std::function<bool()>& before_window, CacheReport* report) {
  const std::vector<std::string> files = Files(video.stem);
  absl::StatusOr<VideoSource::Info> info = absl::UnknownError("not looked at yet");
  absl::Status status;
  for (size_t s = 0; s < files.size() && status.ok(); ++s) {
    if (HasWindow(files[s], report)) {
      ++report->reused;
      continue;
    }
    if (!before_window()) return false;
    if (absl::IsUnknown(info.status())) info = source.Probe(video.item);
    status = info.ok() ? EncodeTo(files[s], video, static_cast<int64_t>(s), info->frames, models, report)
                       : info.status();
    if (status.ok()) ++report->encoded;
  }
  if (absl::IsResourceExhausted(status)) throw std::runtime_error(std::string(status.message()));
  if (!status.ok()) {
    ++report->unusable;
    report->skipped.push_back({source.items()[video.item].name, std::string(status.message())});
  }
  return true;
}

LatentCache::LatentCache(LatentCacheOptions options, VideoSource& videos)
    : impl_(std::make_unique<Impl>(std::move(options), videos)) {}

LatentCache::~LatentCache() = default;

CacheReport LatentCache::Fill(const CacheModels& models, int64_t rank, int64_t size,
                              const CacheCallbacks& callbacks) {
  Require(size >= 1 && rank >= 0 && rank < size, "rank must be from 0 to size - 1");
  const c10::InferenceMode no_gradients;
  MakeFolder(impl_->folders.prompts);
  MakeFolder(impl_->folders.windows);
  CacheReport report;
  if (!impl_->FillPrompts(models, rank, size, callbacks)) {
    report.stopped = true;
    return report;
  }
  const auto count = static_cast<int64_t>(impl_->videos.size());
  const int64_t share = (count - rank + size - 1) / size;
  for (int64_t i = rank; i < count && !report.stopped; i += size) {
    report.stopped = !impl_->FillVideo(
        impl_->videos[static_cast<size_t>(i)], models, [&] { return !callbacks.cancelled(); }, &report);
    if (report.stopped) break;
    ++report.videos;
    callbacks.progress("videos", report.videos, share);
  }
  impl_->vae.reset();
  for (const size_t row : impl_->doubles) {
    if (static_cast<int64_t>(impl_->video_of[row]) % size != rank) continue;
    report.skipped.push_back(
        {impl_->source.items()[row].name, "it is listed twice with the same description"});
  }
  return report;
}

void LatentCache::Open() {
  Impl& impl = *impl_;
  std::vector<bool> complete;
  for (const Video& video : impl.videos) {
    const std::vector<std::string> files = impl.Files(video.stem);
    complete.push_back(std::all_of(files.begin(), files.end(), Exists));
  }
  const std::set<size_t> doubles(impl.doubles.begin(), impl.doubles.end());
  Sha256 hash;
  impl.samples.clear();
  for (size_t row = 0; row < impl.video_of.size(); ++row) {
    if (!complete[impl.video_of[row]] || doubles.contains(row)) continue;
    const std::string prompt = PromptFile(impl.folders.prompts, impl.source.items()[row].prompt);
    if (!Exists(prompt)) continue;
    for (const std::string& window : impl.Files(impl.videos[impl.video_of[row]].stem)) {
      impl.samples.push_back({window, prompt});
      hash.Update(absl::StrCat(fs::path(window).filename().string(), " ",
                               fs::path(prompt).filename().string(), "\n"));
    }
  }
  Require(!impl.samples.empty(), "no video of the data set can be used");
  impl.fingerprint = absl::BytesToHexString(hash.Finish());
}

int64_t LatentCache::size() const { return static_cast<int64_t>(impl_->samples.size()); }

const std::string& LatentCache::fingerprint() const { return impl_->fingerprint; }

CachedWindow LatentCache::Load(int64_t index) {
  // Tensors made in inference mode could take no part in training.
  const c10::InferenceMode plain(false);
  const Sample& sample = impl_->samples.at(static_cast<size_t>(index));
  const TensorFile file = impl_->shelf.Get(sample.window);
  const auto take = [&](const char* name) {
    const auto found = file.tensors.find(name);
    return found == file.tensors.end() ? at::Tensor() : found->second.to(at::kFloat);
  };
  CachedWindow window{take("stream"), take("anchor"), take("still"), {}};
  window.prompt = impl_->shelf.Get(sample.prompt).tensors.at("prompt").to(at::kFloat);
  return window;
}

at::Tensor LatentCache::EmptyPrompt() const {
  const c10::InferenceMode plain(false);
  return impl_->shelf.Get(PromptFile(impl_->folders.prompts, "")).tensors.at("prompt").to(at::kFloat);
}

CacheModels CacheModelsOf(const std::string& model_dir, at::Device device) {
  CacheModels models;
  models.device = device;
  models.vae = [=] { return LoadVae(model_dir, {device, at::kFloat}).model; };
  models.prompts = [=] {
    LoadOptions options{device};
    if (device.is_cuda()) options.product_dtype = at::kBFloat16;
    Loaded<UmT5Encoder> loaded = LoadTextEncoder(model_dir, options);
    const int64_t vocab_size = loaded.model->config().vocab_size;
    auto encoder = std::make_unique<Offloadable<UmT5Encoder>>(
        [=] { return LoadTextEncoder(model_dir, options).model; }, /*keep=*/true, std::move(loaded.model));
    return std::make_unique<PromptEncoder>(LoadTokenizer(model_dir), std::move(encoder), vocab_size);
  };
  return models;
}

}  // namespace svi::engine
