// The parts a checkpoint is made of, and what tells their files apart.
#ifndef SVI_ENGINE_CHECKPOINT_COMPONENT_H_
#define SVI_ENGINE_CHECKPOINT_COMPONENT_H_

#include <cstdint>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "worker/engine/checkpoint/key_map.h"

namespace svi::engine {

enum class Component { kTransformer, kVae, kTextEncoder };

enum class Layout { kDiffusers, kOriginal };

struct ComponentTraits {
  const char* folder;   // in the Diffusers layout; also its name in messages
  const char* weights;  // stem of its weights there
  // Stems that the publishers use, of all layouts: preferred when several files would do.
  std::vector<std::string> usual_stems;
};

const ComponentTraits& TraitsOf(Component component);

// Of these tensor names, the layout that at least half of them belong to; none if this is another model's
// file.
std::optional<Layout> RecognizeNames(Component component, const std::vector<std::string>& names);

// How many blocks a stage of the VAE's encoder has by these names: from 1 to 64.
int64_t VaeResidualBlocks(const std::vector<std::string>& names, Layout layout);

// Between the file's names and Diffusers': needed only for the original layout.
KeyMap KeyMapOf(Component component, const std::vector<std::string>& original_names);

// Whose config.json this is, by its fields; none if it could be anybody's.
std::optional<Component> RecognizeConfig(const nlohmann::json& config);

}  // namespace svi::engine

#endif  // SVI_ENGINE_CHECKPOINT_COMPONENT_H_
