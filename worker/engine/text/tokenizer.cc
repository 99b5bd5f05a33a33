#include "worker/engine/text/tokenizer.h"

#include <filesystem>
#include <fstream>
#include <iterator>
#include <stdexcept>

namespace svi::engine {
namespace {

// Published umT5 files: tokenizer.json 17 MB, spiece.model 4.5 MB.
constexpr uintmax_t kLargestFile = 256u << 20;

std::string ReadFile(const std::filesystem::path& path) {
  const std::string name = path.filename().string();
  std::error_code error;
  const uintmax_t size = std::filesystem::file_size(path, error);
  if (error || size > kLargestFile) throw std::invalid_argument(name + ": not a file of at most 256 MiB");
  std::ifstream file(path, std::ios::binary);
  std::string bytes{std::istreambuf_iterator<char>(file), {}};
  if (!file || bytes.size() != size) throw std::invalid_argument(name + ": cannot be read");
  return bytes;
}

}  // namespace

std::unique_ptr<Tokenizer> Tokenizer::Load(const std::string& dir) {
  const std::filesystem::path folder(dir);
  std::error_code error;
  if (std::filesystem::exists(folder / "tokenizer.json", error))
    return FromJson(ReadFile(folder / "tokenizer.json"));
  if (std::filesystem::exists(folder / "spiece.model", error)) {
    return FromSentencePiece(ReadFile(folder / "spiece.model"));
  }
  throw std::invalid_argument("the tokenizer folder has neither tokenizer.json nor spiece.model");
}

}  // namespace svi::engine
