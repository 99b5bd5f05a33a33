#include <cstdio>

#include "engine/component_tools.h"
#include "worker/commands.h"

namespace svi::worker {

int RunComponent(const std::vector<std::string>& args) {
  engine::RunComponentOptions options;
  FlagParser parser(
      "svi-worker run-component --component=NAME --model=DIR --inputs=IN.safetensors "
      "--outputs=OUT.safetensors [flags]\n\n"
      "Runs one part of the model on given tensors, to compare it with another implementation. NAME, what it "
      "takes and what it gives:\n"
      "  transformer     hidden_states [B,C,F,H,W], timestep [B] or [B,tokens], encoder_hidden_states "
      "[B,L,D]\n"
      "                  -> sample\n"
      "  vae-encode      video [B,3,F,H,W] in [-1,1] -> mean (raw), latents (normalised)\n"
      "  vae-decode      latents (normalised) [B,z,T,h,w] -> video, clamped\n"
      "  text-encoder    input_ids [B,L], attention_mask [B,L] -> last_hidden_state\n"
      "  tokenizer       --text-file -> input_ids, attention_mask [lines,512]\n"
      "  scheduler       --sampler --steps --shift, no model -> timesteps, sigmas\n"
      "  sample          latents (the noise) [1,C,F,h,w], image [1,3,16h,16w] in [-1,1], prompt_embeds "
      "[1,L,D],\n"
      "                  negative_prompt_embeds unless --guidance-scale=1, sigmas [n+1] instead of --steps "
      "and\n"
      "                  --shift if given -> latents, video\n"
      "  svi-train-step  latents, noise, prediction, timestep_index [1] of 0..999, noise_error and "
      "latent_error\n"
      "                  (injected) if given, --shift, no model -> noisy_input, target, loss (weighted),\n"
      "                  noise_error, latent_error (measured), grid [1]");
  parser.AddString("component", &options.component, "which part to run; required");
  parser.AddString(
      "model", &options.model_dir,
      "checkpoint folder, or the component's own (config.json and weights), in Diffusers' layout or "
      "in Wan's own");
  parser.AddString("inputs", &options.inputs, "safetensors file with the tensors that the part takes");
  parser.AddString("outputs", &options.outputs, "safetensors file to write; required");
  parser.AddString("dtype", &options.dtype, "float32 or bfloat16: of the arithmetic");
  parser.AddString("device", &options.device, "auto, cpu, cuda or cuda:N");
  parser.AddInt("threads", &options.num_threads, "threads of one operation on a CPU; 0: one a core");
  parser.Group("Of single parts");
  parser.AddRepeated("lora", &options.loras,
                     "FILE or FILE:STRENGTH, any number of them, merged (transformer, sample)");
  parser.AddString("text-file", &options.text_file, "one prompt a line, UTF-8 (tokenizer)");
  parser.AddString("sampler", &options.sampler,
                   "unipc, on Wan's schedule, or euler, on SVI's (scheduler, sample)");
  parser.AddInt("steps", &options.steps, "denoising steps (scheduler, sample)");
  parser.AddDouble("shift", &options.shift, "of the noise levels (scheduler, sample, svi-train-step)");
  parser.AddDouble("guidance-scale", &options.guidance_scale, "1: none (sample)");
  std::vector<std::string> positional;
  int exit_code = kOk;
  if (!ParseFlags(parser, args, &positional, &exit_code)) return exit_code;
  if (!positional.empty()) return UsageError("run-component takes no argument \"" + positional[0] + "\"");
  const absl::StatusOr<std::vector<std::string>> unused = engine::RunComponent(options);
  if (!unused.ok()) return Fail(unused.status());
  for (const std::string& name : *unused) {
    std::fprintf(stderr, "svi-worker: input %s is not one of %s's and was left out\n", name.c_str(),
                 options.component.c_str());
  }
  return kOk;
}

}  // namespace svi::worker
