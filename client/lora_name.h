// What a LoRA may be called: the rule of LoraRef.name, for server, worker and client.
#ifndef SVI_CLIENT_LORA_NAME_H_
#define SVI_CLIENT_LORA_NAME_H_

#include "absl/strings/string_view.h"

namespace svi {

// LoRAs that a worker may tell of.
inline constexpr int kMaxLoras = 4096;
// LoRAs that a video may ask for.
inline constexpr int kMaxLorasOfVideo = 8;

// 1..128 characters of [A-Za-z0-9._-].
[[nodiscard]] bool IsLoraName(absl::string_view name);

}  // namespace svi

#endif  // SVI_CLIENT_LORA_NAME_H_
