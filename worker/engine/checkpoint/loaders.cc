#include "worker/engine/checkpoint/loaders.h"

#include <absl/strings/escaping.h>

#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <sstream>
#include <stdexcept>
#include <system_error>
#include <type_traits>
#include <utility>
#include <vector>

#include "client/sha256.h"
#include "worker/engine/checkpoint/component.h"
#include "worker/engine/checkpoint/fingerprint.h"
#include "worker/engine/checkpoint/infer_config.h"
#include "worker/engine/checkpoint/renamed_source.h"
#include "worker/engine/checkpoint/weight_files.h"
#include "worker/engine/text/json_reader.h"

namespace svi::engine {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

// The published models' heads have this width, whatever their number.
constexpr int64_t kUsualHeadDim = 128;

// What cannot be looked at is not there; std::filesystem's own exceptions tell whole paths.
bool IsFile(const fs::path& path) {
  std::error_code ignored;
  return fs::is_regular_file(path, ignored);
}
bool IsFolder(const fs::path& path) {
  std::error_code ignored;
  return fs::is_directory(path, ignored);
}

std::optional<std::string> ReadText(const fs::path& path) {
  if (!IsFile(path)) return std::nullopt;
  std::ifstream in(path, std::ios::binary);
  std::ostringstream text;
  text << in.rdbuf();
  if (!in) throw std::runtime_error(path.filename().string() + " cannot be read");
  return text.str();
}

void RequireFolder(const fs::path& root) {
  if (!IsFolder(root)) throw MissingFile("the model folder does not exist");
}

// A component as it lies on disk.
struct Stored {
  ComponentWeights weights;
  fs::path folder;
  std::string relative;  // of the folder, for messages: "" or "vae/"
};

Stored FindComponent(Component component, const std::string& dir) {
  const fs::path root(dir);
  RequireFolder(root);
  const ComponentTraits& traits = TraitsOf(component);
  const fs::path own = root / traits.folder;
  const std::string relative = std::string(traits.folder) + "/";
  const bool has_folder = IsFolder(own);
  if (has_folder) {
    if (auto weights = FindWeights(component, own, relative)) return {std::move(*weights), own, relative};
  }
  if (auto weights = FindWeights(component, root, "")) return {std::move(*weights), root, ""};
  if (!has_folder) {
    throw MissingFile("the checkpoint has no " + std::string(traits.folder) + " weights: neither a folder " +
                      relative + " nor a file with their tensors");
  }
  const std::string usual = std::string(traits.weights) + ".safetensors";
  if (IsFile(own / usual) || IsFile(own / (usual + ".index.json"))) {
    throw std::invalid_argument(relative + usual + " holds something else than the " + traits.folder +
                                "'s tensors");
  }
  throw MissingFile("the checkpoint has no " + relative + usual + " (nor its .index.json)");
}

std::map<std::string, at::Tensor> UnderDiffusersNames(Component component, const ComponentWeights& weights) {
  if (weights.layout == Layout::kDiffusers) return weights.tensors;
  const KeyMap names = KeyMapOf(component, NamesOf(weights.tensors));
  std::map<std::string, at::Tensor> result;
  for (const auto& [original, tensor] : weights.tensors) {
    if (const auto name = names.ToDiffusers(original)) result.emplace(*name, tensor);
  }
  return result;
}

// A config.json completed by what the tensors show, and where the two contradict each other.
struct Settings {
  json config;
  std::string contradictions;  // empty, or " (config.json says …)"
};

// config.json beside the weights; nothing if there is none or it is another component's.
std::optional<json> ReadConfig(Component component, const Stored& stored) {
  const auto text = ReadText(stored.folder / "config.json");
  const std::string name = stored.relative + "config.json";
  const bool own_folder = !stored.relative.empty();
  if (text) {
    json config = ParseJson(*text, name);
    const auto owner = RecognizeConfig(config);
    if (own_folder || !owner || *owner == component) return config;
    return std::nullopt;  // Wan's own layout: the transformer's config beside the other weights
  }
  if (stored.weights.layout == Layout::kDiffusers) throw MissingFile("the checkpoint has no " + name);
  return std::nullopt;
}

// Without config.json nothing says how many heads there are.
void AddUsualHeads(json& config, const Stored& stored) {
  const int64_t dim = config.value("dim", int64_t{0});
  if (dim < kUsualHeadDim || dim % kUsualHeadDim != 0) {
    throw MissingFile("the checkpoint has no " + stored.relative +
                      "config.json, and its tensors do not show the number of heads");
  }
  config["num_heads"] = dim / kUsualHeadDim;
}

// The transformer's fields that are missing are an error where Diffusers wrote the rest.
bool MayComplete(Component component, const json& config) {
  return component != Component::kTransformer || !config.contains("num_attention_heads");
}

Settings Complete(Component component, const Stored& stored) {
  const json inferred = InferConfig(component, UnderDiffusersNames(component, stored.weights));
  const auto given = ReadConfig(component, stored);
  Settings settings{given.value_or(json::object()), ""};
  json& config = settings.config;
  const bool complete = MayComplete(component, config);
  for (const ConfigField& field : InferredFields(component)) {
    const auto value = inferred.find(field.name);
    if (value == inferred.end()) continue;
    const char* const stated = config.contains(field.name)       ? field.name
                               : config.contains(field.original) ? field.original
                                                                 : nullptr;
    if (stated == nullptr) {
      // Wan's transformers have Wan's names throughout.
      const bool original_name = component == Component::kTransformer;
      if (complete) config[original_name ? field.original : field.name] = *value;
    } else if (config[stated] != *value && !config[stated].is_null()) {
      settings.contradictions += (settings.contradictions.empty() ? " (" : ", ") + stored.relative +
                                 "config.json says " + stated + " is " + config[stated].dump() +
                                 ", the tensors say " + value->dump();
    }
  }
  if (!settings.contradictions.empty()) settings.contradictions += ")";
  if (component == Component::kTransformer && !given) AddUsualHeads(config, stored);
  return settings;
}

// Whether a matrix of this name, in either spelling, only meets activations of the compute dtype. The time
// embedding is computed in float32, and umT5's position bias is added to float32 scores.
bool IsProductMatrix(const std::string& name) {
  for (const char* const wide : {"time_embed", "time_proj", "relative_attention_bias", "pos_embedding"}) {
    if (name.find(wide) != std::string::npos) return false;
  }
  return true;
}

// Another source's tensors as LoadOptions::replace makes them. The other's Finish() tells what was wrong.
class ReplacingSource : public WeightSource {
 public:
  ReplacingSource(WeightSource& from, const LoadOptions& options)
      : WeightSource("", {}), from_(from), options_(options) {}

  at::Tensor Take(const std::string& name, at::IntArrayRef shape) override {
    const at::Tensor tensor = from_.Take(name, shape);
    return options_.replace && tensor.defined() ? options_.replace(name, tensor) : tensor;
  }
  bool Has(const std::string& name) const override { return from_.Has(name); }

 private:
  WeightSource& from_;
  const LoadOptions& options_;
};

// Builds a model over its weights and insists that all of them fit.
template <typename Model, typename Config>
Loaded<Model> Build(Component component, const std::string& dir, const LoadOptions& options) {
  Stored stored = FindComponent(component, dir);
  const Settings settings = Complete(component, stored);
  const Config config = Config::FromJson(settings.config.dump());
  const std::string name = TraitsOf(component).folder;
  std::unique_ptr<WeightSource> weights;
  if (stored.weights.layout == Layout::kDiffusers) {
    weights = std::make_unique<WeightSource>(name, std::move(stored.weights.tensors), options.device,
                                             options.dtype);
  } else {
    KeyMap names = KeyMapOf(component, NamesOf(stored.weights.tensors));
    if constexpr (std::is_same_v<Config, VaeConfig>) names = KeyMap::Vae(config.num_res_blocks);
    weights = std::make_unique<RenamedSource>(name, std::move(stored.weights.tensors), std::move(names),
                                              options.device, options.dtype);
  }
  if (options.product_dtype) weights->ConvertMatrices(*options.product_dtype, IsProductMatrix);
  Loaded<Model> loaded;
  ReplacingSource source(*weights, options);
  loaded.model = std::make_unique<Model>(config, source);
  try {
    weights->Finish();
  } catch (const std::invalid_argument& error) {
    throw std::invalid_argument(error.what() + settings.contradictions);
  }
  // A field of no consequence here would have been of some to the one who wrote it.
  if (!settings.contradictions.empty()) throw std::invalid_argument(name + ":" + settings.contradictions);
  loaded.parameters = weights->parameters();
  return loaded;
}

fs::path FindTokenizer(const std::string& dir) {
  const fs::path root(dir);
  RequireFolder(root);
  for (const fs::path& folder : {root / "tokenizer", root / "google" / "umt5-xxl", root}) {
    if (IsFile(folder / "tokenizer.json") || IsFile(folder / "spiece.model")) return folder;
  }
  throw MissingFile(
      "the checkpoint has no tokenizer.json nor spiece.model in tokenizer/ or google/umt5-xxl/");
}

}  // namespace

Loaded<Transformer> LoadTransformer(const std::string& dir, const LoadOptions& options) {
  return Build<Transformer, TransformerConfig>(Component::kTransformer, dir, options);
}

Loaded<Vae> LoadVae(const std::string& dir, const LoadOptions& options) {
  return Build<Vae, VaeConfig>(Component::kVae, dir, options);
}

Loaded<UmT5Encoder> LoadTextEncoder(const std::string& dir, const LoadOptions& options) {
  return Build<UmT5Encoder, UmT5Config>(Component::kTextEncoder, dir, options);
}

std::unique_ptr<Tokenizer> LoadTokenizer(const std::string& dir) {
  return Tokenizer::Load(FindTokenizer(dir).string());
}

std::string Fingerprint(Component component, const std::string& model_dir) {
  const Stored stored = FindComponent(component, model_dir);
  const std::string config = ReadText(stored.folder / "config.json").value_or("");
  return absl::BytesToHexString(Sha256::Of(WeightsFingerprint(stored.weights) + config));
}

std::string TokenizerFingerprint(const std::string& model_dir) {
  const fs::path folder = FindTokenizer(model_dir);
  const bool json = IsFile(folder / "tokenizer.json");
  return absl::BytesToHexString(Sha256::Of(*ReadText(folder / (json ? "tokenizer.json" : "spiece.model"))));
}

std::string ReadOptionalText(const std::string& dir, const std::string& relative) {
  return ReadText(fs::path(dir) / relative).value_or("");
}

}  // namespace svi::engine
