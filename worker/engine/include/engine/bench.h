// Timing the parts of a model: svi-worker bench.
#ifndef SVI_ENGINE_BENCH_H_
#define SVI_ENGINE_BENCH_H_

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "engine/engine.h"

namespace svi::engine {

struct BenchOptions {
  EngineOptions engine;
  // Of what is timed: pixels and frames.
  int width = 256;
  int height = 256;
  int num_frames = 17;
  int num_inference_steps = 2;  // of the whole clip
  int lora_rank = 16;           // of the step of training
  int repeats = 5;              // of each part; the parts take turns, the median counts
  // Which to run: dit, vae-encode, vae-decode, text-encoder, train, clip; empty: all but train.
  std::vector<std::string> parts;
};

struct BenchPart {
  std::string name;
  std::string shape;   // for people: "1×48×5×16×16, 320 tokens"
  double seconds = 0;  // median
  double min_seconds = 0;
  double max_seconds = 0;
  double gflop = 0;          // of one run: multiplications and additions of matrix products and convolutions
  double gflops = 0;         // a second, at the median
  double share_of_gemm = 0;  // gflops / BenchReport::gemm_gflops
  uint64_t peak_bytes = 0;   // resident, highest while it ran; on a GPU: allocated there
};

struct BenchReport {
  std::string device;
  int threads = 0;
  std::string model;
  double load_seconds = 0;
  double gemm_gflops = 0;  // large float32 matrix product, measured between the parts of this run
  std::vector<BenchPart> parts;
};

// Errors as Engine::Load and Engine::GenerateClip. `progress` gets a line for people before each part.
absl::StatusOr<BenchReport> RunBench(const BenchOptions& options,
                                     const std::function<void(const std::string&)>& progress);

}  // namespace svi::engine

#endif  // SVI_ENGINE_BENCH_H_
