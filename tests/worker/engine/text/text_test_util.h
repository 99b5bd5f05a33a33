#ifndef SVI_TESTS_WORKER_ENGINE_TEXT_TEXT_TEST_UTIL_H_
#define SVI_TESTS_WORKER_ENGINE_TEXT_TEXT_TEST_UTIL_H_

#include <nlohmann/json.hpp>
#include <string>

namespace svi::engine {

std::string GoldenPath(const std::string& name);  // under tests/golden/
std::string ReadGolden(const std::string& name);
nlohmann::json ReadGoldenJson(const std::string& name);

// An empty folder that goes when the object does.
class TempFolder {
 public:
  TempFolder();
  ~TempFolder();
  TempFolder(const TempFolder&) = delete;
  TempFolder& operator=(const TempFolder&) = delete;
  const std::string& path() const { return path_; }
  void Write(const std::string& name, const std::string& bytes) const;
  std::string Read(const std::string& name) const;

 private:
  std::string path_;
};

}  // namespace svi::engine

#endif  // SVI_TESTS_WORKER_ENGINE_TEXT_TEXT_TEST_UTIL_H_
