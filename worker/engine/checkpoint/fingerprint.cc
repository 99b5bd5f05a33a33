#include "worker/engine/checkpoint/fingerprint.h"

#include <absl/strings/escaping.h>

#include <string_view>

#include "client/sha256.h"

namespace svi::engine {
namespace {

constexpr int64_t kWholeBytes = 64 << 10;  // up to here every byte counts
constexpr int64_t kPieceBytes = 4 << 10;
constexpr int64_t kPieces = 16;

void AddContent(const at::Tensor& tensor, Sha256& hash) {
  const at::Tensor plain = tensor.contiguous();
  const absl::string_view bytes(static_cast<const char*>(plain.const_data_ptr()), plain.nbytes());
  const auto size = static_cast<int64_t>(bytes.size());
  if (size <= kWholeBytes) return hash.Update(bytes);
  for (int64_t i = 0; i < kPieces; ++i) {
    hash.Update(bytes.substr((size - kPieceBytes) / kPieces * i, kPieceBytes));
  }
  hash.Update(bytes.substr(size - kPieceBytes));
}

}  // namespace

std::string WeightsFingerprint(const ComponentWeights& weights) {
  Sha256 hash;
  for (const auto& [name, tensor] : weights.tensors) {
    std::string head = name + "\n" + at::toString(tensor.scalar_type());
    for (const int64_t size : tensor.sizes()) head += "," + std::to_string(size);
    hash.Update(head + "\n");
    AddContent(tensor, hash);
  }
  return absl::BytesToHexString(hash.Finish());
}

}  // namespace svi::engine
