// A clip's MP4 as a worker uploads it: checked, and joined with itself, as for a download.
#include <sys/mman.h>
#include <unistd.h>

#include <filesystem>
#include <string>

#include "tests/fuzz/fuzz.h"
#include "worker/media/clip_check.h"
#include "worker/media/join.h"

namespace {

// A file in memory that has a path.
class MemoryFile {
 public:
  MemoryFile() : fd_(memfd_create("clip", 0)), path_("/proc/self/fd/" + std::to_string(fd_)) {}
  ~MemoryFile() { close(fd_); }
  void Set(const uint8_t* data, size_t size) const {
    svi::fuzz::Check(ftruncate(fd_, 0) == 0 && pwrite(fd_, data, size, 0) == static_cast<ssize_t>(size),
                     "memory");
  }
  const std::string& path() const { return path_; }

 private:
  const int fd_;
  const std::string path_;
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view bytes = svi::fuzz::View(data, size);
  const auto read = [&](uint64_t offset, uint64_t length) -> absl::StatusOr<std::string> {
    svi::fuzz::Check(offset <= bytes.size(), "reads begin inside of the file");
    return std::string(bytes.substr(offset, length));
  };
  const absl::Status checked =
      svi::media::CheckClip(read, size, {.width = 32, .height = 32, .fps = 24, .frames = 5});
  svi::fuzz::Check(checked.ok() || absl::IsDataLoss(checked), "what is wrong with a clip is its bytes");
  static const MemoryFile clip;
  clip.Set(data, size);
  const std::string joined = "/dev/shm/svi-fuzz-" + std::to_string(getpid()) + ".mp4";
  if (svi::media::JoinClips({clip.path(), clip.path()}, joined).ok()) {
    svi::fuzz::Check(std::filesystem::remove(joined), "a joined video is there");
  } else {
    svi::fuzz::Check(!std::filesystem::exists(joined), "on an error no file is left");
  }
  return 0;
}
