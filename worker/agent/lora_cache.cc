#include "worker/agent/lora_cache.h"

#include <fcntl.h>
#include <spdlog/spdlog.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <system_error>
#include <tuple>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "client/lora_name.h"
#include "worker/agent/failure.h"

namespace svi::worker {
namespace {

namespace fs = std::filesystem;

constexpr size_t kSha256Bytes = 32;

absl::Status Unusable(const std::string& dir, const std::string& why) {
  return absl::FailedPreconditionError(absl::StrCat("the LoRA cache ", dir, ": ", why));
}

// Changes with the file; empty if there is none.
std::string VersionOf(const std::string& path) {
  struct stat info {};
  if (::stat(path.c_str(), &info) != 0) return "";
  return absl::StrCat(info.st_dev, ".", info.st_ino, ".", info.st_size, ".", info.st_mtim.tv_sec, ".",
                      info.st_mtim.tv_nsec);
}

// What the clip's failure says; see LoraCache::Provide.
absl::Status FetchError(const std::string& name, const absl::Status& status) {
  switch (status.code()) {
    case absl::StatusCode::kCancelled:
      return status;
    case absl::StatusCode::kNotFound:
      return absl::NotFoundError(absl::StrCat("LoRA '", name, "' is not published any more"));
    case absl::StatusCode::kDataLoss:
      return absl::DataLossError(absl::StrCat("LoRA '", name, "' arrived damaged"));
    default:
      return WithReason(absl::UnavailableError(absl::StrCat("LoRA '", name, "': ", status.message())),
                        "LORA_UNAVAILABLE");
  }
}

}  // namespace

absl::StatusOr<std::unique_ptr<LoraCache>> LoraCache::Open(const std::string& dir, uint64_t max_bytes) {
  std::error_code error;
  if (dir.empty()) {
    std::string made = (fs::temp_directory_path(error) / "svi-worker-loras-XXXXXX").string();
    if (error || ::mkdtemp(made.data()) == nullptr) return Unusable(made, std::strerror(errno));
    return std::unique_ptr<LoraCache>(new LoraCache(made, max_bytes, true, -1));
  }
  fs::create_directories(dir, error);
  if (error) return Unusable(dir, error.message());
  const int lock = ::open((dir + "/.lock").c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0666);
  if (lock < 0) return Unusable(dir, std::strerror(errno));
  if (::flock(lock, LOCK_EX | LOCK_NB) != 0) {
    ::close(lock);
    return Unusable(dir, "another worker uses it");
  }
  return std::unique_ptr<LoraCache>(new LoraCache(dir, max_bytes, false, lock));
}

LoraCache::LoraCache(std::string dir, uint64_t max_bytes, bool temporary, int lock)
    : dir_(std::move(dir)), max_bytes_(max_bytes), temporary_(temporary), lock_(lock) {}

LoraCache::~LoraCache() {
  RemoveTemporary();
  if (lock_ >= 0) ::close(lock_);
}

void LoraCache::RemoveTemporary() const {
  std::error_code ignored;  // there is nothing left to do about it
  if (temporary_) fs::remove_all(dir_, ignored);
}

absl::Status LoraCache::Provide(const google::protobuf::RepeatedPtrField<v1::LoraRef>& wanted,
                                const google::protobuf::RepeatedPtrField<v1::Lora>& published,
                                const Fetch& fetch) {
  ++uses_;
  for (const v1::LoraRef& ref : wanted) last_use_[ref.name()] = uses_;
  for (const v1::LoraRef& ref : wanted) {
    const std::string& name = ref.name();
    if (!IsLoraName(name)) continue;  // nor is it the engine's
    const auto lora = std::find_if(published.begin(), published.end(), [&name](const v1::Lora& one) {
      return one.name() == absl::StrCat("loras/", name);
    });
    if (lora == published.end()) {
      // Perhaps it was once: the name must not mean what was deleted.
      if (::unlink(PathOf(name).c_str()) == 0) spdlog::info("LoRA {}: no longer published", name);
      known_.erase(name);
      continue;
    }
    if (absl::Status status = ProvideOne(name, *lora, fetch); !status.ok()) return status;
  }
  return absl::OkStatus();
}

absl::Status LoraCache::ProvideOne(const std::string& name, const v1::Lora& lora, const Fetch& fetch) {
  if (lora.sha256().size() != kSha256Bytes) {
    return FetchError(name, absl::InternalError("the server did not say its SHA-256"));
  }
  if (Has(name, lora)) return absl::OkStatus();
  const absl::Time start = absl::Now();
  spdlog::info("LoRA {}: fetching {} bytes", name, lora.size_bytes());
  MakeRoom(lora.size_bytes());
  absl::StatusOr<std::unique_ptr<client::FileDownload>> file =
      client::FileDownload::Open(PathOf(name), lora.sha256());
  if (!file.ok()) return FetchError(name, file.status());
  if (absl::Status status = fetch(lora.name(), **file); !status.ok()) {
    // The log has the whole truth, the clip's failure what may be told.
    if (!absl::IsCancelled(status)) spdlog::warn("LoRA {}: {}", name, std::string(status.message()));
    return FetchError(name, status);
  }
  known_[name] = {lora.sha256(), VersionOf(PathOf(name))};
  spdlog::info("LoRA {}: fetched in {}", name, absl::FormatDuration(absl::Now() - start));
  return absl::OkStatus();
}

void LoraCache::MakeRoom(uint64_t bytes) {
  struct File {
    uint64_t last_use;
    std::string name;
    uint64_t size;
  };
  std::vector<File> files;
  uint64_t total = bytes;
  std::error_code error;
  fs::directory_iterator entry(dir_, error);
  for (; !error && entry != fs::directory_iterator(); entry.increment(error)) {
    std::error_code gone;
    const uint64_t size = entry->file_size(gone);
    if (gone) continue;
    total += size;
    const std::string name = entry->path().stem().string();
    if (entry->path().extension() != ".safetensors") continue;
    const auto use = last_use_.find(name);
    files.push_back({use == last_use_.end() ? 0 : use->second, name, size});
  }
  std::sort(files.begin(), files.end(), [](const File& a, const File& b) {
    return std::tie(a.last_use, a.name) < std::tie(b.last_use, b.name);
  });
  for (const File& file : files) {
    if (total <= max_bytes_ || file.last_use == uses_) break;
    if (::unlink(PathOf(file.name).c_str()) != 0) continue;
    spdlog::info("LoRA {}: removed from the cache, which is full", file.name);
    known_.erase(file.name);
    total -= file.size;
  }
}

bool LoraCache::Has(const std::string& name, const v1::Lora& lora) {
  const std::string path = PathOf(name);
  const std::string version = VersionOf(path);
  if (version.empty()) return false;
  const auto known = known_.find(name);
  if (known != known_.end() && known->second.version == version) {
    return known->second.sha256 == lora.sha256();
  }
  // Of an earlier process: hashed once.
  if (!client::FileMatches(path, lora.size_bytes(), lora.sha256())) return false;
  known_[name] = {lora.sha256(), version};
  return true;
}

}  // namespace svi::worker
