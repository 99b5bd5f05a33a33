#include "worker/engine/svi/defaults.h"

#include <filesystem>
#include <nlohmann/json.hpp>
#include <stdexcept>

namespace svi::engine {
namespace {

using nlohmann::json;

json ParseObject(const std::string& text, const char* file) {
  if (text.empty()) return json::object();
  json parsed = json::parse(text, nullptr, /*allow_exceptions=*/false);
  if (!parsed.is_object()) throw std::invalid_argument(std::string(file) + " is not a JSON object");
  return parsed;
}

// Reads an optional number within [low, high].
template <typename T>
void Read(const json& object, const char* field, T low, T high, T* value) {
  const auto it = object.find(field);
  if (it == object.end()) return;
  if (!it->is_number() || it->template get<double>() < static_cast<double>(low) ||
      it->template get<double>() > static_cast<double>(high)) {
    throw std::invalid_argument(std::string("svi_config.json: ") + field + " must be a number from " +
                                std::to_string(low) + " to " + std::to_string(high));
  }
  *value = it->template get<T>();
}

std::string ReadString(const json& object, const char* field, std::string fallback) {
  const auto it = object.find(field);
  if (it == object.end()) return fallback;
  if (!it->is_string())
    throw std::invalid_argument(std::string("svi_config.json: ") + field + " must be a string");
  return it->get<std::string>();
}

}  // namespace

const char kWanNegativePrompt[] =
    "色调艳丽，过曝，静态，细节模糊不清，字幕，风格，作品，画作，画面，静止，整体发灰，最差质量，低质量，JPEG"
    "压缩残留，"
    "丑陋的，残缺的，多余的手指，画得不好的手部，画得不好的脸部，畸形的，毁容的，形态畸形的肢体，手指融合，"
    "静止不动的画面，杂乱的背景，三条腿，背景人很多，倒着走";

SviConfig SviConfig::FromJson(const std::string& svi_json, const std::string& scheduler_json) {
  const json scheduler = ParseObject(scheduler_json, "scheduler_config.json");
  const json object = ParseObject(svi_json, "svi_config.json");
  SviConfig config;
  ModelDefaults& d = config.defaults;
  if (const auto it = scheduler.find("flow_shift"); it != scheduler.end() && it->is_number()) {
    d.flow_shift = it->get<double>();
  }
  config.name = ReadString(object, "name", "");
  d.negative_prompt = ReadString(object, "negative_prompt", kWanNegativePrompt);
  Read(object, "max_area", 32 * 32, 4096 * 4096, &d.max_area);
  Read(object, "num_frames", 5, 257, &d.num_frames);
  Read(object, "num_inference_steps", 1, 1000, &d.num_inference_steps);
  Read(object, "guidance_scale", 1.0, 30.0, &d.guidance_scale);
  Read(object, "flow_shift", 0.1, 100.0, &d.flow_shift);
  Read(object, "fps", 1, 120, &d.fps);
  if (d.num_frames % 4 != 1) throw std::invalid_argument("svi_config.json: num_frames must be 4k+1");
  return config;
}

std::string SviConfig::ToJson() const {
  json object = {{"name", name},
                 {"max_area", defaults.max_area},
                 {"num_frames", defaults.num_frames},
                 {"num_inference_steps", defaults.num_inference_steps},
                 {"guidance_scale", defaults.guidance_scale},
                 {"flow_shift", defaults.flow_shift},
                 {"fps", defaults.fps},
                 {"negative_prompt", defaults.negative_prompt}};
  return object.dump(2) + "\n";
}

std::string FolderName(const std::string& dir) {
  const std::filesystem::path path = std::filesystem::path(dir).lexically_normal();
  return path.has_filename() ? path.filename().string() : path.parent_path().filename().string();
}

}  // namespace svi::engine
