#include "tests/worker/engine/text/text_test_util.h"

#include <gtest/gtest.h>
#include <stdlib.h>

#include <filesystem>
#include <fstream>
#include <iterator>
#include <stdexcept>

namespace svi::engine {
namespace {

std::string ReadFile(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  if (!file) throw std::runtime_error("cannot open " + path);
  return {std::istreambuf_iterator<char>(file), {}};
}

}  // namespace

std::string GoldenPath(const std::string& name) {
  return std::string(SVI_SOURCE_DIR) + "/tests/golden/" + name;
}

std::string ReadGolden(const std::string& name) { return ReadFile(GoldenPath(name)); }

nlohmann::json ReadGoldenJson(const std::string& name) { return nlohmann::json::parse(ReadGolden(name)); }

TempFolder::TempFolder() {
  std::string pattern = testing::TempDir() + "/text_test_XXXXXX";
  if (mkdtemp(pattern.data()) == nullptr) throw std::runtime_error("cannot make a folder");
  path_ = pattern;
}

TempFolder::~TempFolder() { std::filesystem::remove_all(path_); }

void TempFolder::Write(const std::string& name, const std::string& bytes) const {
  std::ofstream(path_ + "/" + name, std::ios::binary) << bytes;
}

std::string TempFolder::Read(const std::string& name) const { return ReadFile(path_ + "/" + name); }

}  // namespace svi::engine
