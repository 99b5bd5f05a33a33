#include <cstdio>

#include "engine/checkpoint_tools.h"
#include "worker/commands.h"

namespace svi::worker {

int InitModel(const std::vector<std::string>& args) {
  engine::InitModelOptions options;
  FlagParser parser(
      "svi-worker init-model --out=DIR [flags]\n\nWrites a randomly initialised checkpoint in Diffusers "
      "layout, "
      "tokenizer included.");
  parser.AddString("preset", &options.preset, "tiny, or ti2v-5b for the full size");
  parser.AddString("dtype", &options.dtype, "float32 or bfloat16: of the transformer and the text encoder");
  parser.AddUint("seed", &options.seed, "seed of the weights");
  parser.AddString("out", &options.out_dir, "folder to write; made if need be, must be empty");
  std::vector<std::string> positional;
  int exit_code = kOk;
  if (!ParseFlags(parser, args, &positional, &exit_code)) return exit_code;
  if (!positional.empty()) return UsageError("init-model takes no argument \"" + positional[0] + "\"");
  if (options.out_dir.empty()) return UsageError("--out is required");
  if (absl::Status status = engine::InitModel(options); !status.ok()) return Fail(status);
  std::printf("%s\n", options.out_dir.c_str());
  return kOk;
}

}  // namespace svi::worker
