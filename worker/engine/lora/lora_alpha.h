// The alphas that Diffusers writes beside a LoRA's tensors rather than among them.
#ifndef SVI_ENGINE_LORA_LORA_ALPHA_H_
#define SVI_ENGINE_LORA_LORA_ALPHA_H_

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

namespace svi::engine {

// PEFT's configuration of an adapter, as far as it decides scales; in the metadata of a safetensors file
// under "lora_adapter_metadata", as JSON.
class LoraAlphas {
 public:
  // Silent if there is no such metadata. Throws std::invalid_argument if there is and it cannot be followed
  // (not JSON, an alpha that is no number, a pattern that is more than a name).
  LoraAlphas(const std::map<std::string, std::string>& metadata, const std::string& file_name);

  // Scale of a module of this rank under any of these names: alpha / rank, with rank-stabilised LoRA (Kalaj-
  // dzievski, arXiv 2312.03732) alpha / sqrt(rank); 1 if the file says nothing.
  double Scale(const std::vector<std::string>& names, int64_t rank) const;

 private:
  std::optional<double> alpha_;
  std::map<std::string, double> by_name_;  // last components of a module's name; the first that fits counts
  bool rank_stabilised_ = false;
};

}  // namespace svi::engine

#endif  // SVI_ENGINE_LORA_LORA_ALPHA_H_
