// The small checkpoint of tests/golden/checkpoint in both layouts, to be changed by tests.
#ifndef SVI_TESTS_WORKER_ENGINE_CHECKPOINT_CHECKPOINT_FILES_H_
#define SVI_TESTS_WORKER_ENGINE_CHECKPOINT_CHECKPOINT_FILES_H_

#include <ATen/ATen.h>

#include <functional>
#include <map>
#include <nlohmann/json.hpp>
#include <string>

namespace svi::engine {

using Tensors = std::map<std::string, at::Tensor>;

std::string GoldenPath(const std::string& relative);
nlohmann::json ReadJson(const std::string& path);
void WriteText(const std::string& path, const std::string& text);

// Wan's own files as its own code wrote them, with a tokenizer; `dir` exists.
void WriteOriginal(const std::string& dir);
// The same weights and the same tokenizer in the Diffusers layout.
void WriteDiffusers(const std::string& dir);

// The original weights under their original names.
Tensors OriginalTransformer();
Tensors OriginalVae();
Tensors OriginalTextEncoder();

// What `load` throws, "" if nothing; `kind`: "MissingFile", "invalid_argument" or "other".
struct Thrown {
  std::string kind;
  std::string message;
};
Thrown ErrorOf(const std::function<void()>& load);

}  // namespace svi::engine

#endif  // SVI_TESTS_WORKER_ENGINE_CHECKPOINT_CHECKPOINT_FILES_H_
