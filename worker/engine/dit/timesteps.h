// Timesteps of tokens, and what the model makes of them.
#ifndef SVI_ENGINE_DIT_TIMESTEPS_H_
#define SVI_ENGINE_DIT_TIMESTEPS_H_

#include <ATen/ATen.h>

#include <map>
#include <string>

#include "worker/engine/nn/layers.h"

namespace svi::engine {

// Timesteps without repetition: a clip has two at a time (clean slots and the others), but tens of thousands
// of tokens.
struct DistinctTimesteps {
  at::Tensor values;        // double [B, R]; rows with fewer than R repeat one of theirs
  at::Tensor row_of_token;  // int64 [B, tokens], values < R
};

// timestep [B], or [B, tokens]; any real dtype.
DistinctTimesteps FindDistinctTimesteps(const at::Tensor& timestep, int64_t tokens);

// First cos, then sin of t * 10000^(-i / half), i = 0..half-1, half = width / 2. Angles in double (Wan's own
// code; float is off by 6e-5 near t = 1000). t [...] → float32 [..., width].
at::Tensor Sinusoid(const at::Tensor& t, int64_t width);

// The two time embeddings of Wan, always in float32: of the head, and of the blocks.
class TimeEmbedding {
 public:
  struct Output {
    at::Tensor head;    // [B, R, D]
    at::Tensor blocks;  // [B, R, 6, D]: shift, scale and gate of the attention, then of the feed-forward
  };
  // Scope: "condition_embedder".
  TimeEmbedding(const Scope& scope, int64_t freq_dim, int64_t dim);
  Output Forward(const at::Tensor& timesteps) const;
  // As Transformer::Linears; `prefix` ends with a dot.
  void ListLinears(const std::string& prefix, std::map<std::string, Linear*>& list);

 private:
  int64_t freq_dim_;
  Linear linear_1_, linear_2_, proj_;
};

}  // namespace svi::engine

#endif  // SVI_ENGINE_DIT_TIMESTEPS_H_
