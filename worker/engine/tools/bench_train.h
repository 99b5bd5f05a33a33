// svi-worker bench's part "train".
#ifndef SVI_ENGINE_TOOLS_BENCH_TRAIN_H_
#define SVI_ENGINE_TOOLS_BENCH_TRAIN_H_

#include <ATen/ATen.h>

#include "engine/bench.h"
#include "worker/engine/tools/bench_parts.h"

namespace svi::engine {

// A step of LoRA training on one clip, "train-step", and the same with its blocks checkpointed,
// "train-step-checkpointed": text keys and values, forward, loss, backward, clipping, AdamW.
LoadedBenchPart LoadTrainPart(const BenchOptions& options, at::Device device);

}  // namespace svi::engine

#endif  // SVI_ENGINE_TOOLS_BENCH_TRAIN_H_
