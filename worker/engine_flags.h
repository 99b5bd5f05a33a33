// The flags that load a model: the same for every command that does.
#ifndef SVI_WORKER_ENGINE_FLAGS_H_
#define SVI_WORKER_ENGINE_FLAGS_H_

#include "client/flags.h"
#include "engine/engine.h"

namespace svi::worker {

// --model, --device, --threads, --offload, --guidance, --vae-dtype, --vae-tile, --lora-dir. Engine::Load
// checks their values.
void AddEngineFlags(FlagParser& parser, engine::EngineOptions* options);

}  // namespace svi::worker

#endif  // SVI_WORKER_ENGINE_FLAGS_H_
