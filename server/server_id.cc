#include "server/server_id.h"

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <system_error>

#include "absl/random/random.h"
#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"

namespace svi::server {
namespace {

constexpr size_t kIdLength = 16;  // hexadecimal digits
constexpr size_t kMaxPasswordBytes = 4096;

}  // namespace

absl::StatusOr<std::string> KeepServerId(const std::string& dir) {
  const std::filesystem::path path = std::filesystem::path(dir) / "server.id";
  std::error_code error;
  if (std::filesystem::exists(path, error)) {
    std::string id;
    std::getline(std::ifstream(path), id);
    const bool valid = id.size() == kIdLength && std::all_of(id.begin(), id.end(), absl::ascii_isxdigit);
    if (!valid) return absl::DataLossError("server.id in it holds no id: delete that file");
    return id;
  }
  absl::BitGen random;
  const std::string id = absl::StrCat(absl::Hex(absl::Uniform<uint64_t>(random), absl::kZeroPad16));
  // Whole or not at all.
  const std::filesystem::path partial = path.string() + ".partial";
  std::ofstream out(partial);
  out << id << "\n";
  out.close();
  if (out) std::filesystem::rename(partial, path, error);
  if (!out || error) return absl::UnavailableError("server.id cannot be written");
  return id;
}

absl::StatusOr<std::string> ReadPassword(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  if (!in) return absl::InvalidArgumentError("the file cannot be read");
  std::ostringstream bytes;
  bytes << in.rdbuf();
  std::string password = bytes.str();
  if (password.size() > kMaxPasswordBytes) return absl::InvalidArgumentError("the file is larger than 4 KiB");
  while (!password.empty() && (password.back() == '\n' || password.back() == '\r')) password.pop_back();
  if (password.empty()) return absl::InvalidArgumentError("the file is empty");
  return password;
}

}  // namespace svi::server
