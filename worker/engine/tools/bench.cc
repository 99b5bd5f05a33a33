// svi-worker bench: the parts take turns, with a large matrix product between them, so that a machine that
// slows down or has other work slows all of them alike.
#include "engine/bench.h"

#include <ATen/Context.h>
#include <ATen/Parallel.h>
#include <c10/core/impl/VirtualGuardImpl.h>

#include <algorithm>
#include <chrono>
#include <filesystem>
#include <map>
#include <utility>

#include "worker/engine/as_status.h"
#include "worker/engine/nn/device.h"
#include "worker/engine/nn/layers.h"
#include "worker/engine/svi/defaults.h"
#include "worker/engine/tools/bench_flops.h"
#include "worker/engine/tools/bench_memory.h"
#include "worker/engine/tools/bench_parts.h"

namespace svi::engine {
namespace {

constexpr int64_t kGemmSide = 2048;

// A GPU computes behind the caller's back.
void WaitFor(at::Device device) {
  if (device.is_cuda()) c10::impl::VirtualGuardImpl(device.type()).synchronizeDevice(device.index());
}

template <typename Work>
absl::StatusOr<double> Seconds(at::Device device, const Work& work) {
  WaitFor(device);
  const auto start = std::chrono::steady_clock::now();
  if (absl::Status status = work(); !status.ok()) return status;
  WaitFor(device);
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

double Median(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  const size_t middle = values.size() / 2;
  return values.size() % 2 == 1 ? values[middle] : (values[middle - 1] + values[middle]) / 2;
}

// The yardstick: the faster of the two float32 products that there are on a CPU, at::mm's (MKL) and the one
// that linear layers use (oneDNN).
class Yardstick {
 public:
  explicit Yardstick(at::Device device)
      : device_(device),
        a_(at::randn({kGemmSide, kGemmSide}, at::TensorOptions().device(device).dtype(at::kFloat))),
        b_(a_.t().contiguous()),
        out_(at::empty_like(a_)) {
    Measure();
    plain_.clear();
    linear_.clear();
  }

  void Measure() {
    plain_.push_back(*Seconds(device_, [&] {
      at::mm_out(out_, a_, b_);
      return absl::OkStatus();
    }));
    linear_.push_back(*Seconds(device_, [&] {
      out_ = LinearUpcast(a_, b_);
      return absl::OkStatus();
    }));
  }

  double Gflops() const {
    const double flop = 2.0 * kGemmSide * kGemmSide * kGemmSide;
    return flop / std::min(Median(plain_), Median(linear_)) * 1e-9;
  }

 private:
  const at::Device device_;
  const at::Tensor a_, b_;
  at::Tensor out_;
  std::vector<double> plain_, linear_;
};

struct Measured {
  std::string name, shape;
  double flop = 0;
  std::vector<double> seconds = {};
  uint64_t peak_bytes = 0;

  BenchPart Report(double gemm_gflops) const {
    BenchPart part{.name = name, .shape = shape, .seconds = Median(seconds), .peak_bytes = peak_bytes};
    part.min_seconds = *std::min_element(seconds.begin(), seconds.end());
    part.max_seconds = *std::max_element(seconds.begin(), seconds.end());
    part.gflop = flop * 1e-9;
    part.gflops = part.gflop / part.seconds;
    part.share_of_gemm = part.gflops / gemm_gflops;
    return part;
  }
};

absl::Status Prepare(const BenchRow& row) { return row.prepare ? row.prepare() : absl::OkStatus(); }

absl::Status Count(const BenchRow& row, Measured& measured) {
  if (absl::Status status = Prepare(row); !status.ok()) return status;
  absl::Status status;
  measured.flop = static_cast<double>(CountFlop([&] { status = row.run(); }));
  return status;
}

absl::Status Time(const BenchRow& row, at::Device device, Measured& measured) {
  if (absl::Status status = Prepare(row); !status.ok()) return status;
  PeakMemory peak(device);
  const absl::StatusOr<double> seconds = Seconds(device, row.run);
  if (!seconds.ok()) return seconds.status();
  measured.seconds.push_back(*seconds);
  measured.peak_bytes = std::max(measured.peak_bytes, peak.Bytes());
  return absl::OkStatus();
}

// What one part has shown so far, over all rounds.
struct PartProgress {
  std::vector<Measured> rows;
  double load_seconds = 0;  // the first time
};

// Loads the part, runs each of its rows once and forgets it: a part's memory and page cache are its own.
absl::Status TakeTurn(const BenchPartMaker& part, at::Device device, Yardstick& yardstick,
                      PartProgress& progress) {
  LoadedBenchPart loaded;
  const absl::StatusOr<double> load_seconds = Seconds(device, [&]() -> absl::Status {
    absl::StatusOr<LoadedBenchPart> result = part.load();
    if (result.ok()) loaded = *std::move(result);
    return result.status();
  });
  if (!load_seconds.ok()) return load_seconds.status();
  const bool first_time = progress.rows.empty();
  if (first_time) {
    progress.load_seconds = *load_seconds;
    for (const BenchRow& row : loaded.rows) {
      progress.rows.push_back({.name = row.name, .shape = row.shape});
      if (absl::Status status = Count(row, progress.rows.back()); !status.ok()) return status;
    }
  } else if (absl::Status status = loaded.warm_up(); !status.ok()) {
    return status;
  }
  for (size_t i = 0; i < loaded.rows.size(); ++i) {
    yardstick.Measure();
    if (absl::Status status = Time(loaded.rows[i], device, progress.rows[i]); !status.ok()) return status;
  }
  return absl::OkStatus();
}

absl::StatusOr<BenchReport> Run(const BenchOptions& options,
                                const std::function<void(const std::string&)>& progress_line) {
  const int threads = options.engine.num_threads;
  if (threads < 0 || threads > 1024) return absl::InvalidArgumentError("--threads must be from 0 to 1024");
  const at::Device device = SelectDevice(options.engine.device);
  const absl::StatusOr<std::vector<BenchPartMaker>> parts = BenchParts(options, device);
  if (!parts.ok()) return parts.status();
  if (threads > 0) at::set_num_threads(threads);
  PrepareDevice(device);

  Yardstick yardstick(device);
  std::vector<PartProgress> progress(parts->size());
  for (int round = 0; round < options.repeats; ++round) {
    for (size_t i = 0; i < parts->size(); ++i) {
      const BenchPartMaker& part = (*parts)[i];
      progress_line("round " + std::to_string(round + 1) + " of " + std::to_string(options.repeats) + ": " +
                    part.name);
      if (absl::Status status = TakeTurn(part, device, yardstick, progress[i]); !status.ok()) return status;
    }
  }

  BenchReport report;
  report.device = DeviceName(device);
  report.threads = at::get_num_threads();
  report.model = FolderName(options.engine.model_dir);
  report.gemm_gflops = yardstick.Gflops();
  for (const PartProgress& of_part : progress) {
    report.load_seconds += of_part.load_seconds;
    for (const Measured& row : of_part.rows) report.parts.push_back(row.Report(report.gemm_gflops));
  }
  // The clip's engine loads everything that the parts before it did.
  if (!parts->empty() && parts->back().name == "clip") report.load_seconds = progress.back().load_seconds;
  return report;
}

}  // namespace

absl::StatusOr<BenchReport> RunBench(const BenchOptions& options,
                                     const std::function<void(const std::string&)>& progress) {
  return AsStatus([&] { return Run(options, progress); });
}

}  // namespace svi::engine
