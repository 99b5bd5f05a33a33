#include "worker/engine/train/collectives.h"

#include <cstdlib>
#include <utility>

#include "absl/strings/numbers.h"
#include "worker/engine/train/flat_buckets.h"
#include "worker/engine/train/mpi_ranks.h"
#include "worker/engine/train/nccl_collectives.h"

namespace svi::engine {
namespace {

int FromEnvironment(const char* name, int otherwise) {
  const char* text = std::getenv(name);
  int value = 0;
  return text != nullptr && absl::SimpleAtoi(text, &value) ? value : otherwise;
}

// One process by itself.
class SingleCollectives : public Collectives {
 public:
  explicit SingleCollectives(at::Device device) : device_(device) {}

  int rank() const override { return 0; }
  int size() const override { return 1; }
  at::Device device() const override { return device_; }
  void AllReduceSum(const std::vector<at::Tensor>& tensors) override {
    ChangeInBuckets(tensors, device_, [](const at::Tensor&) {});
  }
  std::vector<at::Tensor> AllGather(const at::Tensor& tensor) override { return {tensor.clone()}; }
  std::vector<std::string> GatherStrings(const std::string& text) override { return {text}; }
  std::string Broadcast(const std::string& from_rank_0) override { return from_rank_0; }
  void Barrier() override {}
  void Finish() override {}

 private:
  const at::Device device_;
};

class MpiCollectives : public Collectives {
 public:
  explicit MpiCollectives(std::unique_ptr<MpiRanks> ranks) : ranks_(std::move(ranks)) {}

  int rank() const override { return ranks_->rank(); }
  int size() const override { return ranks_->size(); }
  at::Device device() const override { return at::kCPU; }
  void AllReduceSum(const std::vector<at::Tensor>& tensors) override {
    ranks_->Meet();
    ChangeInBuckets(tensors, at::kCPU, [this](const at::Tensor& flat) { ranks_->Sum(flat); });
  }
  std::vector<at::Tensor> AllGather(const at::Tensor& tensor) override {
    if (!tensor.is_cpu()) throw std::invalid_argument("ranks on the CPU gather tensors on the CPU");
    return ranks_->Gather(tensor.contiguous());
  }
  std::vector<std::string> GatherStrings(const std::string& text) override {
    return ranks_->GatherStrings(text);
  }
  std::string Broadcast(const std::string& from_rank_0) override { return ranks_->Broadcast(from_rank_0); }
  void Barrier() override { ranks_->Meet(); }
  void Finish() override { ranks_->Finish(); }

 private:
  const std::unique_ptr<MpiRanks> ranks_;
};

}  // namespace

std::unique_ptr<Collectives> MakeCollectives(at::Device device, const CollectiveOptions& options) {
  // OpenMPI's launchers set the first; what starts processes through PMIx alone (Slurm) the second.
  const bool launched =
      FromEnvironment("OMPI_COMM_WORLD_SIZE", 1) > 1 ||
      (std::getenv("OMPI_COMM_WORLD_SIZE") == nullptr && std::getenv("PMIX_RANK") != nullptr);
  if (!launched) return std::make_unique<SingleCollectives>(device);
  auto ranks = std::make_unique<MpiRanks>(options);
  if (device.is_cuda()) return MakeNcclCollectives(device, std::move(ranks));
  return std::make_unique<MpiCollectives>(std::move(ranks));
}

int LocalRank() { return FromEnvironment("OMPI_COMM_WORLD_LOCAL_RANK", 0); }

}  // namespace svi::engine
