#include "worker/engine/train/nccl_collectives.h"

#include <ATen/cuda/CUDAEvent.h>
#include <c10/cuda/CUDAGuard.h>
#include <c10/cuda/CUDAStream.h>
#include <nccl.h>

#include <cstring>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "worker/engine/train/flat_buckets.h"
#include "worker/engine/train/patience.h"

namespace svi::engine {
namespace {

// The communicator does not block: every wait is ours, so that a stop and a dead rank are noticed.
class NcclCollectives : public Collectives {
 public:
  NcclCollectives(at::Device device, std::unique_ptr<MpiRanks> ranks)
      : device_(device), ranks_(std::move(ranks)) {
    const c10::cuda::CUDAGuard guard(device_);
    ncclUniqueId id{};
    if (rank() == 0) Check(ncclGetUniqueId(&id), "ncclGetUniqueId");
    const std::string of_rank_0 = ranks_->Broadcast(std::string(id.internal, sizeof(id.internal)));
    std::memcpy(id.internal, of_rank_0.data(), sizeof(id.internal));
    ncclConfig_t config = NCCL_CONFIG_INITIALIZER;
    config.blocking = 0;
    Check(ncclCommInitRankConfig(&gpus_, size(), id, rank(), &config), "ncclCommInitRankConfig");
    AwaitCall("ncclCommInitRankConfig");
  }

  // Without Finish: a rank is lost, or this one has failed.
  ~NcclCollectives() override { Abort(); }

  int rank() const override { return ranks_->rank(); }
  int size() const override { return ranks_->size(); }
  at::Device device() const override { return device_; }

  void AllReduceSum(const std::vector<at::Tensor>& tensors) override {
    ranks_->Meet();
    const c10::cuda::CUDAGuard guard(device_);
    ChangeInBuckets(tensors, device_, [this](const at::Tensor& flat) {
      const ncclDataType_t type = flat.scalar_type() == at::kDouble ? ncclFloat64 : ncclFloat32;
      void* values = flat.mutable_data_ptr();
      Check(ncclAllReduce(values, values, static_cast<size_t>(flat.numel()), type, ncclSum, gpus_, Stream()),
            "ncclAllReduce");
      AwaitCall("ncclAllReduce");
    });
    AwaitStream();
  }

  std::vector<at::Tensor> AllGather(const at::Tensor& tensor) override {
    if (tensor.device() != device_) throw std::invalid_argument("ranks gather tensors on their own GPU");
    ranks_->Meet();
    const c10::cuda::CUDAGuard guard(device_);
    const at::Tensor mine = tensor.contiguous();
    std::vector<int64_t> shape = tensor.sizes().vec();
    shape.insert(shape.begin(), size());
    const at::Tensor all = at::empty(shape, tensor.options());
    Check(ncclAllGather(mine.const_data_ptr(), all.mutable_data_ptr(), mine.nbytes(), ncclUint8, gpus_,
                        Stream()),
          "ncclAllGather");
    AwaitCall("ncclAllGather");
    AwaitStream();
    return all.unbind(0);
  }

  std::vector<std::string> GatherStrings(const std::string& text) override {
    return ranks_->GatherStrings(text);
  }
  std::string Broadcast(const std::string& from_rank_0) override { return ranks_->Broadcast(from_rank_0); }
  void Barrier() override { ranks_->Meet(); }

  void Finish() override {
    ranks_->Meet();
    Check(ncclCommFinalize(gpus_), "ncclCommFinalize");
    AwaitCall("ncclCommFinalize");
    Check(ncclCommDestroy(std::exchange(gpus_, nullptr)), "ncclCommDestroy");
    ranks_->Finish();
  }

 private:
  cudaStream_t Stream() const { return c10::cuda::getCurrentCUDAStream(device_.index()).stream(); }

  void Abort() {
    if (gpus_ != nullptr) ncclCommAbort(std::exchange(gpus_, nullptr));
  }

  [[noreturn]] void Lose(const std::string& what) {
    Abort();
    ranks_->Lose(what);
  }

  void Check(ncclResult_t result, const char* call) {
    if (result == ncclSuccess || result == ncclInProgress) return;
    Lose(absl::StrCat("cannot reach the other GPUs (", call, ": ", ncclGetErrorString(result), ")"));
  }

  ncclResult_t State(const char* call) {
    ncclResult_t state = ncclSuccess;
    Check(ncclCommGetAsyncError(gpus_, &state), "ncclCommGetAsyncError");
    Check(state, call);
    return state;
  }

  // Until the call has been taken; what it started goes on.
  void AwaitCall(const char* call) {
    Patience patience(ranks_->options(), Patience::For::kTransfer);
    while (State(call) == ncclInProgress) {
      if (!patience.LookAgain()) Lose(absl::StrCat(patience.reason(), " in ", call));
    }
  }

  void AwaitStream() {
    at::cuda::CUDAEvent reached;
    reached.record(c10::cuda::getCurrentCUDAStream(device_.index()));
    Patience patience(ranks_->options(), Patience::For::kRanks);
    while (!reached.query()) {
      State("an exchange between GPUs");
      if (!patience.LookAgain()) Lose(absl::StrCat(patience.reason(), " in the middle of an exchange"));
    }
  }

  const at::Device device_;
  const std::unique_ptr<MpiRanks> ranks_;
  ncclComm_t gpus_ = nullptr;
};

}  // namespace

std::unique_ptr<Collectives> MakeNcclCollectives(at::Device device, std::unique_ptr<MpiRanks> ranks) {
  return std::make_unique<NcclCollectives>(device, std::move(ranks));
}

}  // namespace svi::engine
