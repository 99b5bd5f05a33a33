// The small models of tests/golden/dit/make_fixtures.py, from the same seeds.
#ifndef SVI_TESTS_WORKER_ENGINE_DIT_SEEDED_MODEL_H_
#define SVI_TESTS_WORKER_ENGINE_DIT_SEEDED_MODEL_H_

#include <ATen/ATen.h>

#include <map>
#include <memory>
#include <string>

#include "worker/engine/dit/transformer.h"

namespace svi::engine {

// In [-scale, scale), the same on every CPU: drawn as integers.
at::Tensor SeededUniform(uint64_t seed, at::IntArrayRef shape, double scale);

TransformerConfig ConfigA();
TransformerConfig ConfigB();

std::map<std::string, at::Tensor> SeededWeights(const TransformerConfig& config);

std::unique_ptr<Transformer> SeededTransformer(const TransformerConfig& config,
                                               at::ScalarType dtype = at::kFloat);

}  // namespace svi::engine

#endif  // SVI_TESTS_WORKER_ENGINE_DIT_SEEDED_MODEL_H_
