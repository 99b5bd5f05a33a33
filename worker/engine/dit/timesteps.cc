#include "worker/engine/dit/timesteps.h"

#include <algorithm>
#include <tuple>
#include <vector>

namespace svi::engine {

DistinctTimesteps FindDistinctTimesteps(const at::Tensor& timestep, int64_t tokens) {
  const at::Tensor t = timestep.to(at::kDouble);
  if (t.dim() == 1) {
    return {t.unsqueeze(1), at::zeros({t.size(0), tokens}, t.options().dtype(at::kLong))};
  }
  std::vector<at::Tensor> values, indices;
  int64_t most = 0;
  for (int64_t row = 0; row < t.size(0); ++row) {
    auto [distinct, index, counts] = at::_unique2(t[row], /*sorted=*/true, /*return_inverse=*/true);
    most = std::max(most, distinct.size(0));
    values.push_back(std::move(distinct));
    indices.push_back(std::move(index));
  }
  for (at::Tensor& row : values) {
    if (row.size(0) < most) row = at::cat({row, row.narrow(0, 0, 1).expand({most - row.size(0)})});
  }
  return {at::stack(values), at::stack(indices)};
}

at::Tensor Sinusoid(const at::Tensor& t, int64_t width) {
  const int64_t half = width / 2;
  const at::Tensor exponents = at::arange(half, t.options().dtype(at::kDouble)) / static_cast<double>(half);
  const at::Tensor angles = t.to(at::kDouble).unsqueeze(-1) * at::pow(10000.0, -exponents);
  return at::cat({angles.cos(), angles.sin()}, -1).to(at::kFloat);
}

TimeEmbedding::TimeEmbedding(const Scope& scope, int64_t freq_dim, int64_t dim)
    : freq_dim_(freq_dim),
      linear_1_(scope / "time_embedder" / "linear_1", freq_dim, dim),
      linear_2_(scope / "time_embedder" / "linear_2", dim, dim),
      proj_(scope / "time_proj", dim, 6 * dim) {}

TimeEmbedding::Output TimeEmbedding::Forward(const at::Tensor& timesteps) const {
  const at::Tensor embedded = linear_2_.Forward(at::silu(linear_1_.Forward(Sinusoid(timesteps, freq_dim_))));
  return {embedded, proj_.Forward(at::silu(embedded)).unflatten(-1, {6, -1})};
}

void TimeEmbedding::ListLinears(const std::string& prefix, std::map<std::string, Linear*>& list) {
  list[prefix + "time_embedder.linear_1"] = &linear_1_;
  list[prefix + "time_embedder.linear_2"] = &linear_2_;
  list[prefix + "time_proj"] = &proj_;
}

}  // namespace svi::engine
