#include "worker/engine/train/error_bank.h"

#include <ATen/Parallel.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <stdexcept>
#include <string>
#include <thread>
#include <utility>

#include "worker/engine/train/uniform.h"

namespace svi::engine {
namespace {

// Partial sums in float over short runs, which the compiler vectorises, and those in double. The order never
// changes, so that both L2 rules find the same nearest entry.
double SquaredDistance(const at::BFloat16* a, const at::BFloat16* b, int64_t count) {
  constexpr int64_t kRun = 1024, kLanes = 16;
  double total = 0;
  for (int64_t begin = 0; begin < count; begin += kRun) {
    std::array<float, kLanes> lanes{};
    const int64_t end = std::min(begin + kRun, count);
    int64_t i = begin;
    for (; i + kLanes <= end; i += kLanes) {
      for (int64_t lane = 0; lane < kLanes; ++lane) {
        const float difference = static_cast<float>(a[i + lane]) - static_cast<float>(b[i + lane]);
        lanes[static_cast<size_t>(lane)] += difference * difference;
      }
    }
    for (; i < end; ++i) {
      const float difference = static_cast<float>(a[i]) - static_cast<float>(b[i]);
      lanes[0] += difference * difference;
    }
    for (const float lane : lanes) total += lane;
  }
  return total;
}

std::string Shown(at::IntArrayRef shape) {
  std::string text = "[";
  for (const int64_t size : shape) text += (text.size() > 1 ? ", " : "") + std::to_string(size);
  return text + "]";
}

std::string EntryName(const std::string& prefix, size_t grid, size_t position) {
  return prefix + std::to_string(grid) + "." + std::to_string(position);
}

const at::Tensor& Saved(const TensorFile& file, const std::string& name) {
  const auto found = file.tensors.find(name);
  if (found == file.tensors.end()) {
    throw std::invalid_argument("the error bank's tensor \"" + name + "\" is missing");
  }
  return found->second;
}

}  // namespace

ErrorBank::ErrorBank(const ErrorBankOptions& options) : options_(options) {
  if (options.grids < 1) throw std::invalid_argument("an error bank has at least one grid");
  if (options.capacity < 1) throw std::invalid_argument("buffer_size must be at least 1");
  grids_.resize(static_cast<size_t>(options.grids));
}

bool ErrorBank::Add(int64_t grid, const at::Tensor& error, at::Generator& generator) {
  Grid& entries = grids_.at(Index(grid));
  if (error.scalar_type() != at::kFloat || error.dim() != 4) {
    throw std::invalid_argument("an error is float32 [C, T, h, w]");
  }
  const double random = Uniform(generator);
  Entry entry = MakeEntry(error.detach().to(at::kBFloat16).to(at::kCPU).contiguous());
  if (!std::isfinite(entry.sum_of_squares)) return false;
  FixShape(error.sizes());

  const bool no_room = static_cast<uint64_t>(size_ + 1) * EntryBytes() > options_.max_bytes;
  const bool full = static_cast<int64_t>(entries.size()) >= options_.capacity;
  if (full || (no_room && !entries.empty())) {
    Replace(entries, std::move(entry), random);
    return true;
  }
  if (no_room) {
    Grid& fullest = Fullest();
    fullest.erase(fullest.begin() + static_cast<std::ptrdiff_t>(Victim(fullest, entry.values, random)));
    --size_;
  }
  entries.push_back(std::move(entry));
  ++size_;
  return true;
}

at::Tensor ErrorBank::Draw(int64_t grid, at::Generator& generator) const {
  return DrawFrom({grid}, generator);
}

at::Tensor ErrorBank::DrawFrom(const std::vector<int64_t>& grids, at::Generator& generator) const {
  const double random = Uniform(generator);
  std::vector<const Grid*> among;
  for (const int64_t grid : grids) among.push_back(&grids_.at(Index(grid)));
  if (grids.empty()) {
    for (const Grid& entries : grids_) among.push_back(&entries);
  }
  size_t count = 0;
  for (const Grid* entries : among) count += entries->size();
  if (count == 0) return {};
  size_t place = Pick(random, count);
  for (const Grid* entries : among) {
    if (place < entries->size()) return (*entries)[place].values.to(at::kFloat);
    place -= entries->size();
  }
  return {};  // not reached: place < count
}

int64_t ErrorBank::size(int64_t grid) const { return static_cast<int64_t>(grids_.at(Index(grid)).size()); }

uint64_t ErrorBank::bytes() const { return size_ == 0 ? 0 : static_cast<uint64_t>(size_) * EntryBytes(); }

ErrorBank::Statistics ErrorBank::statistics() const {
  if (size_ == 0) return {};
  double sum = 0, sum_of_squares = 0;
  for (const Grid& entries : grids_) {
    for (const Entry& entry : entries) {
      sum += entry.sum;
      sum_of_squares += entry.sum_of_squares;
    }
  }
  const double count = static_cast<double>(bytes() / sizeof(at::BFloat16));
  const double mean = sum / count;
  return {mean, std::sqrt(std::max(0.0, sum_of_squares / count - mean * mean))};
}

void ErrorBank::Save(TensorFile& file, const std::string& prefix) const {
  std::vector<int64_t> sizes;
  for (size_t grid = 0; grid < grids_.size(); ++grid) {
    sizes.push_back(static_cast<int64_t>(grids_[grid].size()));
    for (size_t i = 0; i < grids_[grid].size(); ++i) {
      file.tensors[EntryName(prefix, grid, i)] = grids_[grid][i].values;
    }
  }
  file.tensors[prefix + "sizes"] = at::tensor(sizes, at::kLong);
}

void ErrorBank::Load(const TensorFile& file, const std::string& prefix) {
  const at::Tensor sizes = Saved(file, prefix + "sizes");
  if (sizes.scalar_type() != at::kLong || sizes.sizes() != at::IntArrayRef{options_.grids}) {
    throw std::invalid_argument("the saved error bank does not have " + std::to_string(options_.grids) +
                                " grids");
  }
  ErrorBank loaded(options_);
  for (size_t grid = 0; grid < grids_.size(); ++grid) {
    const int64_t count = sizes[static_cast<int64_t>(grid)].item<int64_t>();
    if (count < 0 || count > options_.capacity) {
      throw std::invalid_argument("a grid of the saved error bank has " + std::to_string(count) +
                                  " entries; buffer_size is " + std::to_string(options_.capacity));
    }
    for (size_t i = 0; i < static_cast<size_t>(count); ++i) {
      const at::Tensor& values = Saved(file, EntryName(prefix, grid, i));
      if (values.scalar_type() != at::kBFloat16 || values.dim() != 4) {
        throw std::invalid_argument("the saved error bank's entries must be bfloat16 [C, T, h, w]");
      }
      loaded.FixShape(values.sizes());
      ++loaded.size_;
      if (loaded.bytes() > options_.max_bytes) {
        throw std::invalid_argument("the saved error bank takes more than its share of buffer_bytes");
      }
      loaded.grids_[grid].push_back(MakeEntry(values.clone()));
    }
  }
  *this = std::move(loaded);
}

size_t ErrorBank::Index(int64_t grid) const {
  if (grid < 0 || grid >= options_.grids) {
    throw std::invalid_argument("an error grid is 0 to " + std::to_string(options_.grids - 1));
  }
  return static_cast<size_t>(grid);
}

void ErrorBank::FixShape(at::IntArrayRef shape) {
  if (!shape_.empty()) {
    if (shape != at::IntArrayRef(shape_)) {
      throw std::invalid_argument("the bank's errors are " + Shown(shape_) + ", this one is " + Shown(shape));
    }
    return;
  }
  const uint64_t bytes = static_cast<uint64_t>(c10::multiply_integers(shape)) * sizeof(at::BFloat16);
  if (bytes == 0) throw std::invalid_argument("an error has no values: " + Shown(shape));
  if (bytes > options_.max_bytes) {
    throw std::invalid_argument("one error takes " + std::to_string(bytes) +
                                " bytes, and buffer_bytes leaves a bank " +
                                std::to_string(options_.max_bytes));
  }
  shape_ = shape.vec();
}

uint64_t ErrorBank::EntryBytes() const {
  return static_cast<uint64_t>(c10::multiply_integers(shape_)) * sizeof(at::BFloat16);
}

ErrorBank::Grid& ErrorBank::Fullest() {
  return *std::max_element(grids_.begin(), grids_.end(),
                           [](const Grid& a, const Grid& b) { return a.size() < b.size(); });
}

void ErrorBank::Replace(Grid& entries, Entry entry, double random) {
  if (options_.replacement == BankReplacement::kFifo) {
    entries.pop_front();
    entries.push_back(std::move(entry));
  } else {
    entries[Victim(entries, entry.values, random)] = std::move(entry);
  }
}

size_t ErrorBank::Victim(const Grid& entries, const at::Tensor& values, double random) const {
  if (options_.replacement == BankReplacement::kFifo) return 0;
  if (options_.replacement == BankReplacement::kRandom) return Pick(random, entries.size());

  std::vector<double> distances(entries.size());
  const auto measure = [&](size_t begin, size_t end) {
    for (size_t i = begin; i < end; ++i) {
      distances[i] = SquaredDistance(values.const_data_ptr<at::BFloat16>(),
                                     entries[i].values.const_data_ptr<at::BFloat16>(), values.numel());
    }
  };
  // Threads of our own: ATen's parallel_for is serial in code that is not compiled for OpenMP.
  const size_t workers =
      options_.replacement == BankReplacement::kL2Batch ? static_cast<size_t>(at::get_num_threads()) : 1;
  const size_t share = (entries.size() + workers - 1) / workers;
  std::vector<std::jthread> threads;
  for (size_t begin = share; begin < entries.size(); begin += share) {
    threads.emplace_back(measure, begin, std::min(begin + share, entries.size()));
  }
  measure(0, std::min(share, entries.size()));
  threads.clear();  // joins
  return static_cast<size_t>(std::min_element(distances.begin(), distances.end()) - distances.begin());
}

ErrorBank::Entry ErrorBank::MakeEntry(at::Tensor values) {
  const at::Tensor exact = values.to(at::kFloat);
  return {std::move(values), exact.sum(at::kDouble).item<double>(),
          exact.to(at::kDouble).square_().sum().item<double>()};
}

}  // namespace svi::engine
