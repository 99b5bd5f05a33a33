// What every fuzz target implements, for libFuzzer (built with the preset `fuzz`) and for replay.cc.
#ifndef SVI_TESTS_FUZZ_FUZZ_H_
#define SVI_TESTS_FUZZ_FUZZ_H_

#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <string_view>

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size);

namespace svi::fuzz {

inline std::string_view View(const uint8_t* data, size_t size) {
  return {reinterpret_cast<const char*>(data), size};
}

// A promise that the code under test makes. Kept also where assertions are not.
inline void Check(bool holds, const char* promise) {
  if (holds) return;
  std::fprintf(stderr, "broken promise: %s\n", promise);
  std::abort();
}

}  // namespace svi::fuzz

#endif  // SVI_TESTS_FUZZ_FUZZ_H_
