#include "worker/agent/drift_proto.h"

#include <algorithm>

namespace svi::worker {

v1::ClipMeasures ToProto(const drift::ClipMeasures& measures) {
  v1::ClipMeasures proto;
  proto.set_brightness(measures.brightness);
  proto.set_contrast(measures.contrast);
  proto.set_saturation(measures.saturation);
  proto.set_sharpness(measures.sharpness);
  proto.set_motion(measures.motion);
  proto.mutable_histogram()->Add(measures.histogram.begin(), measures.histogram.end());
  return proto;
}

v1::ClipDrift ToProto(const drift::ClipDrift& drift) {
  v1::ClipDrift proto;
  proto.set_brightness(drift.brightness);
  proto.set_contrast(drift.contrast);
  proto.set_saturation(drift.saturation);
  proto.set_sharpness(drift.sharpness);
  proto.set_motion(drift.motion);
  proto.set_histogram_distance(drift.histogram_distance);
  if (drift.static_psnr) proto.set_static_psnr(*drift.static_psnr);
  if (drift.static_ssim) proto.set_static_ssim(*drift.static_ssim);
  return proto;
}

std::optional<drift::ClipMeasures> FromProto(const v1::ClipMeasures& proto) {
  drift::ClipMeasures measures;
  if (proto.histogram_size() != static_cast<int>(measures.histogram.size())) return std::nullopt;
  measures.brightness = proto.brightness();
  measures.contrast = proto.contrast();
  measures.saturation = proto.saturation();
  measures.sharpness = proto.sharpness();
  measures.motion = proto.motion();
  std::copy(proto.histogram().begin(), proto.histogram().end(), measures.histogram.begin());
  return measures;
}

}  // namespace svi::worker
