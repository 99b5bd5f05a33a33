#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#include <cerrno>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <stdexcept>
#include <system_error>

#include "worker/engine/checkpoint/component.h"
#include "worker/engine/checkpoint/loaders.h"
#include "worker/engine/train/trainable.h"

namespace svi::engine {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

bool IsAdapter(const Parameter& parameter) { return parameter.name.starts_with("pipe.dit."); }

[[noreturn]] void FailWriting(const fs::path& path, std::error_code error) {
  throw std::system_error(error, "cannot write " + path.filename().string());
}

std::error_code LastError() { return {errno, std::generic_category()}; }

// Everything of the checkpoint but the transformer's weights; links become what they lead to.
void CopyRest(const fs::path& from, const fs::path& to, const std::string& transformer) {
  std::error_code error;
  fs::create_directories(to / transformer, error);
  if (error) FailWriting(to, error);
  for (const fs::directory_entry& entry : fs::directory_iterator(from)) {
    const fs::path name = entry.path().filename();
    if (name == transformer) continue;
    fs::copy(entry.path(), to / name, fs::copy_options::recursive, error);
    if (error) FailWriting(name, error);
  }
  fs::copy_file(from / transformer / "config.json", to / transformer / "config.json", error);
  if (error) FailWriting("config.json", error);
}

// The file system that `folder` is on.
void Sync(const fs::path& folder) {
  const int fd = ::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (fd < 0) FailWriting(folder, LastError());
  const bool synced = ::syncfs(fd) == 0;
  const std::error_code error = LastError();
  ::close(fd);
  if (!synced) FailWriting(folder, error);
}

// `from` becomes `to`; what was there before is removed.
void Publish(const fs::path& from, const fs::path& to) {
  Sync(from);
  const unsigned flags = fs::exists(to) ? RENAME_EXCHANGE : RENAME_NOREPLACE;
  if (::renameat2(AT_FDCWD, from.c_str(), AT_FDCWD, to.c_str(), flags) != 0) FailWriting(to, LastError());
  std::error_code ignored;
  fs::remove_all(from, ignored);
}

}  // namespace

TensorFile LoraToFile(const Trainable& trainable, const std::map<std::string, std::string>& metadata) {
  TensorFile file;
  for (const Parameter& parameter : trainable.parameters) {
    if (!IsAdapter(parameter)) throw std::invalid_argument("only adapters can be written as a LoRA");
    file.tensors[parameter.name] = parameter.tensor.detach();
  }
  const LoraAdapterOptions& lora = trainable.lora;
  const json adapter = {{"transformer.r", lora.rank},
                        {"transformer.lora_alpha", lora.alpha},
                        {"transformer.target_modules", lora.targets}};
  file.metadata = metadata;
  file.metadata.insert({{"format", "pt"},
                        {"rank", std::to_string(lora.rank)},
                        {"alpha", json(lora.alpha).dump()},
                        {"target_modules", json(lora.targets).dump()},
                        {"lora_adapter_metadata", adapter.dump()}});
  return file;
}

void WriteTrainedModel(const Trainable& trainable, const std::string& model_dir, const std::string& out_dir,
                       at::ScalarType dtype) {
  const ComponentTraits& traits = TraitsOf(Component::kTransformer);
  TensorFile weights;
  weights.metadata["format"] = "pt";
  for (const Parameter& parameter : trainable.parameters) {
    if (IsAdapter(parameter)) throw std::invalid_argument("adapters cannot be written as a model");
    weights.tensors[parameter.name] = parameter.tensor.detach().to(dtype);
  }
  const fs::path from(model_dir), to = fs::path(out_dir + "/").parent_path();
  if (!fs::is_regular_file(from / traits.folder / "config.json")) {
    throw MissingFile(std::string("the checkpoint has no ") + traits.folder + "/config.json");
  }
  fs::path staged = to;
  staged += ".tmp";
  std::error_code error;
  fs::remove_all(staged, error);
  if (error) FailWriting(staged, error);
  try {
    CopyRest(from, staged, traits.folder);
    WriteSafetensors((staged / traits.folder / (std::string(traits.weights) + ".safetensors")).string(),
                     weights);
    Publish(staged, to);
  } catch (...) {
    fs::remove_all(staged, error);
    throw;
  }
}

}  // namespace svi::engine
