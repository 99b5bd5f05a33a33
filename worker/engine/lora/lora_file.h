// LoRA files (Hu et al., arXiv 2106.09685): the name styles met in the wild, read into one form.
#ifndef SVI_ENGINE_LORA_LORA_FILE_H_
#define SVI_ENGINE_LORA_LORA_FILE_H_

#include <ATen/ATen.h>

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "worker/engine/dit/transformer.h"
#include "worker/engine/lora/lora_names.h"

namespace svi::engine {

// W' = W + strength * scale * up · down.
struct LoraModule {
  at::Tensor down;     // [rank, in]
  at::Tensor up;       // [out, rank]
  double scale = 1.0;  // alpha / rank; 1 without an alpha
  int64_t rank() const { return down.size(0); }
};

struct LoraWeights {
  std::map<std::string, LoraModule> modules;  // by the module's name in Diffusers' spelling
};

LoraTargets TargetsOf(Transformer& transformer);

// One file, held open: whoever replaces it by another of the same name does not disturb. Accepts SVI's
// (pipe.dit.…lora_A.default), ComfyUI's, kohya's, PEFT's and Diffusers' spellings (shared notes svi-5b.md,
// LoRA; parity.md, 8).
//
// Files are read, not mapped: people copy into and truncate files of a folder that is watched, and a mapping
// of a file that shrinks ends the process.
class LoraFile {
 public:
  // Reads the header only. Throws std::invalid_argument, with the file's name but not its path, naming every
  // key that matches no layer, lacks its partner or does not fit; std::system_error if it cannot be read.
  LoraFile(const std::string& path, const LoraTargets& targets);
  ~LoraFile();
  LoraFile(const LoraFile&) = delete;
  LoraFile& operator=(const LoraFile&) = delete;

  // Other whenever the file is: its device, inode, size and time of change.
  const std::string& version() const;
  int64_t rank() const;  // the largest of its modules
  int64_t modules() const;

  // The tensors, in memory and in the file's dtypes. Throws as the constructor, naming every tensor that is
  // not finite, and if the file was written to since it was opened.
  LoraWeights Read() const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

// Opens and reads it.
LoraWeights ReadLora(const std::string& path, const LoraTargets& targets);

// What LoraFile::version() would say. Throws std::system_error if there is no such file.
std::string LoraFileVersion(const std::string& path);

}  // namespace svi::engine

#endif  // SVI_ENGINE_LORA_LORA_FILE_H_
