// One rank of collectives_test: does what its first argument names, and writes what came of it into the file
// <second argument>.<rank>. What the ranks are to see depends on their numbers alone.
#include <ATen/ATen.h>
#include <ATen/CPUGeneratorImpl.h>
#include <unistd.h>

#include <atomic>
#include <csignal>
#include <fstream>
#include <functional>
#include <iostream>
#include <map>
#include <string>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/time/clock.h"
#include "worker/engine/train/collectives.h"

namespace svi::engine {
namespace {

std::atomic<bool> g_stop{false};

void OnTerm(int) { g_stop = true; }

std::string Shown(const at::Tensor& tensor) {
  const at::Tensor flat = tensor.flatten().to(at::kDouble).contiguous();
  const double* values = flat.const_data_ptr<double>();
  return absl::StrCat("[", absl::StrJoin(values, values + flat.numel(), ","), "]");
}

std::string Bytes(const at::Tensor& tensor) {
  const auto* bytes = static_cast<const char*>(tensor.const_data_ptr());
  return absl::BytesToHexString(absl::string_view(bytes, tensor.nbytes()));
}

// A long tensor, small ones of both dtypes between it, a scalar and an empty one.
std::string Sum(Collectives& ranks) {
  const auto mine = static_cast<double>(ranks.rank() + 1);
  const at::Tensor longer = at::full({3, 3'000'001}, mine, at::kFloat);  // above a bucket
  const at::Tensor scalar = at::full({}, mine * 10, at::kDouble), empty = at::empty({0}, at::kFloat);
  const at::Tensor a = at::arange(4, at::kFloat) * mine, b = at::full({2, 1}, mine * mine, at::kFloat);
  ranks.AllReduceSum({a, b, longer, empty, scalar, at::ones({1})});
  const bool even = longer.eq(longer[0][0]).all().item<bool>();
  return absl::StrCat(Shown(a), Shown(b), Shown(longer[2][3'000'000]), even ? "even" : "uneven",
                      Shown(scalar));
}

// Numbers whose sum depends on the order.
std::string SumOfOddNumbers(Collectives& ranks) {
  std::string bits;
  for (const int64_t length : {3, 5'000, 70'001}) {
    at::Generator random = at::detail::createCPUGenerator(static_cast<uint64_t>(100 + ranks.rank()));
    const at::Tensor values = at::randn({length}, random) * at::exp(at::randn({length}, random) * 4);
    ranks.AllReduceSum({values});
    bits += absl::StrCat(std::hash<std::string>()(Bytes(values)), " ", Bytes(values.narrow(0, 0, 3)), "\n");
  }
  return bits;
}

std::string Gather(Collectives& ranks) {
  const at::Tensor transposed = (at::arange(6, at::kLong).view({2, 3}) + 100 * ranks.rank()).t();
  std::string text;
  for (const at::Tensor& one : ranks.AllGather(transposed))
    text += Shown(one) + Shown(at::tensor(one.sizes()));
  for (const at::Tensor& one : ranks.AllGather(at::full({1}, ranks.rank() + 0.5, at::kBFloat16)))
    text += Shown(one);
  return text;
}

std::string Texts(Collectives& ranks) {
  const std::string mine(static_cast<size_t>(ranks.rank()),
                         static_cast<char>('a' + ranks.rank()));  // rank 0: empty
  std::string text = absl::StrJoin(ranks.GatherStrings(mine), "|");
  absl::StrAppend(&text, " ", ranks.Broadcast(absl::StrCat("from ", ranks.rank())));
  absl::StrAppend(&text, " ", ranks.Broadcast(ranks.rank() == 0 ? std::string(100'000, 'x') : "").size());
  ranks.Barrier();
  return text;
}

// The last rank is gone before the others miss it.
std::string Death(Collectives& ranks) {
  ranks.Barrier();
  if (ranks.rank() == ranks.size() - 1) _exit(3);
  ranks.AllReduceSum({at::ones({10})});
  return "nobody died";
}

// The last rank computes for ever.
std::string Silence(Collectives& ranks) {
  ranks.Barrier();
  if (ranks.rank() == ranks.size() - 1) {
    while (!g_stop) absl::SleepFor(absl::Milliseconds(5));
    return "stopped";
  }
  try {
    ranks.GatherStrings("");
  } catch (const RankLost&) {
    try {
      ranks.Barrier();
    } catch (const RankLost& again) {
      std::cerr << again.what() << std::endl;
    }
    throw;
  }
  return "everybody answered";
}

std::string BadTensors(Collectives& ranks) {
  int refused = 0;
  for (const at::Tensor& bad : {at::ones({3}, at::kLong), at::ones({2, 3}).t(), at::ones({3}, at::kHalf)}) {
    try {
      ranks.AllReduceSum({bad});
    } catch (const std::invalid_argument&) {
      ++refused;
    }
  }
  return std::to_string(refused);
}

using Scenario = std::string (*)(Collectives&);

int Run(const std::string& name, const std::string& file) {
  const std::map<std::string, Scenario> scenarios = {
      {"sum", Sum},     {"odd", SumOfOddNumbers}, {"gather", Gather}, {"texts", Texts},
      {"death", Death}, {"silence", Silence},     {"bad", BadTensors}};
  std::signal(SIGTERM, OnTerm);
  CollectiveOptions options;
  options.stop = [] { return g_stop.load(); };
  if (name == "silence") options.timeout = absl::Seconds(3);
  const std::unique_ptr<Collectives> ranks = MakeCollectives(at::kCPU, options);
  std::ofstream out(absl::StrCat(file, ".", ranks->rank()));
  int code = 0;
  try {
    const std::string result = scenarios.at(name)(*ranks);
    out << ranks->rank() << "/" << ranks->size() << " " << result << std::endl;
    ranks->Finish();
  } catch (const RankLost& lost) {
    out << "RankLost: " << lost.what() << std::endl;
    code = 7;
  }
  return code;
}

}  // namespace
}  // namespace svi::engine

int main(int argc, char** argv) {
  if (argc != 3) return 2;
  return svi::engine::Run(argv[1], argv[2]);
}
