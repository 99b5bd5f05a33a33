#include "worker/engine/svi/pipeline.h"

#include <filesystem>
#include <optional>
#include <stdexcept>
#include <utility>

#include "worker/engine/checkpoint/loaders.h"
#include "worker/engine/nn/device.h"

namespace svi::engine {
namespace {

namespace fs = std::filesystem;

// Below this a tile is mostly overlap.
constexpr int kSmallestTile = 8;
constexpr int kLargestTile = 256;

// Everything that is wrong, as one error in the end.
class Faults {
 public:
  void Add(const std::string& what) {
    only_missing_ = false;
    Note(what);
  }

  // Runs `work` and keeps what it throws about the checkpoint.
  template <typename Work>
  void Collect(const Work& work) {
    try {
      work();
    } catch (const MissingFile& e) {
      Note(e.what());
    } catch (const std::invalid_argument& e) {
      Add(e.what());
    }
  }

  void ThrowIfAny() const {
    if (text_.empty()) return;
    if (only_missing_) throw MissingFile(text_);
    throw std::invalid_argument(text_);
  }

 private:
  void Note(const std::string& what) {
    // Two parts may miss the same file.
    if (text_.find(what) == std::string::npos) text_ += (text_.empty() ? "" : "; ") + what;
  }
  std::string text_;
  bool only_missing_ = true;
};

struct Offloads {
  bool text_encoder = false;
  bool vae = false;
};

// All weight files of the checkpoint, as they are stored.
uint64_t WeightBytes(const std::string& dir) {
  uint64_t bytes = 0;
  std::error_code ignored;
  for (const auto& entry : fs::recursive_directory_iterator(dir, ignored)) {
    const std::string extension = entry.path().extension().string();
    if (extension == ".safetensors" || extension == ".pth") bytes += entry.file_size(ignored);
  }
  return bytes;
}

Offloads ReadOffload(const EngineOptions& options, at::Device device, Faults& faults) {
  if (options.offload == "none") return {};
  if (options.offload == "text-encoder") return {.text_encoder = true};
  if (options.offload == "vae") return {.vae = true};
  if (options.offload == "all") return {.text_encoder = true, .vae = true};
  if (options.offload != "auto") {
    faults.Add("--offload must be auto, none, text-encoder, vae or all");
    return {};
  }
  // A fifth of a GPU is left to activations and to the decoder's caches.
  const bool fills = device.is_cuda() &&
                     static_cast<double>(WeightBytes(options.model_dir)) > 0.8 * DeviceBytesTotal(device);
  return {.text_encoder = device.is_cpu() || fills};
}

GuidanceMode ReadGuidance(const EngineOptions& options, Faults& faults) {
  if (options.guidance == "batch") return GuidanceMode::kBatch;
  if (options.guidance == "two-pass") return GuidanceMode::kTwoPass;
  if (options.guidance != "auto") faults.Add("--guidance must be auto, batch or two-pass");
  return GuidanceMode::kAuto;
}

at::ScalarType ReadVaeDtype(const EngineOptions& options, Faults& faults,
                            std::vector<std::string>& warnings) {
  if (options.vae_dtype == "float32") return at::kFloat;
  if (options.vae_dtype != "bfloat16") {
    faults.Add("--vae-dtype must be float32 or bfloat16");
    return at::kFloat;
  }
  warnings.push_back(
      "--vae-dtype=bfloat16: the VAE's rounding leaves artefacts that add up from clip to clip, most visibly "
      "on "
      "still backgrounds; long videos want float32");
  return at::kBFloat16;
}

int64_t ReadVaeTile(const EngineOptions& options, Faults& faults, std::vector<std::string>& warnings) {
  const int tile = options.vae_tile;
  if (tile == 0) return 0;
  if (tile < kSmallestTile || tile > kLargestTile) {
    faults.Add("--vae-tile must be 0 (whole frames) or from " + std::to_string(kSmallestTile) + " to " +
               std::to_string(kLargestTile) + " latents");
    return 0;
  }
  warnings.push_back(
      "--vae-tile=" + std::to_string(tile) +
      ": frames are decoded in tiles, which saves memory but takes longer; they differ from whole "
      "frames by rounding, so all workers of a video should have the same value");
  return tile;
}

void LoadVaeInto(Pipeline& p, const std::string& dir, const LoadOptions& options, bool keep) {
  Loaded<Vae> first = LoadVae(dir, options);
  p.parameters += first.parameters;
  p.latent_channels = first.model->config().z_dim;
  p.decoder_receptive_latents = first.model->decoder_receptive_latents();
  p.vae = std::make_unique<Offloadable<Vae>>([dir, options] { return LoadVae(dir, options).model; }, keep,
                                             std::move(first.model));
}

void LoadPromptsInto(Pipeline& p, const std::string& dir, const LoadOptions& options, bool keep,
                     int64_t* text_dim, Faults& faults) {
  std::unique_ptr<Tokenizer> tokenizer;
  std::unique_ptr<Offloadable<UmT5Encoder>> encoder;
  int64_t vocab_size = 0;
  faults.Collect([&] { tokenizer = LoadTokenizer(dir); });
  faults.Collect([&] {
    Loaded<UmT5Encoder> first = LoadTextEncoder(dir, options);
    p.parameters += first.parameters;
    *text_dim = first.model->config().d_model;
    vocab_size = first.model->config().vocab_size;
    encoder = std::make_unique<Offloadable<UmT5Encoder>>(
        [dir, options] { return LoadTextEncoder(dir, options).model; }, keep, std::move(first.model));
  });
  if (tokenizer == nullptr || encoder == nullptr) return;
  p.prompts = std::make_unique<PromptEncoder>(std::move(tokenizer), std::move(encoder), vocab_size);
}

void CheckFit(const Pipeline& p, int64_t text_dim, Faults& faults) {
  if (p.transformer == nullptr) return;
  const TransformerConfig& config = p.transformer->config();
  if (p.latent_channels != 0 && config.in_channels != p.latent_channels) {
    faults.Add("the transformer's in_channels (" + std::to_string(config.in_channels) +
               ") must equal the VAE's z_dim (" + std::to_string(p.latent_channels) + ")");
  }
  if (text_dim != 0 && config.text_dim != text_dim) {
    faults.Add("the transformer's text_dim (" + std::to_string(config.text_dim) +
               ") must equal the text encoder's d_model (" + std::to_string(text_dim) + ")");
  }
}

}  // namespace

Pipeline LoadPipeline(const EngineOptions& options, at::Device device) {
  Faults faults;
  Pipeline p;
  p.device = device;
  p.compute_dtype = device.is_cuda() ? at::kBFloat16 : at::kFloat;
  const Offloads offloads = ReadOffload(options, device, faults);
  p.guidance = ReadGuidance(options, faults);
  // On a CPU weights stay as they are mapped; a GPU holds them as it multiplies them.
  LoadOptions products{device};
  if (device.is_cuda()) products.product_dtype = p.compute_dtype;
  const LoadOptions vae{device, ReadVaeDtype(options, faults, p.warnings)};
  p.vae_tile = ReadVaeTile(options, faults, p.warnings);
  faults.ThrowIfAny();

  const std::string& dir = options.model_dir;
  if (!fs::is_directory(dir)) throw MissingFile("the model folder does not exist");
  int64_t text_dim = 0;
  faults.Collect([&] {
    p.config = SviConfig::FromJson(ReadOptionalText(dir, "svi_config.json"),
                                   ReadOptionalText(dir, "scheduler/scheduler_config.json"));
  });
  // First what may leave memory again: at no time is more of the device taken than in use later.
  faults.Collect([&] { LoadPromptsInto(p, dir, products, !offloads.text_encoder, &text_dim, faults); });
  faults.Collect([&] { LoadVaeInto(p, dir, vae, !offloads.vae); });
  faults.Collect([&] {
    Loaded<Transformer> loaded = LoadTransformer(dir, products);
    p.parameters += loaded.parameters;
    p.transformer = std::move(loaded.model);
  });
  CheckFit(p, text_dim, faults);
  faults.ThrowIfAny();
  return p;
}

}  // namespace svi::engine
