#include "worker/engine/tools/bench_parts.h"

#include <ATen/CPUGeneratorImpl.h>

#include <algorithm>
#include <iterator>
#include <memory>
#include <optional>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "worker/engine/checkpoint/loaders.h"
#include "worker/engine/svi/denoise.h"
#include "worker/engine/tools/bench_train.h"

namespace svi::engine {
namespace {

constexpr uint64_t kSeed = 7;
constexpr int64_t kTextTokens = 512;  // what every prompt is padded to
constexpr int64_t kShortText = 32;    // a prompt of a sentence
constexpr int64_t kVaeScale = 16;
constexpr char kTrain[] = "train";

// Inputs on the CPU's generator, then moved: the same on every device.
at::Tensor Random(at::IntArrayRef shape, at::Device device, at::ScalarType dtype = at::kFloat) {
  return at::randn(shape, at::detail::createCPUGenerator(kSeed), at::TensorOptions().dtype(at::kFloat))
      .to(device, dtype);
}

std::string ShapeText(const at::Tensor& x) { return absl::StrJoin(x.sizes(), "×"); }

// Work that cannot fail but by an exception.
template <typename Work>
std::function<absl::Status()> Always(Work work) {
  return [work = std::move(work)] {
    work();
    return absl::OkStatus();
  };
}

std::vector<int64_t> LatentShape(const BenchOptions& options, int64_t channels) {
  return {1, channels, (options.num_frames - 1) / 4 + 1, options.height / kVaeScale,
          options.width / kVaeScale};
}

bool GuideTogether(const BenchOptions& options, int64_t tokens) {
  if (options.engine.guidance == "batch") return GuideInOneBatch(GuidanceMode::kBatch, tokens);
  if (options.engine.guidance == "two-pass") return GuideInOneBatch(GuidanceMode::kTwoPass, tokens);
  return GuideInOneBatch(GuidanceMode::kAuto, tokens);
}

LoadedBenchPart LoadDit(const BenchOptions& options, at::Device device) {
  const std::shared_ptr<Transformer> dit =
      LoadTransformer(options.engine.model_dir, {device, std::nullopt}).model;
  const at::ScalarType dtype = device.is_cuda() ? at::kBFloat16 : at::kFloat;
  const at::Tensor hidden = Random(LatentShape(options, dit->config().in_channels), device, dtype);
  const int64_t of_a_slot = hidden.size(3) / 2 * (hidden.size(4) / 2);
  const int64_t tokens = hidden.size(2) * of_a_slot;
  // As when a clip is made: the first slot is clean, the others are at one noise level.
  const at::Tensor timesteps = at::full({1, tokens}, 500.0, at::TensorOptions().device(device));
  timesteps.narrow(1, 0, of_a_slot).zero_();
  const auto text = dit->PrepareText(Random({1, kTextTokens, dit->config().text_dim}, device, dtype));
  const std::string shape = absl::StrCat(ShapeText(hidden), ", ", tokens, " tokens, text of ", kTextTokens);
  const auto once = Always([=] { (void)dit->Forward(hidden, timesteps, *text); });

  std::function<absl::Status()> guided;
  const bool together = GuideTogether(options, tokens);
  if (together) {
    const auto both = Transformer::JoinText(*text, *text);
    const at::Tensor hidden2 = hidden.expand({2, -1, -1, -1, -1}), timesteps2 = timesteps.expand({2, -1});
    guided = Always([=] { (void)dit->Forward(hidden2, timesteps2, *both); });
  } else {
    guided = Always([=] {
      (void)dit->Forward(hidden, timesteps, *text);
      (void)dit->Forward(hidden, timesteps, *text);
    });
  }
  return {{{"dit-forward", shape, once, {}},
           {"dit-guided", absl::StrCat("2 × the same, ", together ? "one batch" : "two passes"), guided, {}}},
          once};
}

LoadedBenchPart LoadEncoder(const BenchOptions& options, at::Device device) {
  const std::shared_ptr<Vae> vae =
      LoadVae(
          options.engine.model_dir,
          {.device = device, .dtype = options.engine.vae_dtype == "bfloat16" ? at::kBFloat16 : at::kFloat})
          .model;
  const at::Tensor video =
      Random({1, 3, options.num_frames, options.height, options.width}, device).clamp_(-1, 1);
  const at::Tensor first = video.narrow(2, 0, 1);
  const auto encode_first = Always([=] { (void)vae->EncodeMean(first); });
  return {{{"vae-encode-first", ShapeText(first), encode_first, {}},
           {"vae-encode-whole", ShapeText(video), Always([=] { (void)vae->EncodeMean(video); }), {}}},
          encode_first};
}

LoadedBenchPart LoadDecoder(const BenchOptions& options, at::Device device) {
  const std::shared_ptr<Vae> vae =
      LoadVae(
          options.engine.model_dir,
          {.device = device, .dtype = options.engine.vae_dtype == "bfloat16" ? at::kBFloat16 : at::kFloat})
          .model;
  const at::Tensor latents = Random(LatentShape(options, vae->config().z_dim), device);
  const at::Tensor latent = latents.narrow(2, 0, 1);
  const int64_t tile = options.engine.vae_tile;
  const auto state = std::make_shared<std::unique_ptr<DecoderState>>();
  // From the third latent on, all cost the same.
  const auto prepare = Always([=] {
    *state = vae->NewDecoderState(tile);
    for (int i = 0; i < 2; ++i) (void)vae->DecodeNext(latent, **state);
  });
  const auto decode_next = Always([=] { (void)vae->DecodeNext(latent, **state); });
  // As in a clip: frames leave as they come, so that memory does not grow with their number.
  const auto decode = Always([=] {
    state->reset();
    const auto own = vae->NewDecoderState(tile);
    for (int64_t i = 0; i < latents.size(2); ++i) (void)vae->DecodeNext(latents.narrow(2, i, 1), *own);
  });
  return {{{"vae-decode-latent", absl::StrCat(ShapeText(latent), " → 4 frames"), decode_next, prepare},
           {"vae-decode-whole",
            absl::StrCat(ShapeText(latents), " → ", options.num_frames, " frames"),
            decode,
            {}}},
          prepare};
}

LoadedBenchPart LoadText(const BenchOptions& options, at::Device device) {
  const std::shared_ptr<UmT5Encoder> encoder =
      LoadTextEncoder(options.engine.model_dir, {device, std::nullopt}).model;
  const at::Tensor ids = at::randint(0, encoder->config().vocab_size, {1, kTextTokens},
                                     at::detail::createCPUGenerator(kSeed), at::TensorOptions(at::kLong))
                             .to(device);
  const at::Tensor all = at::ones({1, kTextTokens}, ids.options());
  const at::Tensor some = at::zeros({1, kTextTokens}, ids.options());
  some.narrow(1, 0, kShortText).fill_(1);
  const auto encode_short = Always([=] { (void)encoder->Forward(ids, some); });
  return {{{"text-encoder-short", absl::StrCat(kShortText, " tokens of ", kTextTokens), encode_short, {}},
           {"text-encoder-full",
            absl::StrCat(kTextTokens, " tokens"),
            Always([=] { (void)encoder->Forward(ids, all); }),
            {}}},
          encode_short};
}

Picture Gradient(int width, int height) {
  Picture picture{width, height, std::vector<uint8_t>(static_cast<size_t>(3) * width * height)};
  for (size_t i = 0; i < picture.rgb.size(); ++i) picture.rgb[i] = static_cast<uint8_t>(i * 31 / 97);
  return picture;
}

absl::StatusOr<LoadedBenchPart> LoadClip(const BenchOptions& options) {
  absl::StatusOr<std::unique_ptr<Engine>> loaded = Engine::Load(options.engine);
  if (!loaded.ok()) return loaded.status();
  const std::shared_ptr<Engine> engine = *std::move(loaded);
  ClipRequest request;
  request.width = options.width;
  request.height = options.height;
  request.num_frames = options.num_frames;
  request.num_inference_steps = options.num_inference_steps;
  const ModelDefaults& defaults = engine->info().defaults;
  request.guidance_scale = defaults.guidance_scale;
  request.flow_shift = defaults.flow_shift;
  request.negative_prompt = defaults.negative_prompt;
  request.seed = kSeed;
  const Picture picture = Gradient(options.width, options.height);
  const auto make = [=](int take, int steps) -> absl::Status {
    ClipRequest of_take = request;
    of_take.num_inference_steps = steps;
    // Each time another prompt of the same length: the embedding of one that was seen before is cached.
    of_take.prompt = absl::StrCat("A red kite over the dunes in the evening wind, take ", take % 10);
    return engine->GenerateClip(of_take, picture, "", {}).status();
  };
  const auto takes = std::make_shared<int>(0);
  const int steps = options.num_inference_steps;
  const std::string shape = absl::StrCat(options.width, "×", options.height, ", ", options.num_frames,
                                         " frames, ", steps, " steps, guidance ", defaults.guidance_scale);
  return LoadedBenchPart{{{"clip", shape, [=] { return make((*takes)++, steps); }, {}}},
                         [=] { return make((*takes)++, 1); }};
}

absl::Status Check(const BenchOptions& options) {
  const auto side = [](int pixels) { return pixels >= 32 && pixels <= 4096 && pixels % 32 == 0; };
  if (!side(options.width)) return absl::InvalidArgumentError("--width must be a multiple of 32, 32..4096");
  if (!side(options.height)) return absl::InvalidArgumentError("--height must be a multiple of 32, 32..4096");
  if (options.num_frames < 5 || options.num_frames > 257 || options.num_frames % 4 != 1) {
    return absl::InvalidArgumentError("--frames must be 4k+1, 5..257");
  }
  if (options.num_inference_steps < 1 || options.num_inference_steps > 1000) {
    return absl::InvalidArgumentError("--steps must be 1..1000");
  }
  if (options.lora_rank < 1 || options.lora_rank > 1024) {
    return absl::InvalidArgumentError("--lora-rank must be 1..1024");
  }
  if (options.repeats < 1 || options.repeats > 1000) {
    return absl::InvalidArgumentError("--repeats must be 1..1000");
  }
  // As the engine has it, which reads them for the clip only.
  const std::string& guidance = options.engine.guidance;
  if (guidance != "auto" && guidance != "batch" && guidance != "two-pass") {
    return absl::InvalidArgumentError("--guidance must be auto, batch or two-pass");
  }
  const std::string& vae_dtype = options.engine.vae_dtype;
  if (vae_dtype != "float32" && vae_dtype != "bfloat16") {
    return absl::InvalidArgumentError("--vae-dtype must be float32 or bfloat16");
  }
  return absl::OkStatus();
}

// A part, or one of its rows alone.
bool Asked(const std::vector<std::string>& asked, const std::string& name) {
  return std::find(asked.begin(), asked.end(), name) != asked.end();
}

// The same part without the rows that are not asked for; without any of them: none.
std::optional<BenchPartMaker> Narrowed(const BenchPartMaker& part, const std::vector<std::string>& asked) {
  // A step of training needs far more memory than a clip: it runs only when it is named.
  if (asked.empty() && part.name == kTrain) return std::nullopt;
  if (asked.empty() || Asked(asked, part.name)) return part;
  const auto unwanted = [asked](const std::string& row) { return !Asked(asked, row); };
  BenchPartMaker some = part;
  std::erase_if(some.rows, unwanted);
  if (some.rows.empty()) return std::nullopt;
  some.load = [load = part.load, unwanted]() {
    absl::StatusOr<LoadedBenchPart> loaded = load();
    if (loaded.ok()) std::erase_if(loaded->rows, [&](const BenchRow& row) { return unwanted(row.name); });
    return loaded;
  };
  return some;
}

absl::Status CheckNames(const std::vector<std::string>& asked, const std::vector<BenchPartMaker>& all) {
  std::vector<std::string> known;
  for (const BenchPartMaker& part : all) {
    known.push_back(part.name);
    std::copy_if(part.rows.begin(), part.rows.end(), std::back_inserter(known),
                 [&](const std::string& row) { return row != part.name; });
  }
  for (const std::string& name : asked) {
    if (Asked(known, name)) continue;
    return absl::InvalidArgumentError(
        absl::StrCat("--part \"", name, "\" is not known; there are ", absl::StrJoin(known, ", ")));
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<std::vector<BenchPartMaker>> BenchParts(const BenchOptions& options, at::Device device) {
  if (absl::Status status = Check(options); !status.ok()) return status;
  const std::vector<BenchPartMaker> all = {
      {"dit", {"dit-forward", "dit-guided"}, [=] { return LoadDit(options, device); }},
      {"vae-encode", {"vae-encode-first", "vae-encode-whole"}, [=] { return LoadEncoder(options, device); }},
      {"vae-decode", {"vae-decode-latent", "vae-decode-whole"}, [=] { return LoadDecoder(options, device); }},
      {"text-encoder",
       {"text-encoder-short", "text-encoder-full"},
       [=] { return LoadText(options, device); }},
      {kTrain, {"train-step", "train-step-checkpointed"}, [=] { return LoadTrainPart(options, device); }},
      {"clip", {"clip"}, [=] { return LoadClip(options); }}};
  if (absl::Status status = CheckNames(options.parts, all); !status.ok()) return status;
  std::vector<BenchPartMaker> chosen;
  for (const BenchPartMaker& part : all) {
    if (auto some = Narrowed(part, options.parts)) chosen.push_back(*std::move(some));
  }
  return chosen;
}

}  // namespace svi::engine
