// Plain types of the engine's public interface. No LibTorch here.
#ifndef SVI_ENGINE_TYPES_H_
#define SVI_ENGINE_TYPES_H_

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/time/time.h"

namespace svi::engine {

enum class Variant { kPro, kFilm, kShot };
enum class Sampler { kUniPc, kEuler };
enum class Stage { kEncode, kDenoise, kDecode };

// An 8-bit RGB picture, rows top to bottom, no padding: size() == 3 * width * height.
struct Picture {
  int width = 0;
  int height = 0;
  std::vector<uint8_t> rgb;
};

struct LoraRef {
  std::string name;
  float strength = 1.0f;
};

// What the model uses where a request is silent: from the checkpoint's svi_config.json, else Wan 2.2 5B's
// values.
struct ModelDefaults {
  int max_area = 704 * 1280;  // pixels that a default size aims at
  int size_multiple = 32;     // both sides are floored to this
  int num_frames = 81;        // denoised a clip, 4k+1
  int num_inference_steps = 50;
  double guidance_scale = 5.0;
  double flow_shift = 5.0;
  int fps = 24;
  std::string negative_prompt;  // Wan's own, from its inference code
};

// One clip, everything that decides its pixels apart from the picture and the carry.
struct ClipRequest {
  int clip_index = 0;  // 0 starts from the picture; later ones need the carry of the clip before
  std::string prompt;
  std::string negative_prompt;
  int width = 0;  // pixels, multiple of ModelDefaults::size_multiple
  int height = 0;
  int num_frames = 81;
  int num_inference_steps = 50;
  double guidance_scale = 5.0;  // 1: no guidance, one pass a step
  double flow_shift = 5.0;
  uint64_t seed = 0;  // of this clip: the video's seed + 42 * clip_index
  Variant variant = Variant::kPro;
  Sampler sampler = Sampler::kUniPc;
  std::vector<LoraRef> loras;
};

struct Progress {
  Stage stage = Stage::kEncode;
  int step = 0;  // done of the stage, 0..total
  int total = 0;
  absl::Duration eta = absl::InfiniteDuration();  // until the clip is done; infinite while unknown
};

// How a clip reports while it is made. All are called on the thread that runs GenerateClip.
struct ClipCallbacks {
  // Asked before each denoising step and each decoded latent; true ends the clip with CANCELLED.
  std::function<bool()> cancelled = [] { return false; };
  std::function<void(const Progress&)> progress = [](const Progress&) {};
  // New frames in order, as they are decoded; an error ends the clip. Empty: pro clips are not decoded.
  std::function<absl::Status(const Picture&)> frame = [](const Picture&) { return absl::OkStatus(); };
};

struct ClipResult {
  int frame_count = 0;  // new frames that were handed to ClipCallbacks::frame
  std::string carry;    // what the next clip needs: a safetensors file, opaque outside the engine
  absl::Duration encode_time, denoise_time, decode_time;
  absl::Duration lora_time;  // putting other LoRAs in place before it; zero if they were in place
};

// What a LoRA folder holds.
struct LoraFolder {
  struct Lora {
    std::string name;     // the file's, without .safetensors
    int64_t rank = 0;     // the largest of its modules
    int64_t modules = 0;  // linear layers that it changes
    bool operator==(const Lora&) const = default;
  };
  struct Refused {
    std::string file;
    std::string why;
    bool operator==(const Refused&) const = default;
  };
  std::vector<Lora> loras;       // usable, by name
  std::vector<Refused> refused;  // by file name
  bool operator==(const LoraFolder&) const = default;
};

}  // namespace svi::engine

#endif  // SVI_ENGINE_TYPES_H_
