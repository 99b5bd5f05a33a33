// What a computation costs in floating-point operations, by watching it.
#ifndef SVI_ENGINE_TOOLS_BENCH_FLOPS_H_
#define SVI_ENGINE_TOOLS_BENCH_FLOPS_H_

#include <cstdint>
#include <functional>

namespace svi::engine {

// Runs `work` and returns the multiplications and additions (a multiply-add is two) of every matrix product,
// convolution and attention that LibTorch does meanwhile, in the sizes that really run: padding, duplicates
// and what a cache saves are as they are. Everything else (norms, activations, copies) counts as nothing.
// Watches the whole process: other threads must not compute, and one call at a time.
[[nodiscard]] uint64_t CountFlop(const std::function<void()>& work);

}  // namespace svi::engine

#endif  // SVI_ENGINE_TOOLS_BENCH_FLOPS_H_
