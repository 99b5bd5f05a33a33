#include "worker/engine/weights/dtype.h"

namespace svi::engine {
namespace {

struct Traits {
  const char* name;
  int64_t bytes;
  bool floating;
};

// In the order of the enum.
constexpr Traits kTraits[] = {
    {"F64", 8, true},  {"F32", 4, true},  {"F16", 2, true}, {"BF16", 2, true}, {"I64", 8, false},
    {"I32", 4, false}, {"I16", 2, false}, {"I8", 1, false}, {"U8", 1, false},  {"BOOL", 1, false},
};

const Traits& Of(Dtype dtype) { return kTraits[static_cast<int>(dtype)]; }

}  // namespace

const char* DtypeName(Dtype dtype) { return Of(dtype).name; }

std::optional<Dtype> ParseDtype(std::string_view name) {
  for (const Traits& traits : kTraits) {
    if (name == traits.name) return static_cast<Dtype>(&traits - kTraits);
  }
  return std::nullopt;
}

int64_t ItemSize(Dtype dtype) { return Of(dtype).bytes; }

bool IsFloatingPoint(Dtype dtype) { return Of(dtype).floating; }

}  // namespace svi::engine
