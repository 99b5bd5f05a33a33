#include "worker/engine/checkpoint/weight_files.h"

#include <algorithm>
#include <exception>
#include <regex>
#include <set>
#include <stdexcept>
#include <system_error>

#include "worker/engine/checkpoint/loaders.h"
#include "worker/engine/weights/safetensors.h"
#include "worker/engine/weights/safetensors_index.h"
#include "worker/engine/weights/torch_file.h"

namespace svi::engine {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kIndexEnd = ".safetensors.index.json";
constexpr std::string_view kSafetensorsEnd = ".safetensors";
constexpr std::string_view kTorchEnd = ".pth";

// A file that can hold weights, or the index of several that do.
struct WeightFile {
  std::string name;
  std::string_view end;  // one of the three above
  int rank = 0;          // lower is preferred
  std::string stem() const { return name.substr(0, name.size() - end.size()); }
};

// Errors name the folder as `relative` does: the exceptions of std::filesystem tell whole paths.
std::vector<std::string> FileNames(const fs::path& folder, const std::string& relative) {
  std::vector<std::string> names;
  std::error_code error;
  for (fs::directory_iterator entry(folder, error), end; !error && entry != end; entry.increment(error)) {
    std::error_code ignored;
    if (!entry->is_directory(ignored)) names.push_back(entry->path().filename().string());
  }
  if (error) throw std::system_error(error, relative.empty() ? "the model folder" : relative);
  std::sort(names.begin(), names.end());
  return names;
}

// The stem of a file that is one of several ("model-00002-of-00003.safetensors" → "model"); empty otherwise.
std::string ShardStem(const std::string& name) {
  static const std::regex shard(R"((.+)-[0-9]+-of-[0-9]+\.safetensors)");
  std::smatch match;
  return std::regex_match(name, match, shard) ? match[1].str() : "";
}

class Finder {
 public:
  Finder(Component component, const fs::path& folder, const std::string& relative)
      : component_(component), folder_(folder), relative_(relative), names_(FileNames(folder, relative)) {}

  std::optional<ComponentWeights> Find() {
    std::vector<WeightFile> files = Files(kIndexEnd);
    for (const WeightFile& file : Files(kSafetensorsEnd)) files.push_back(file);
    if (auto found = Choose(std::move(files))) return found;
    if (auto found = Choose(Files(kTorchEnd))) return found;
    if (broken_) std::rethrow_exception(broken_);
    return std::nullopt;
  }

 private:
  std::vector<WeightFile> Files(std::string_view end) {
    const auto& usual = TraitsOf(component_).usual_stems;
    std::vector<WeightFile> files;
    for (const std::string& name : names_) {
      if (name.size() <= end.size() || !name.ends_with(end)) continue;
      WeightFile file{name, end};
      const bool is_usual = std::find(usual.begin(), usual.end(), file.stem()) != usual.end();
      file.rank = !is_usual ? 2 : end == kIndexEnd ? 1 : 0;
      files.push_back(std::move(file));
    }
    return files;
  }

  // The one of `files` with the best rank that has the component's tensors. Shards that an index lists are
  // not looked at by themselves.
  std::optional<ComponentWeights> Choose(std::vector<WeightFile> files) {
    std::set<std::string> shards;
    for (const WeightFile& file : files) {
      if (file.end == kIndexEnd) NoteShards(file, shards);
    }
    std::erase_if(files, [&](const WeightFile& file) { return shards.contains(file.name); });
    for (int rank = 0; rank <= 2; ++rank) {
      std::vector<std::pair<std::string, ComponentWeights>> found;
      for (const WeightFile& file : files) {
        if (file.rank != rank) continue;
        if (auto weights = TryRead(file)) found.emplace_back(file.name, std::move(*weights));
      }
      if (found.size() > 1) RefuseSeveral(found);
      if (found.size() == 1) return std::move(found[0].second);
    }
    return std::nullopt;
  }

  void NoteShards(const WeightFile& index, std::set<std::string>& shards) {
    try {
      for (const auto& [tensor, shard] : ReadSafetensorsIndex(Path(index))) shards.insert(shard);
    } catch (const std::exception&) {
      // Reading it as weights will fail as well, and is where that is handled.
    }
  }

  // The file's tensors if they are the component's. A broken file is somebody else's matter unless it has a
  // name that this component's weights usually have, or nothing else is found.
  std::optional<ComponentWeights> TryRead(const WeightFile& file) {
    try {
      return Read(file);
    } catch (const MissingFile&) {
      throw;
    } catch (const std::exception&) {
      if (file.rank < 2) throw;
      if (!broken_) broken_ = std::current_exception();
    }
    return std::nullopt;
  }

  std::optional<ComponentWeights> Read(const WeightFile& file) {
    ComponentWeights weights;
    if (file.end == kIndexEnd) {
      const auto index = ReadSafetensorsIndex(Path(file));
      std::vector<std::string> names;
      for (const auto& [tensor, shard] : index) names.push_back(tensor);
      if (!RecognizeNames(component_, names)) return std::nullopt;
      CheckShards(index);
      weights.tensors = ReadSafetensorsShards(Path(file)).tensors;
    } else {
      weights.tensors =
          (file.end == kTorchEnd ? ReadTorchFile(Path(file)) : ReadSafetensors(Path(file))).tensors;
    }
    const auto layout = RecognizeNames(component_, NamesOf(weights.tensors));
    if (!layout) return std::nullopt;
    weights.layout = *layout;
    return weights;
  }

  void CheckShards(const std::map<std::string, std::string>& index) const {
    std::set<std::string> missing;
    for (const auto& [tensor, shard] : index) {
      std::error_code ignored;
      if (!fs::exists(folder_ / shard, ignored)) missing.insert(relative_ + shard);
    }
    if (missing.empty()) return;
    std::string list;
    for (const std::string& shard : missing) list += (list.empty() ? "" : ", ") + shard;
    throw MissingFile("the checkpoint has no " + list);
  }

  [[noreturn]] void RefuseSeveral(const std::vector<std::pair<std::string, ComponentWeights>>& found) const {
    if (const std::string stem = ShardStem(found[0].first); !stem.empty()) {
      throw MissingFile("the checkpoint has no " + relative_ + stem + std::string(kIndexEnd));
    }
    std::string list;
    for (const auto& [name, weights] : found) list += (list.empty() ? "" : ", ") + relative_ + name;
    throw std::invalid_argument(std::string(TraitsOf(component_).folder) +
                                ": several files hold its weights: " + list + "; leave one of them");
  }

  std::string Path(const WeightFile& file) const { return (folder_ / file.name).string(); }

  Component component_;
  fs::path folder_;
  std::string relative_;
  std::vector<std::string> names_;
  std::exception_ptr broken_;
};

}  // namespace

std::vector<std::string> NamesOf(const std::map<std::string, at::Tensor>& tensors) {
  std::vector<std::string> names;
  names.reserve(tensors.size());
  for (const auto& [name, tensor] : tensors) names.push_back(name);
  return names;
}

std::optional<ComponentWeights> FindWeights(Component component, const fs::path& folder,
                                            const std::string& relative) {
  return Finder(component, folder, relative).Find();
}

}  // namespace svi::engine
