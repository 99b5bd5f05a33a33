#include "tests/fault/recipes.h"

#include <gtest/gtest.h>

#include "tests/e2e/cluster.h"

namespace svi::fault {
namespace {

std::vector<v1::VideoSpec> Specs() {
  const auto small = [](int prompts, int steps, uint64_t seed, v1::Variant variant, v1::Sampler sampler) {
    v1::VideoSpec spec = e2e::Cluster::SmallSpec(prompts, steps);
    spec.set_seed(seed);
    spec.set_variant(variant);
    spec.set_sampler(sampler);
    return spec;
  };
  return {
      small(1, 60, 1, v1::VARIANT_PRO, v1::SAMPLER_UNIPC),
      small(4, 20, 2, v1::VARIANT_PRO, v1::SAMPLER_EULER),
      small(2, 60, 3, v1::VARIANT_FILM, v1::SAMPLER_UNIPC),
      small(3, 10, 4, v1::VARIANT_SHOT, v1::SAMPLER_EULER),
      small(2, 4, 5, v1::VARIANT_PRO, v1::SAMPLER_UNIPC),
      // The open-ended one: its prompts come later.
      small(3, 30, 6, v1::VARIANT_PRO, v1::SAMPLER_UNIPC),
  };
}

}  // namespace

std::vector<Recipe> MakeRecipes() {
  e2e::Cluster cluster;
  cluster.StartServer();
  auto worker = cluster.StartWorker();
  std::vector<Recipe> recipes;
  std::vector<std::string> names;
  for (const v1::VideoSpec& spec : Specs()) {
    recipes.push_back({spec, {}, {}});
    names.push_back(cluster.Create(spec).name());
  }
  for (size_t i = 0; i < recipes.size(); ++i) {
    const v1::Video video = cluster.AwaitEnd(names[i]);
    EXPECT_EQ(video.state(), v1::VIDEO_STATE_SUCCEEDED) << video.ShortDebugString();
    for (const std::string& mp4 : cluster.DownloadAll(video)) recipes[i].sha256.push_back(e2e::Sha256(mp4));
  }
  Recipe& open = recipes.back();
  open.appended.assign(open.spec.prompts().begin() + 1, open.spec.prompts().end());
  open.spec.mutable_prompts()->DeleteSubrange(1, open.spec.prompts_size() - 1);
  open.spec.set_open_ended(true);
  return recipes;
}

}  // namespace svi::fault
