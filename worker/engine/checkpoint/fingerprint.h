// Telling models apart by what is in their files, without reading all of it.
#ifndef SVI_ENGINE_CHECKPOINT_FINGERPRINT_H_
#define SVI_ENGINE_CHECKPOINT_FINGERPRINT_H_

#include <string>

#include "worker/engine/checkpoint/component.h"
#include "worker/engine/checkpoint/weight_files.h"

namespace svi::engine {

// SHA-256, in hex, over name, dtype, shape and content of every tensor. Of a tensor above 64 KiB seventeen
// pieces of 4 KiB are read, evenly spread, the last one included: training changes practically all of a
// tensor's numbers, so that another model's is another fingerprint, and that of umT5-xxl's 11 GB takes a
// moment. Where the files lie, what they are called and when they were written has no say.
std::string WeightsFingerprint(const ComponentWeights& weights);

// Of a component as loaders.h finds it: its weights and its config.json. Throws as LoadVae.
std::string Fingerprint(Component component, const std::string& model_dir);

// Of the files that LoadTokenizer would read, whole.
std::string TokenizerFingerprint(const std::string& model_dir);

}  // namespace svi::engine

#endif  // SVI_ENGINE_CHECKPOINT_FINGERPRINT_H_
