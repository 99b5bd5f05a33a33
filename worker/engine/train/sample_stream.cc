#include "worker/engine/train/sample_stream.h"

#include <vector>

namespace svi::engine {

SampleStream::SampleStream(const TrainOptions& options, const WindowOptions& window, LatentCache& cache,
                           ErrorRecycling& recycling)
    : options_(options),
      window_(window),
      cache_(cache),
      recycling_(recycling),
      order_(options.seed, cache.size()) {}

DrawnSample SampleStream::At(int64_t position) {
  at::Generator random = SampleGenerator(options_.seed, position, kSampleStream);
  DrawnSample drawn;
  drawn.sample = LayOut(cache_.Load(order_.At(position)), window_, random);
  if (at::rand({1}, random, at::kDouble).item<double>() < options_.prompt_dropout) {
    drawn.sample.prompt = cache_.EmptyPrompt();
  }
  drawn.timestep_index = at::randint(kTrainTimesteps, {1}, random, at::kLong).item<int64_t>();
  std::vector<int64_t> shape = drawn.sample.latents.sizes().vec();
  shape[1] -= drawn.sample.clean_slots;
  drawn.noise = at::randn(shape, random, at::kFloat);
  drawn.injection = recycling_.Draw(drawn.timestep_index, drawn.sample.history_slots, random);
  return drawn;
}

}  // namespace svi::engine
