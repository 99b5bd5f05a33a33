#include "worker/engine/svi/pipeline.h"

#include <filesystem>
#include <fstream>
#include <sstream>
#include <stdexcept>

#include "worker/engine/text/tokenizer.h"
#include "worker/engine/text/umt5.h"
#include "worker/engine/weights/safetensors.h"
#include "worker/engine/weights/weight_source.h"

namespace svi::engine {
namespace {

namespace fs = std::filesystem;

std::string ReadText(const fs::path& root, const std::string& relative, bool required) {
  std::ifstream in(root / relative, std::ios::binary);
  if (!in) {
    if (required) throw MissingFile("the checkpoint has no " + relative);
    return "";
  }
  std::ostringstream text;
  text << in.rdbuf();
  return text.str();
}

WeightSource OpenWeights(const fs::path& root, const std::string& component, const std::string& stem,
                         at::Device device) {
  const fs::path folder = root / component;
  if (!fs::exists(folder / (stem + ".safetensors")) &&
      !fs::exists(folder / (stem + ".safetensors.index.json"))) {
    throw MissingFile("the checkpoint has no " + component + "/" + stem +
                      ".safetensors (nor its .index.json)");
  }
  return WeightSource(component, ReadSafetensorsFolder(folder.string(), stem).tensors, device);
}

// Builds a model over its weights and insists that all of them fit.
template <typename Model, typename Config>
std::unique_ptr<Model> Build(const Config& config, WeightSource weights, uint64_t* parameters) {
  auto model = std::make_unique<Model>(config, weights);
  weights.Finish();
  *parameters += weights.parameters();
  return model;
}

}  // namespace

Pipeline LoadPipeline(const std::string& dir, at::Device device) {
  const fs::path root(dir);
  if (!fs::is_directory(root)) throw MissingFile("the model folder does not exist");
  Pipeline p;
  p.device = device;
  p.compute_dtype = device.is_cuda() ? at::kBFloat16 : at::kFloat;
  p.config = SviConfig::FromJson(ReadText(root, "svi_config.json", false),
                                 ReadText(root, "scheduler/scheduler_config.json", false));
  p.transformer =
      Build<Transformer>(TransformerConfig::FromJson(ReadText(root, "transformer/config.json", true)),
                         OpenWeights(root, "transformer", "diffusion_pytorch_model", device), &p.parameters);
  p.vae = Build<Vae>(VaeConfig::FromJson(ReadText(root, "vae/config.json", true)),
                     OpenWeights(root, "vae", "diffusion_pytorch_model", device), &p.parameters);
  auto encoder = Build<UmT5Encoder>(UmT5Config::FromJson(ReadText(root, "text_encoder/config.json", true)),
                                    OpenWeights(root, "text_encoder", "model", device), &p.parameters);
  if (!fs::is_directory(root / "tokenizer")) throw MissingFile("the checkpoint has no tokenizer/");
  p.prompts =
      std::make_unique<PromptEncoder>(Tokenizer::Load((root / "tokenizer").string()), std::move(encoder));
  if (p.transformer->config().in_channels != p.vae->config().z_dim) {
    throw std::invalid_argument("transformer/config.json: in_channels must equal z_dim of vae/config.json");
  }
  return p;
}

}  // namespace svi::engine
