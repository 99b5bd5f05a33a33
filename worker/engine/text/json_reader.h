// Strict access to the fields of a JSON file that somebody else wrote.
#ifndef SVI_ENGINE_TEXT_JSON_READER_H_
#define SVI_ENGINE_TEXT_JSON_READER_H_

#include <cstdint>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>

namespace svi::engine {

// A value and the path to it ("tokenizer.json: model.vocab[3]"), for messages. Every getter throws
// std::invalid_argument that names the path if the value is not what was asked for.
class JsonReader {
 public:
  JsonReader(const nlohmann::json& value, std::string path) : value_(&value), path_(std::move(path)) {}

  bool Has(const char* field) const {
    return value_->is_object() && value_->contains(field) && !(*value_)[field].is_null();
  }
  JsonReader operator[](const char* field) const;  // missing fields are an error
  JsonReader operator[](size_t index) const;
  size_t size() const;  // of an array

  std::string String() const;
  int64_t Integer(int64_t low, int64_t high) const;
  double Number() const;
  bool Bool(const char* field, bool otherwise) const;
  int64_t Integer(const char* field, int64_t otherwise, int64_t low, int64_t high) const;

  const nlohmann::json& value() const { return *value_; }
  bool IsNull() const { return value_->is_null(); }
  [[noreturn]] void Fail(const std::string& what) const;

 private:
  const nlohmann::json* value_;
  std::string path_;
};

// Parses, refusing nesting deeper than these files have (the parser recurses when it frees).
nlohmann::json ParseJson(std::string_view text, const std::string& name);

}  // namespace svi::engine

#endif  // SVI_ENGINE_TEXT_JSON_READER_H_
