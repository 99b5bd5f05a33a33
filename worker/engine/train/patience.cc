#include "worker/engine/train/patience.h"

#include <algorithm>
#include <thread>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"

namespace svi::engine {
namespace {

constexpr int kLooksBeforePauses = 200;
constexpr absl::Duration kFirstPause = absl::Microseconds(20);
constexpr absl::Duration kLongestPause = absl::Milliseconds(2);

}  // namespace

Patience::Patience(const CollectiveOptions& options, For what)
    : options_(options), what_(what), deadline_(absl::Now() + options.timeout), pause_(kFirstPause) {}

bool Patience::LookAgain() {
  if (what_ == For::kTransfer || ++looks_ < kLooksBeforePauses) {
    std::this_thread::yield();
  } else {
    absl::SleepFor(pause_);
    pause_ = std::min(2 * pause_, kLongestPause);
  }
  const absl::Time now = absl::Now();
  if (now < next_question_) return true;
  next_question_ = now + kLongestPause;
  stopped_ = options_.stop && options_.stop();
  return !stopped_ && now < deadline_;
}

std::string Patience::reason() const {
  return stopped_ ? "gave up waiting when it was told to stop"
                  : absl::StrCat("waited ", absl::FormatDuration(options_.timeout));
}

}  // namespace svi::engine
