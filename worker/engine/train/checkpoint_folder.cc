#include "worker/engine/train/checkpoint_folder.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <filesystem>
#include <set>
#include <stdexcept>
#include <system_error>
#include <utility>

namespace svi::engine {
namespace {

namespace fs = std::filesystem;

constexpr char kPrefix[] = "step-";
constexpr char kShared[] = "shared.safetensors";

std::string OwnName(int rank) { return "rank-" + std::to_string(rank) + ".safetensors"; }

// Of a folder's name; nothing if it is no complete checkpoint's.
std::optional<int64_t> StepOf(const std::string& name) {
  if (!name.starts_with(kPrefix)) return std::nullopt;
  const std::string digits = name.substr(sizeof(kPrefix) - 1);
  if (digits.empty() || digits.size() > 18 || digits.find_first_not_of("0123456789") != std::string::npos) {
    return std::nullopt;
  }
  return std::stoll(digits);
}

std::set<int64_t> StepsIn(const std::string& dir) {
  std::set<int64_t> steps;
  std::error_code ignored;
  for (const auto& entry : fs::directory_iterator(dir, ignored)) {
    if (const auto step = StepOf(entry.path().filename().string())) steps.insert(*step);
  }
  return steps;
}

// A renamed folder is there after a power cut only if its parent has reached the disk.
void FlushFolder(const std::string& dir) {
  const int fd = open(dir.c_str(), O_RDONLY | O_DIRECTORY);
  if (fd < 0) throw std::system_error(errno, std::generic_category(), "a checkpoint's folder");
  const int result = fsync(fd);
  const int error = errno;
  close(fd);
  if (result != 0) throw std::system_error(error, std::generic_category(), "a checkpoint's folder");
}

TensorFile Read(const fs::path& path) {
  if (!fs::exists(path)) {
    throw std::invalid_argument("the checkpoint has no " + path.filename().string() +
                                ": it was made by another number of ranks, or is damaged");
  }
  return ReadSafetensors(path.string());
}

}  // namespace

CheckpointFolder::CheckpointFolder(std::string dir, int64_t keep, Collectives& collectives)
    : dir_(std::move(dir)), keep_(keep), collectives_(collectives) {}

std::string CheckpointFolder::PathOf(int64_t step) const {
  char name[32];
  std::snprintf(name, sizeof name, "%s%08lld", kPrefix, static_cast<long long>(step));
  return (fs::path(dir_) / name).string();
}

std::optional<int64_t> CheckpointFolder::Newest() {
  std::string newest;
  if (collectives_.rank() == 0) {
    fs::create_directories(dir_);
    for (const auto& entry : fs::directory_iterator(dir_)) {
      if (entry.path().filename().string().starts_with(std::string(".") + kPrefix))
        fs::remove_all(entry.path());
    }
    const std::set<int64_t> steps = StepsIn(dir_);
    if (!steps.empty()) newest = std::to_string(*steps.rbegin());
  }
  newest = collectives_.Broadcast(newest);
  if (newest.empty()) return std::nullopt;
  return std::stoll(newest);
}

void CheckpointFolder::Write(int64_t step, const TensorFile& shared, const TensorFile& own) {
  const fs::path done = PathOf(step);
  const fs::path part = done.parent_path() / ("." + done.filename().string());
  if (collectives_.rank() == 0) {
    fs::remove_all(part);
    fs::create_directories(part);
    WriteSafetensors((part / kShared).string(), shared);
  }
  collectives_.Barrier();
  WriteSafetensors((part / OwnName(collectives_.rank())).string(), own);
  collectives_.Barrier();
  if (collectives_.rank() == 0) {
    FlushFolder(part.string());
    fs::remove_all(done);  // of an earlier life of the run that got here
    fs::rename(part, done);
    FlushFolder(dir_);
    RemoveOld();
  }
  collectives_.Barrier();
}

void CheckpointFolder::RemoveOld() {
  const std::set<int64_t> steps = StepsIn(dir_);
  auto left = static_cast<int64_t>(steps.size());
  for (const int64_t step : steps) {
    if (left-- <= keep_) break;
    fs::remove_all(PathOf(step));
  }
}

TensorFile CheckpointFolder::ReadShared(int64_t step) const { return Read(fs::path(PathOf(step)) / kShared); }

TensorFile CheckpointFolder::ReadOwn(int64_t step) const {
  return Read(fs::path(PathOf(step)) / OwnName(collectives_.rank()));
}

}  // namespace svi::engine
