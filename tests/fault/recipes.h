// What the chaos run's clients ask for, and what must come of it.
#ifndef SVI_TESTS_FAULT_RECIPES_H_
#define SVI_TESTS_FAULT_RECIPES_H_

#include <string>
#include <vector>

#include "svi/v1/resources.pb.h"

namespace svi::fault {

struct Recipe {
  v1::VideoSpec spec;
  // Of an open-ended video: appended by one call each; then the video is finished.
  std::vector<std::string> appended;
  // SHA-256 of each clip, as made by a server and a worker that nobody disturbs.
  std::vector<std::string> sha256;
};

// Of every variant and sampler, of one to four clips, long enough to be hit; made once, undisturbed.
std::vector<Recipe> MakeRecipes();

}  // namespace svi::fault

#endif  // SVI_TESTS_FAULT_RECIPES_H_
