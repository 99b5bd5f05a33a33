#include "tests/worker/engine/text/golden_umt5.h"

#include "tests/worker/engine/text/text_test_util.h"
#include "worker/engine/weights/safetensors.h"

namespace svi::engine {

std::unique_ptr<UmT5Encoder> GoldenUmT5(at::ScalarType dtype) {
  auto tensors = ReadSafetensors(GoldenPath("text/umt5_weights.safetensors")).tensors;
  for (auto& [name, tensor] : tensors) tensor = tensor.to(dtype);
  WeightSource weights("text_encoder", std::move(tensors));
  const auto config = UmT5Config::FromJson(ReadGolden("text/umt5_config.json"));
  auto encoder = std::make_unique<UmT5Encoder>(config, weights);
  weights.Finish();
  return encoder;
}

}  // namespace svi::engine
