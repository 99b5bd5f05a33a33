#include "worker/files.h"

#include <cerrno>
#include <cstring>
#include <fstream>
#include <iterator>
#include <system_error>

#include "absl/strings/str_cat.h"
#include "worker/media/media.h"

namespace svi::worker {

absl::StatusOr<std::string> ReadWholeFile(const std::filesystem::path& path) {
  std::ifstream in(path, std::ios::binary);
  if (!in) return absl::InvalidArgumentError(absl::StrCat(path.string(), ": ", std::strerror(errno)));
  std::string bytes(std::istreambuf_iterator<char>(in), {});
  if (in.bad()) return absl::InvalidArgumentError(absl::StrCat(path.string(), ": cannot be read"));
  return bytes;
}

absl::StatusOr<engine::Picture> ReadPicture(const std::filesystem::path& path) {
  const absl::StatusOr<std::string> bytes = ReadWholeFile(path);
  if (!bytes.ok()) return bytes.status();
  absl::StatusOr<engine::Picture> picture = media::DecodePicture(*bytes);
  if (!picture.ok()) {
    return absl::Status(picture.status().code(),
                        absl::StrCat(path.string(), ": ", picture.status().message()));
  }
  return picture;
}

absl::Status WriteWholeFile(const std::filesystem::path& path, const std::string& bytes) {
  const std::filesystem::path part = path.string() + ".part";
  std::ofstream out(part, std::ios::binary);
  out.write(bytes.data(), static_cast<std::streamsize>(bytes.size()));
  out.close();
  std::error_code error;
  if (out) std::filesystem::rename(part, path, error);
  if (!out || error) return absl::InternalError(absl::StrCat(path.string(), ": cannot be written"));
  return absl::OkStatus();
}

}  // namespace svi::worker
