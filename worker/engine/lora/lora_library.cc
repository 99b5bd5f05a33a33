#include "worker/engine/lora/lora_library.h"

#include <algorithm>
#include <filesystem>
#include <optional>
#include <system_error>
#include <utility>
#include <vector>

#include "worker/engine/weights/mapped_file.h"

namespace svi::engine {
namespace {

constexpr std::string_view kExtension = ".safetensors";
constexpr size_t kLongestName = 128;

bool IsName(std::string_view name) {
  return !name.empty() && name.size() <= kLongestName && std::all_of(name.begin(), name.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' ||
           c == '_' || c == '-';
  });
}

bool IsCandidate(std::string_view file) { return !file.starts_with('.') && file.ends_with(kExtension); }

UnknownLora Unknown(const std::string& name) {
  return UnknownLora("LoRA '" + name.substr(0, kLongestName) + "' is not known to this worker");
}

bool IsAbsent(const std::system_error& error) {
  return error.code() == std::errc::no_such_file_or_directory || error.code() == std::errc::not_a_directory;
}

// Why a file is not usable, without the file's name in front: the name stands beside it.
std::string Reason(const std::exception& error, const std::string& file) {
  if (const auto* failure = dynamic_cast<const std::system_error*>(&error)) {
    return "cannot be read: " + failure->code().message();
  }
  const std::string text = error.what();
  const std::string prefix = file + ": ";
  return text.starts_with(prefix) ? text.substr(prefix.size()) : text;
}

// Names of the files that may be LoRAs; nothing if the folder cannot be read, and why in `error`.
std::optional<std::vector<std::string>> List(const std::string& dir, std::error_code& error) {
  std::vector<std::string> files;
  std::filesystem::directory_iterator entry(dir, error);
  for (; !error && entry != std::filesystem::directory_iterator(); entry.increment(error)) {
    const std::string file = entry->path().filename().string();
    std::error_code unknown_type;  // shows when the file is opened
    if (IsCandidate(file) && !entry->is_directory(unknown_type)) files.push_back(file);
  }
  if (error) return std::nullopt;
  return files;
}

}  // namespace

LoraLibrary::LoraLibrary(std::string dir, std::string cache_dir, LoraTargets targets)
    : dir_(std::move(dir)), cache_dir_(std::move(cache_dir)), targets_(std::move(targets)) {}

template <typename Use>
auto LoraLibrary::FirstOf(const std::string& name, Use use) const {
  const std::string file = name + std::string(kExtension);
  // Names come from requests: they must not lead out of the folders.
  if (!IsName(name) || !IsCandidate(file)) throw Unknown(name);
  for (const std::string& dir : {cache_dir_, dir_}) {
    if (dir.empty()) continue;
    try {
      return use(dir + "/" + file);
    } catch (const std::system_error& e) {
      if (!IsAbsent(e)) {
        throw std::invalid_argument("LoRA '" + name + "': cannot be read: " + e.code().message());
      }
    }
  }
  throw Unknown(name);
}

std::string LoraLibrary::Version(const std::string& name) const {
  return FirstOf(name, [](const std::string& path) { return LoraFileVersion(path); });
}

LoraLibrary::Entry LoraLibrary::Open(const std::string& name) {
  return FirstOf(name, [&](const std::string& path) -> Entry {
    std::string version;
    try {
      const LoraFile lora(path, targets_);
      version = lora.version();
      return {version, lora.Read()};
    } catch (const std::invalid_argument& e) {
      const std::string why = Reason(e, BaseName(path));
      if (!version.empty()) {  // the header was good, so only Open can know
        const std::lock_guard<std::mutex> lock(mutex_);
        seen_[path] = {version, {}, why};
      }
      throw std::invalid_argument("LoRA '" + name + "': " + why);
    }
  });
}

LoraLibrary::Seen LoraLibrary::Look(const std::string& path) const {
  Seen seen;
  const std::string file = BaseName(path);
  const std::string name = file.substr(0, file.size() - kExtension.size());
  if (!IsName(name)) {
    seen.refused = "a LoRA's name must be 1 to 128 characters of [A-Za-z0-9._-]";
    return seen;
  }
  try {
    const LoraFile lora(path, targets_);
    seen.version = lora.version();
    seen.lora = {name, lora.rank(), lora.modules()};
  } catch (const std::exception& e) {
    seen.refused = Reason(e, file);
  }
  return seen;
}

LoraLibrary::SeenFiles LoraLibrary::LookAtFolder(const std::string& dir, const SeenFiles& before,
                                                 std::vector<LoraFolder::Refused>& refused) const {
  SeenFiles now;
  if (dir.empty()) return now;
  std::error_code error;
  const auto files = List(dir, error);
  if (!files) {
    refused.push_back({BaseName(dir), "the LoRA folder cannot be read: " + error.message()});
    return now;
  }
  for (const std::string& file : *files) {
    const std::string path = dir + "/" + file;
    std::string version;
    try {
      version = LoraFileVersion(path);
    } catch (const std::system_error& e) {
      if (IsAbsent(e)) continue;  // gone since it was listed, or a link to nowhere
    }
    const auto known = before.find(path);
    if (known != before.end() && !version.empty() && known->second.version == version) {
      now[path] = known->second;
      continue;
    }
    now[path] = Look(path);
    // A refused file is looked at again when it has changed since before it was opened.
    if (!now[path].refused.empty()) now[path].version = version;
  }
  return now;
}

LoraFolder LoraLibrary::Scan() {
  SeenFiles before;
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    before = seen_;
  }
  LoraFolder folder;
  SeenFiles now = LookAtFolder(dir_, before, folder.refused);
  SeenFiles cached = LookAtFolder(cache_dir_, before, folder.refused);
  // The server knows of itself what is published: only the folder's own are told.
  const auto add = [&](SeenFiles& files, bool tell) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    for (auto& [path, seen] : files) {
      // What Open found out in the meantime.
      const auto newer = seen_.find(path);
      if (newer != seen_.end() && newer->second.version == seen.version && !newer->second.refused.empty()) {
        seen = newer->second;
      }
      if (!seen.refused.empty()) {
        folder.refused.push_back({BaseName(path), seen.refused});
      } else if (tell) {
        folder.loras.push_back(seen.lora);
      }
    }
  };
  const std::lock_guard<std::mutex> lock(mutex_);
  add(now, true);
  add(cached, false);
  std::sort(folder.loras.begin(), folder.loras.end(),
            [](const auto& a, const auto& b) { return a.name < b.name; });
  std::stable_sort(folder.refused.begin(), folder.refused.end(),
                   [](const auto& a, const auto& b) { return a.file < b.file; });
  seen_ = std::move(now);
  seen_.merge(cached);
  return folder;
}

}  // namespace svi::engine
