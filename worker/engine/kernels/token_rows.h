// Values that few rows hold for many tokens: modulation has a row for each distinct timestep.
#ifndef SVI_ENGINE_KERNELS_TOKEN_ROWS_H_
#define SVI_ENGINE_KERNELS_TOKEN_ROWS_H_

#include <ATen/ATen.h>

#include <cstdint>

namespace svi::engine {

// rows [B, R, D], row_of_token int64 [B, L] with values < R → what broadcasts against [B, L, D]: a single row
// as it is, otherwise each token's own.
at::Tensor SpreadRows(const at::Tensor& rows, const at::Tensor& row_of_token);

// The other way, for gradients: of_token [B, L, D] summed over the tokens of each of `count` rows, [B, R, D]
// in float32 or wider. Products with a 0/1 matrix, so that the order of the sums is always the same.
at::Tensor SumOverTokens(const at::Tensor& of_token, const at::Tensor& row_of_token, int64_t count);

// x + gate[row] * update, in x's dtype; x, update [B, L, D], gate [B, R, D]. Of all three gradients can be
// taken; what they need is kept by row, not by token.
at::Tensor AddGated(const at::Tensor& x, const at::Tensor& update, const at::Tensor& gate,
                    const at::Tensor& row_of_token);

}  // namespace svi::engine

#endif  // SVI_ENGINE_KERNELS_TOKEN_ROWS_H_
