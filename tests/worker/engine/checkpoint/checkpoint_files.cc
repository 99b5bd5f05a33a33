#include "tests/worker/engine/checkpoint/checkpoint_files.h"

#include <filesystem>
#include <fstream>
#include <stdexcept>

#include "worker/engine/checkpoint/key_map.h"
#include "worker/engine/checkpoint/loaders.h"
#include "worker/engine/weights/safetensors.h"
#include "worker/engine/weights/safetensors_index.h"
#include "worker/engine/weights/torch_file.h"

namespace svi::engine {
namespace {

namespace fs = std::filesystem;

void CopyTokenizer(const fs::path& folder) {
  fs::create_directories(folder);
  for (const char* name : {"tokenizer.json", "spiece.model"}) {
    fs::copy_file(GoldenPath(std::string("text/tokenizer_b/") + name), folder / name);
  }
}

void WriteComponent(const fs::path& folder, const std::string& stem, const Tensors& original,
                    const KeyMap& names, const std::string& config) {
  fs::create_directories(folder);
  TensorFile file;
  for (const auto& [name, tensor] : original) file.tensors[names.ToDiffusers(name).value()] = tensor;
  WriteSafetensors((folder / (stem + ".safetensors")).string(), file);
  WriteText((folder / "config.json").string(), config);
}

}  // namespace

std::string GoldenPath(const std::string& relative) { return SVI_SOURCE_DIR "/tests/golden/" + relative; }

nlohmann::json ReadJson(const std::string& path) {
  std::ifstream in(path);
  return nlohmann::json::parse(in);
}

void WriteText(const std::string& path, const std::string& text) {
  std::ofstream(path, std::ios::binary) << text;
}

Tensors OriginalTransformer() {
  return ReadSafetensorsShards(
             GoldenPath("checkpoint/original/diffusion_pytorch_model.safetensors.index.json"))
      .tensors;
}
Tensors OriginalVae() { return ReadTorchFile(GoldenPath("checkpoint/original/Wan2.2_VAE.pth")).tensors; }
Tensors OriginalTextEncoder() {
  return ReadTorchFile(GoldenPath("checkpoint/original/models_t5_umt5-xxl-enc-bf16.pth")).tensors;
}

void WriteOriginal(const std::string& dir) {
  for (const auto& entry : fs::directory_iterator(GoldenPath("checkpoint/original"))) {
    fs::copy_file(entry.path(), fs::path(dir) / entry.path().filename());
  }
  CopyTokenizer(fs::path(dir) / "google" / "umt5-xxl");
}

void WriteDiffusers(const std::string& dir) {
  const fs::path root(dir);
  WriteComponent(root / "transformer", "diffusion_pytorch_model", OriginalTransformer(),
                 KeyMap::Transformer(), R"({"_class_name": "WanTransformer3DModel", "patch_size": [1, 2, 2],
      "num_attention_heads": 2, "attention_head_dim": 16, "in_channels": 8, "out_channels": 8, "text_dim": 24,
      "freq_dim": 32, "ffn_dim": 48, "num_layers": 2, "eps": 1e-6})");
  WriteComponent(root / "vae", "diffusion_pytorch_model", OriginalVae(), KeyMap::Vae(2),
                 R"({"_class_name": "AutoencoderKLWan", "is_residual": true, "base_dim": 2,
      "decoder_base_dim": 3, "z_dim": 6, "dim_mult": [1, 2, 4, 4], "num_res_blocks": 2,
      "temperal_downsample": [false, true, true],
      "latents_mean": [-0.2289, -0.0052, -0.1323, -0.2339, -0.2799, 0.0174],
      "latents_std": [0.4765, 1.0364, 0.4514, 1.1677, 0.5313, 0.499]})");
  WriteComponent(root / "text_encoder", "model", OriginalTextEncoder(), KeyMap::TextEncoder(),
                 R"({"model_type": "umt5", "d_model": 24, "d_kv": 8, "d_ff": 40, "num_heads": 4,
      "num_layers": 2, "vocab_size": 120, "relative_attention_num_buckets": 32})");
  CopyTokenizer(root / "tokenizer");
}

Thrown ErrorOf(const std::function<void()>& load) {
  try {
    load();
  } catch (const MissingFile& error) {
    return {"MissingFile", error.what()};
  } catch (const std::invalid_argument& error) {
    return {"invalid_argument", error.what()};
  } catch (const std::exception& error) {
    return {"other", error.what()};
  }
  return {};
}

}  // namespace svi::engine
