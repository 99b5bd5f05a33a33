#include "worker/engine/text/json_reader.h"

#include <cmath>
#include <stdexcept>

namespace svi::engine {
namespace {

constexpr int kDeepest = 64;

}  // namespace

nlohmann::json ParseJson(std::string_view text, const std::string& name) {
  int depth = 0;
  bool in_string = false;
  for (size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if (in_string) {
      if (c == '\\') ++i;
      in_string = c != '"';
    } else if (c == '"') {
      in_string = true;
    } else if (c == '[' || c == '{') {
      if (++depth > kDeepest) throw std::invalid_argument(name + ": nested too deeply");
    } else if (c == ']' || c == '}') {
      --depth;
    }
  }
  nlohmann::json parsed = nlohmann::json::parse(text, nullptr, /*allow_exceptions=*/false);
  if (parsed.is_discarded()) throw std::invalid_argument(name + ": not JSON");
  if (!parsed.is_object()) throw std::invalid_argument(name + ": not a JSON object");
  return parsed;
}

void JsonReader::Fail(const std::string& what) const { throw std::invalid_argument(path_ + ": " + what); }

JsonReader JsonReader::operator[](const char* field) const {
  if (!value_->is_object()) Fail("must be an object");
  if (!value_->contains(field)) Fail(std::string("has no field \"") + field + "\"");
  return JsonReader((*value_)[field], path_ + "." + field);
}

JsonReader JsonReader::operator[](size_t index) const {
  if (index >= size()) Fail("has too few entries");
  return JsonReader((*value_)[index], path_ + "[" + std::to_string(index) + "]");
}

size_t JsonReader::size() const {
  if (!value_->is_array()) Fail("must be an array");
  return value_->size();
}

std::string JsonReader::String() const {
  if (!value_->is_string()) Fail("must be a string");
  return value_->get<std::string>();
}

int64_t JsonReader::Integer(int64_t low, int64_t high) const {
  const bool integer = value_->is_number_integer();
  const bool huge = integer && value_->is_number_unsigned() && value_->get<uint64_t>() > INT64_MAX;
  if (!integer || huge || value_->get<int64_t>() < low || value_->get<int64_t>() > high) {
    Fail("must be an integer from " + std::to_string(low) + " to " + std::to_string(high));
  }
  return value_->get<int64_t>();
}

double JsonReader::Number() const {
  if (!value_->is_number() || !std::isfinite(value_->get<double>())) Fail("must be a number");
  return value_->get<double>();
}

bool JsonReader::Bool(const char* field, bool otherwise) const {
  if (!Has(field)) return otherwise;
  const JsonReader at = (*this)[field];
  if (!at.value_->is_boolean()) at.Fail("must be true or false");
  return at.value_->get<bool>();
}

int64_t JsonReader::Integer(const char* field, int64_t otherwise, int64_t low, int64_t high) const {
  return Has(field) ? (*this)[field].Integer(low, high) : otherwise;
}

}  // namespace svi::engine
