#include "worker/drift/report.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "absl/strings/str_cat.h"

namespace svi::drift {
namespace {

using Json = nlohmann::ordered_json;

constexpr int kFormatVersion = 1;

Json OrNull(const std::optional<double>& value) { return value ? Json(*value) : Json(nullptr); }

std::optional<double> OptionalDouble(const Json& json) {
  if (json.is_null()) return std::nullopt;
  return json.get<double>();
}

Json MeasuresToJson(const MeasuredClip& clip) {
  const ClipMeasures& m = clip.measures;
  return {{"brightness", m.brightness}, {"contrast", m.contrast}, {"saturation", m.saturation},
          {"sharpness", m.sharpness},   {"motion", m.motion},     {"static_share", clip.static_share},
          {"histogram", m.histogram}};
}

Json DriftToJson(const ClipDrift& d) {
  return {{"brightness", d.brightness},
          {"contrast", d.contrast},
          {"saturation", d.saturation},
          {"sharpness", d.sharpness},
          {"motion", d.motion},
          {"histogram_distance", d.histogram_distance},
          {"static_psnr", OrNull(d.static_psnr)},
          {"static_ssim", OrNull(d.static_ssim)}};
}

Json ToJson(const MeasuredClip& clip) {
  return {{"clip", clip.clip},
          {"measures", MeasuresToJson(clip)},
          {"drift", DriftToJson(clip.drift)},
          {"motion",
           {{"direction", DirectionName(clip.motion.direction)},
            {"confidence", clip.motion.confidence},
            {"x", clip.motion.x},
            {"y", clip.motion.y}}}};
}

Json ToJson(const MeasuredScene& scene) {
  Json json = {{"picture", scene.picture}, {"prompt", scene.prompt}, {"seed", scene.seed}};
  if (!scene.direction.empty()) json["direction"] = scene.direction;
  if (!scene.error.empty()) json["error"] = scene.error;
  json["clips"] = Json::array();
  for (const MeasuredClip& clip : scene.clips) json["clips"].push_back(ToJson(clip));
  return json;
}

Json ToJson(const Statistics& s) {
  if (s.count == 0) return {{"scenes", 0}};
  return {{"scenes", s.count},      {"median", s.median}, {"q1", s.lower_quartile},
          {"q3", s.upper_quartile}, {"mean", s.mean},     {"sd", s.deviation}};
}

Json SummaryToJson(const DriftReport& report, int clip) {
  Json json = {{"clip", clip}};
  for (const Measure& measure : Measures()) {
    json[measure.group][measure.name] = ToJson(Summarize(report, clip, measure));
  }
  const Followed followed = CountFollowed(report, clip);
  if (followed.moving_of + followed.still_of > 0) {
    json["direction"] = {{"moving", {{"followed", followed.moving}, {"of", followed.moving_of}}},
                         {"still", {{"followed", followed.still}, {"of", followed.still_of}}}};
  }
  return json;
}

Direction DirectionOf(std::string_view name) {
  for (const Direction direction : {Direction::kLeft, Direction::kRight, Direction::kUp, Direction::kDown}) {
    if (name == DirectionName(direction)) return direction;
  }
  return Direction::kStill;
}

// The library throws what ParseReport turns into a status.
MeasuredClip ClipFrom(const Json& json) {
  MeasuredClip clip;
  clip.clip = json.at("clip").get<int>();
  const Json& m = json.at("measures");
  clip.measures = {m.at("brightness").get<double>(), m.at("contrast").get<double>(),
                   m.at("saturation").get<double>(), m.at("sharpness").get<double>(),
                   m.at("motion").get<double>(),     {}};
  m.at("histogram").get_to(clip.measures.histogram);
  clip.static_share = m.at("static_share").get<double>();
  const Json& d = json.at("drift");
  clip.drift = {d.at("brightness").get<double>(),    d.at("contrast").get<double>(),
                d.at("saturation").get<double>(),    d.at("sharpness").get<double>(),
                d.at("motion").get<double>(),        d.at("histogram_distance").get<double>(),
                OptionalDouble(d.at("static_psnr")), OptionalDouble(d.at("static_ssim"))};
  const Json& motion = json.at("motion");
  clip.motion = {DirectionOf(motion.at("direction").get<std::string>()),
                 motion.at("confidence").get<double>(), motion.at("x").get<double>(),
                 motion.at("y").get<double>()};
  return clip;
}

MeasuredScene SceneFrom(const Json& json) {
  MeasuredScene scene;
  scene.picture = json.at("picture").get<std::string>();
  scene.prompt = json.at("prompt").get<std::string>();
  scene.seed = json.at("seed").get<uint64_t>();
  scene.direction = json.value("direction", "");
  scene.error = json.value("error", "");
  for (const Json& clip : json.at("clips")) scene.clips.push_back(ClipFrom(clip));
  return scene;
}

const MeasuredClip* Find(const MeasuredScene& scene, int clip) {
  const auto found = std::find_if(scene.clips.begin(), scene.clips.end(),
                                  [clip](const MeasuredClip& measured) { return measured.clip == clip; });
  return found == scene.clips.end() ? nullptr : &*found;
}

}  // namespace

const std::vector<Measure>& Measures() {
  using Clip = const MeasuredClip&;
  using Value = std::optional<double>;
  static const std::vector<Measure> measures = {
      {"drift", "static_psnr", "PSNR of still regions to the picture, dB", 1,
       [](Clip c) -> Value { return c.drift.static_psnr; }},
      {"drift", "static_ssim", "SSIM of still regions to the picture", 3,
       [](Clip c) -> Value { return c.drift.static_ssim; }},
      {"drift", "histogram_distance", "Histogram distance to clip 1", 4,
       [](Clip c) -> Value { return c.drift.histogram_distance; }},
      {"drift", "brightness", "", 3, [](Clip c) -> Value { return c.drift.brightness; }},
      {"drift", "contrast", "", 3, [](Clip c) -> Value { return c.drift.contrast; }},
      {"drift", "saturation", "", 3, [](Clip c) -> Value { return c.drift.saturation; }},
      {"drift_size", "brightness", "Brightness: size of the difference to clip 1", 4,
       [](Clip c) -> Value { return std::abs(c.drift.brightness); }},
      {"drift_size", "contrast", "Contrast: size of the difference to clip 1", 4,
       [](Clip c) -> Value { return std::abs(c.drift.contrast); }},
      {"drift_size", "saturation", "Saturation: size of the difference to clip 1", 4,
       [](Clip c) -> Value { return std::abs(c.drift.saturation); }},
      {"drift_size", "sharpness", "", 2, [](Clip c) -> Value { return std::abs(c.drift.sharpness); }},
      {"drift_size", "motion", "", 2, [](Clip c) -> Value { return std::abs(c.drift.motion); }},
      {"drift", "sharpness", "Sharpness: ratio to clip 1, minus 1", 2,
       [](Clip c) -> Value { return c.drift.sharpness; }},
      {"drift", "motion", "Motion: ratio to clip 1, minus 1", 2,
       [](Clip c) -> Value { return c.drift.motion; }},
      {"measures", "motion", "Motion: mean difference of frames", 4,
       [](Clip c) -> Value { return c.measures.motion; }},
      {"measures", "static_share", "Share of the frame that is still", 2,
       [](Clip c) -> Value { return c.static_share; }},
      {"measures", "brightness", "", 3, [](Clip c) -> Value { return c.measures.brightness; }},
      {"measures", "contrast", "", 3, [](Clip c) -> Value { return c.measures.contrast; }},
      {"measures", "saturation", "", 3, [](Clip c) -> Value { return c.measures.saturation; }},
      {"measures", "sharpness", "", 4, [](Clip c) -> Value { return c.measures.sharpness; }},
  };
  return measures;
}

Statistics Summarize(const DriftReport& report, int clip, const Measure& measure) {
  std::vector<double> values;
  for (const MeasuredScene& scene : report.scenes) {
    const MeasuredClip* measured = Find(scene, clip);
    if (measured == nullptr) continue;
    if (const auto value = measure.value(*measured)) values.push_back(*value);
  }
  return StatisticsOf(std::move(values));
}

bool SaysDirections(const DriftReport& report) {
  return std::any_of(report.scenes.begin(), report.scenes.end(),
                     [](const MeasuredScene& scene) { return !scene.direction.empty(); });
}

Followed CountFollowed(const DriftReport& report, int clip) {
  Followed followed;
  for (const MeasuredScene& scene : report.scenes) {
    const MeasuredClip* measured = Find(scene, clip);
    if (measured == nullptr || scene.direction.empty()) continue;
    const bool same = scene.direction == DirectionName(measured->motion.direction);
    const bool still = scene.direction == DirectionName(Direction::kStill);
    (still ? followed.still_of : followed.moving_of) += 1;
    (still ? followed.still : followed.moving) += same;
  }
  return followed;
}

std::string ToJson(const DriftReport& report) {
  Json json = {{"version", kFormatVersion},   {"label", report.label},    {"settings", report.settings},
               {"measured", report.measured}, {"summary", Json::array()}, {"scenes", Json::array()}};
  for (const int clip : report.measured) json["summary"].push_back(SummaryToJson(report, clip));
  for (const MeasuredScene& scene : report.scenes) json["scenes"].push_back(ToJson(scene));
  // Names of files need not be UTF-8.
  return json.dump(1, ' ', false, Json::error_handler_t::replace) + "\n";
}

absl::StatusOr<DriftReport> ParseReport(std::string_view text) {
  try {
    const Json json = Json::parse(text);
    if (json.at("version").get<int>() != kFormatVersion) {
      return absl::InvalidArgumentError("a report of another version");
    }
    DriftReport report;
    report.label = json.at("label").get<std::string>();
    report.settings = json.at("settings");
    report.measured = json.at("measured").get<std::vector<int>>();
    for (const Json& scene : json.at("scenes")) report.scenes.push_back(SceneFrom(scene));
    return report;
  } catch (const nlohmann::json::exception& error) {
    return absl::InvalidArgumentError(absl::StrCat("not a report of eval-drift: ", error.what()));
  }
}

}  // namespace svi::drift
