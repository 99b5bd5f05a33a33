// What load workers hand over: a clip that was made once, and a carry of any size.
#ifndef SVI_TESTS_BENCH_LOAD_CHEAP_ENGINE_H_
#define SVI_TESTS_BENCH_LOAD_CHEAP_ENGINE_H_

#include <cstddef>
#include <string>

#include "svi/v1/resources.pb.h"
#include "svi/v1/worker_service.pb.h"

namespace svi::load {

struct CheapEngine {
  // `carry_bytes` ≥ 1.
  explicit CheapEngine(size_t carry_bytes);

  // What a worker says when both are uploaded.
  [[nodiscard]] v1::ClipDone Done(const v1::LeaseId& lease) const;

  std::string mp4;  // a real one, 64×64, 9 frames: the server looks into it
  std::string carry;

 private:
  v1::ClipDone done_;
};

// A video of that many clips like the engine's.
v1::VideoSpec SpecOf(int clips, const std::string& prompt = "a cat");

}  // namespace svi::load

#endif  // SVI_TESTS_BENCH_LOAD_CHEAP_ENGINE_H_
