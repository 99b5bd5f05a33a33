#include "tests/fault/small_disk.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <stdlib.h>
#include <sys/mount.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <utility>

#include "absl/strings/str_cat.h"

namespace svi::fault {

const std::string& SmallDisk::Unavailable() {
  static const std::string* const why = [] {
    std::string folder = (std::filesystem::temp_directory_path() / "svi-probe-XXXXXX").string();
    if (mkdtemp(folder.data()) == nullptr) return new std::string("no temporary folder");
    const int error = mount("none", folder.c_str(), "tmpfs", 0, "size=1m") == 0 ? 0 : errno;
    if (error == 0) umount(folder.c_str());
    rmdir(folder.c_str());
    return new std::string(error == 0 ? "" : absl::StrCat("mount: ", strerror(error)));
  }();
  return *why;
}

SmallDisk::SmallDisk(std::string folder, int megabytes) : folder_(std::move(folder)) {
  std::filesystem::create_directories(folder_);
  EXPECT_EQ(mount("none", folder_.c_str(), "tmpfs", 0, absl::StrCat("size=", megabytes, "m").c_str()), 0)
      << strerror(errno);
}

SmallDisk::~SmallDisk() { EXPECT_EQ(umount2(folder_.c_str(), MNT_DETACH), 0) << strerror(errno); }

void SmallDisk::Fill() {
  const int fd = open(ballast().c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
  ASSERT_GE(fd, 0) << strerror(errno);
  const std::string much(1 << 20, 'x');
  for (size_t piece = much.size(); piece > 0;) {
    if (write(fd, much.data(), piece) < 0) piece /= 2;
  }
  EXPECT_EQ(errno, ENOSPC);
  close(fd);
}

void SmallDisk::Free() { EXPECT_EQ(unlink(ballast().c_str()), 0) << strerror(errno); }

}  // namespace svi::fault
