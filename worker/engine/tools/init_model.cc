#include <ATen/CPUGeneratorImpl.h>

#include <cmath>
#include <filesystem>
#include <fstream>
#include <map>
#include <stdexcept>

#include "engine/checkpoint_tools.h"
#include "nlohmann/json.hpp"
#include "worker/engine/dit/transformer.h"
#include "worker/engine/svi/defaults.h"
#include "worker/engine/text/synthetic_tokenizer.h"
#include "worker/engine/text/umt5.h"
#include "worker/engine/vae/vae.h"
#include "worker/engine/weights/safetensors.h"
#include "worker/engine/weights/weight_source.h"

namespace svi::engine {
namespace {

namespace fs = std::filesystem;

constexpr uint64_t kShardBytes = uint64_t{5} << 30;

// Makes each weight as the model's constructor asks for it, so that names and shapes are stated in one place
// only.
class RandomWeights : public WeightSource {
 public:
  RandomWeights(std::string component, at::ScalarType dtype, uint64_t seed)
      : WeightSource(std::move(component), {}),
        dtype_(dtype),
        generator_(at::detail::createCPUGenerator(seed)) {}

  at::Tensor Take(const std::string& name, at::IntArrayRef shape) override {
    return made_.tensors[name] = Make(name, shape);
  }
  // umT5's table goes by two names; a fresh file holds the first.
  bool Has(const std::string& name) const override { return name == "shared.weight"; }

  const TensorFile& made() const { return made_; }

 private:
  at::Tensor Make(const std::string& name, at::IntArrayRef shape) {
    const auto options = at::TensorOptions().dtype(at::kFloat);
    const bool is_norm =
        name.ends_with("gamma") || (name.find("norm") != std::string::npos && name.ends_with("weight"));
    if (is_norm) return at::ones(shape, options.dtype(dtype_));
    if (name.ends_with("bias") && !name.ends_with("relative_attention_bias.weight")) {
      return at::zeros(shape, options.dtype(dtype_));
    }
    int64_t fan_in = 1;
    for (size_t i = 1; i < shape.size(); ++i) fan_in *= shape[i];
    // Embeddings are looked up, not summed over: their rows are of unit size, whatever their number.
    const double std_dev = name.find("shared.") == 0 ? 1.0 : 1.0 / std::sqrt(static_cast<double>(fan_in));
    return at::randn(shape, generator_, options).mul_(std_dev).to(dtype_);
  }

  at::ScalarType dtype_;
  at::Generator generator_;
  TensorFile made_;
};

struct Preset {
  TransformerConfig transformer;
  VaeConfig vae;
  UmT5Config text;
  SviConfig svi;
};

// The architecture of the 5B model at widths that a laptop's CPU makes light of.
Preset TinyPreset() {
  Preset preset;
  preset.transformer.num_attention_heads = 4;
  preset.transformer.attention_head_dim = 24;
  preset.transformer.num_layers = 2;
  preset.transformer.ffn_dim = 192;
  preset.transformer.text_dim = 64;
  preset.transformer.freq_dim = 64;
  preset.vae.base_dim = 8;
  preset.vae.decoder_base_dim = 8;
  preset.vae.num_res_blocks = 1;
  preset.text.d_model = 64;
  preset.text.d_kv = 16;
  preset.text.d_ff = 128;
  preset.text.num_heads = 4;
  preset.text.num_layers = 2;
  preset.svi.name = "tiny-random";
  preset.svi.defaults.max_area = 128 * 128;
  preset.svi.defaults.num_frames = 17;
  preset.svi.defaults.num_inference_steps = 8;
  preset.svi.defaults.negative_prompt = kWanNegativePrompt;
  return preset;
}

Preset PresetNamed(const std::string& name) {
  if (name == "tiny") return TinyPreset();
  if (name != "ti2v-5b") throw std::invalid_argument("preset must be tiny or ti2v-5b");
  Preset preset;  // the configs' own defaults are the 5B model's
  preset.svi.name = "ti2v-5b-random";
  preset.svi.defaults.negative_prompt = kWanNegativePrompt;
  return preset;
}

void WriteText(const fs::path& path, const std::string& text) {
  fs::create_directories(path.parent_path());
  std::ofstream out(path, std::ios::binary);
  out << text;
  if (!out.flush()) throw std::runtime_error("could not write " + path.filename().string());
}

// One file, or shards of at most kShardBytes with their index, as Diffusers and transformers name them.
void WriteSharded(const fs::path& folder, const std::string& stem, const TensorFile& weights) {
  std::vector<TensorFile> shards(1);
  uint64_t bytes_in_shard = 0, total = 0;
  for (const auto& [name, tensor] : weights.tensors) {
    if (bytes_in_shard > 0 && bytes_in_shard + tensor.nbytes() > kShardBytes) {
      shards.emplace_back();
      bytes_in_shard = 0;
    }
    bytes_in_shard += tensor.nbytes();
    total += tensor.nbytes();
    shards.back().tensors[name] = tensor;
  }
  nlohmann::json index = {{"metadata", {{"total_size", total}}}, {"weight_map", nlohmann::json::object()}};
  for (size_t i = 0; i < shards.size(); ++i) {
    shards[i].metadata["format"] = "pt";
    char suffix[32] = "";
    if (shards.size() > 1) snprintf(suffix, sizeof suffix, "-%05zu-of-%05zu", i + 1, shards.size());
    const std::string file = stem + suffix + ".safetensors";
    WriteSafetensors((folder / file).string(), shards[i]);
    for (const auto& [name, tensor] : shards[i].tensors) index["weight_map"][name] = file;
  }
  if (shards.size() > 1) WriteText(folder / (stem + ".safetensors.index.json"), index.dump(2) + "\n");
}

template <typename Model, typename Config>
void WriteComponent(const fs::path& root, const std::string& component, const std::string& stem,
                    const Config& config, at::ScalarType dtype, uint64_t seed) {
  RandomWeights weights(component, dtype, seed);
  { const Model model(config, weights); }
  WriteText(root / component / "config.json", config.ToJson());
  WriteSharded(root / component, stem, weights.made());
}

constexpr char kModelIndex[] = R"({
  "_class_name": "WanPipeline",
  "expand_timesteps": true,
  "scheduler": ["diffusers", "UniPCMultistepScheduler"],
  "text_encoder": ["transformers", "UMT5EncoderModel"],
  "tokenizer": ["transformers", "T5TokenizerFast"],
  "transformer": ["diffusers", "WanTransformer3DModel"],
  "transformer_2": [null, null],
  "vae": ["diffusers", "AutoencoderKLWan"]
}
)";

std::string SchedulerJson(double flow_shift) {
  return nlohmann::json{{"_class_name", "UniPCMultistepScheduler"},
                        {"flow_shift", flow_shift},
                        {"num_train_timesteps", 1000},
                        {"prediction_type", "flow_prediction"},
                        {"solver_order", 2},
                        {"solver_type", "bh2"},
                        {"use_flow_sigmas", true}}
             .dump(2) +
         "\n";
}

void WriteCheckpoint(const InitModelOptions& options, at::ScalarType dtype) {
  Preset preset = PresetNamed(options.preset);
  const fs::path root(options.out_dir);
  fs::create_directories(root / "tokenizer");
  const int64_t tokens = WriteSyntheticTokenizer((root / "tokenizer").string());
  if (options.preset == "tiny") preset.text.vocab_size = tokens;
  WriteText(root / "model_index.json", kModelIndex);
  WriteText(root / "svi_config.json", preset.svi.ToJson());
  WriteText(root / "scheduler" / "scheduler_config.json", SchedulerJson(preset.svi.defaults.flow_shift));
  // A seed a component: changing one model's shape leaves the others as they are.
  WriteComponent<Vae>(root, "vae", "diffusion_pytorch_model", preset.vae, at::kFloat, options.seed * 3);
  WriteComponent<UmT5Encoder>(root, "text_encoder", "model", preset.text, dtype, options.seed * 3 + 1);
  WriteComponent<Transformer>(root, "transformer", "diffusion_pytorch_model", preset.transformer, dtype,
                              options.seed * 3 + 2);
}

}  // namespace

absl::Status InitModel(const InitModelOptions& options) {
  if (options.dtype != "float32" && options.dtype != "bfloat16") {
    return absl::InvalidArgumentError("dtype must be float32 or bfloat16");
  }
  if (options.preset != "tiny" && options.preset != "ti2v-5b") {
    return absl::InvalidArgumentError("preset must be tiny or ti2v-5b");
  }
  std::error_code ec;
  if (options.out_dir.empty()) return absl::InvalidArgumentError("out must name a folder");
  if (fs::exists(options.out_dir, ec) && !fs::is_empty(options.out_dir, ec)) {
    return absl::AlreadyExistsError("the folder to write the model to is not empty");
  }
  try {
    WriteCheckpoint(options, options.dtype == "float32" ? at::kFloat : at::kBFloat16);
  } catch (const std::bad_alloc&) {
    return absl::ResourceExhaustedError("out of memory");
  } catch (const std::exception& e) {
    return absl::InternalError(std::string("could not make the model: ") + e.what());
  }
  return absl::OkStatus();
}

}  // namespace svi::engine
