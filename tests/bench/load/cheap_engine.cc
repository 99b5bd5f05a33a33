#include "tests/bench/load/cheap_engine.h"

#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <iterator>

#include "client/sha256.h"
#include "worker/media/media.h"

namespace svi::load {
namespace {

constexpr int kSide = 64;
constexpr int kFrames = 9;
constexpr int kFps = 24;

std::string MakeMp4() {
  auto encoder = media::ClipEncoder::Open({kSide, kSide, kFps});
  engine::Picture frame;
  frame.width = frame.height = kSide;
  frame.rgb.assign(size_t{kSide} * kSide * 3, 128);
  absl::Status status = encoder.status();
  for (int i = 0; i < kFrames && status.ok(); ++i) status = (*encoder)->Add(frame);
  if (status.ok()) {
    auto mp4 = (*encoder)->Finish();
    if (mp4.ok()) return *std::move(mp4);
    status = mp4.status();
  }
  std::fprintf(stderr, "no clip can be made: %s\n", status.ToString().c_str());
  std::exit(1);
}

}  // namespace

CheapEngine::CheapEngine(size_t carry_bytes) : mp4(MakeMp4()), carry(carry_bytes, 'c') {
  done_.set_clip_bytes(mp4.size());
  done_.set_clip_sha256(Sha256::Of(mp4));
  done_.set_carry_bytes(carry.size());
  done_.set_carry_sha256(Sha256::Of(carry));
  done_.set_frame_count(kFrames);
  done_.set_width(kSide);
  done_.set_height(kSide);
  done_.set_fps(kFps);
}

v1::ClipDone CheapEngine::Done(const v1::LeaseId& lease) const {
  v1::ClipDone done = done_;
  *done.mutable_lease() = lease;
  return done;
}

v1::VideoSpec SpecOf(int clips, const std::string& prompt) {
  std::ifstream picture(std::string(SVI_SOURCE_DIR) + "/tests/golden/media/rgb.png", std::ios::binary);
  v1::VideoSpec spec;
  spec.set_image(std::string{std::istreambuf_iterator<char>(picture), {}});
  spec.add_prompts(prompt);
  spec.set_variant(v1::VARIANT_SHOT);  // one prompt serves for all clips
  spec.set_num_clips(static_cast<uint32_t>(clips));
  spec.set_width(kSide);
  spec.set_height(kSide);
  spec.set_num_frames(kFrames);
  spec.set_fps(kFps);
  return spec;
}

}  // namespace svi::load
