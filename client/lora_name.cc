#include "client/lora_name.h"

#include <algorithm>

#include "absl/strings/ascii.h"

namespace svi {

bool IsLoraName(absl::string_view name) {
  return !name.empty() && name.size() <= 128 && std::all_of(name.begin(), name.end(), [](char c) {
    return absl::ascii_isalnum(static_cast<unsigned char>(c)) || c == '.' || c == '_' || c == '-';
  });
}

}  // namespace svi
