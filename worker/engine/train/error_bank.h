// What the model got wrong, kept for recycling (Stable Video Infinity, arXiv 2510.09212, section 3.3).
#ifndef SVI_ENGINE_TRAIN_ERROR_BANK_H_
#define SVI_ENGINE_TRAIN_ERROR_BANK_H_

#include <ATen/ATen.h>

#include <cstdint>
#include <deque>
#include <string>
#include <vector>

#include "engine/train_options.h"
#include "worker/engine/train/flow_matching.h"
#include "worker/engine/weights/safetensors.h"

namespace svi::engine {

struct ErrorBankOptions {
  int64_t grids = kErrorGrids;
  int64_t capacity = 500;             // entries a grid, from 1
  uint64_t max_bytes = 16ULL << 30U;  // of all entries; has room for one at least
  BankReplacement replacement = BankReplacement::kRandom;
};

// Entries by grid, as bfloat16 on the CPU. When max_bytes is reached a grid that holds something replaces, as
// if it were full; an empty one takes the place of an entry of the fullest grid, so that every grid comes to
// hold something. Bad arguments: std::invalid_argument. Not thread-safe.
class ErrorBank {
 public:
  explicit ErrorBank(const ErrorBankOptions& options);

  // `error`: float32 [C, T, h, w] on any device; the first one fixes the shape. False, and not stored, when
  // it is not finite. Distances are between errors as they are stored. Takes one random number, needed or
  // not.
  bool Add(int64_t grid, const at::Tensor& error, at::Generator& generator);

  // A float32 copy [C, T, h, w] on the CPU of one entry, all equally likely; undefined when there is none.
  // Takes one random number, also then.
  at::Tensor Draw(int64_t grid, at::Generator& generator) const;
  // The same over the entries of several grids; no grids: of all.
  at::Tensor DrawFrom(const std::vector<int64_t>& grids, at::Generator& generator) const;

  int64_t size() const { return size_; }
  int64_t size(int64_t grid) const;
  uint64_t bytes() const;

  // Over all values of all entries; zeros when there are none. Costs a few operations an entry.
  struct Statistics {
    double mean = 0;
    double std = 0;
  };
  Statistics statistics() const;

  // Entries `<prefix><grid>.<position>`, without copying them. Load replaces everything by what was saved,
  // bit for bit and in order (which is age for kFifo), and copies it out of the file.
  void Save(TensorFile& file, const std::string& prefix) const;
  void Load(const TensorFile& file, const std::string& prefix);

 private:
  struct Entry {
    at::Tensor values;  // bfloat16 [C, T, h, w]
    double sum = 0;
    double sum_of_squares = 0;
  };
  using Grid = std::deque<Entry>;  // for kFifo, oldest first

  static Entry MakeEntry(at::Tensor values);
  size_t Index(int64_t grid) const;
  void FixShape(at::IntArrayRef shape);  // by the first, checked afterwards
  uint64_t EntryBytes() const;
  Grid& Fullest();  // the first of equally full ones
  void Replace(Grid& entries, Entry entry, double random);
  // Position in `entries`, which is not empty, of the one that gives way to `values`.
  size_t Victim(const Grid& entries, const at::Tensor& values, double random) const;

  ErrorBankOptions options_;
  std::vector<Grid> grids_;
  std::vector<int64_t> shape_;  // empty until the first entry
  int64_t size_ = 0;
};

}  // namespace svi::engine

#endif  // SVI_ENGINE_TRAIN_ERROR_BANK_H_
