#include "worker/engine/train/mpi_ranks.h"

#include <algorithm>
#include <array>
#include <cstdlib>
#include <limits>
#include <stdexcept>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"

namespace svi::engine {
namespace {

constexpr int kMeetTag = 1;
constexpr int64_t kLongestSum = 1LL << 24U;  // values a call, so that a stop is noticed between calls

int Count(size_t bytes) {
  if (bytes > static_cast<size_t>(std::numeric_limits<int>::max())) {
    throw std::invalid_argument("ranks exchange at most 2 GiB at a time");
  }
  return static_cast<int>(bytes);
}

}  // namespace

MpiRanks::MpiRanks(CollectiveOptions options) : options_(std::move(options)) {
  int running = 0, level = 0;
  MPI_Initialized(&running);
  if (running != 0) throw std::logic_error("MPI is started once a process");
  // Copying straight from another process's memory needs a right (ptrace) that containers do not give;
  // OpenMPI complains at length when it finds out.
  setenv("OMPI_MCA_btl_vader_single_copy_mechanism", "none", /*overwrite=*/0);
  Check(MPI_Init_thread(nullptr, nullptr, MPI_THREAD_SERIALIZED, &level), "MPI_Init_thread");
  if (level < MPI_THREAD_SERIALIZED) throw std::runtime_error("this MPI allows only one thread");
  Check(MPI_Comm_dup(MPI_COMM_WORLD, &ranks_), "MPI_Comm_dup");
  for (const MPI_Comm comm : {MPI_COMM_WORLD, ranks_}) {
    Check(MPI_Comm_set_errhandler(comm, MPI_ERRORS_RETURN), "MPI_Comm_set_errhandler");
  }
  Check(MPI_Comm_rank(ranks_, &rank_), "MPI_Comm_rank");
  Check(MPI_Comm_size(ranks_, &size_), "MPI_Comm_size");
}

void MpiRanks::Meet() {
  CheckUsable();
  // A token to and from each of the others. MPI_Ibarrier would not tell who is missing.
  const auto peers = static_cast<size_t>(size_);
  char sent = 0;
  std::vector<char> received(peers);
  std::vector<MPI_Request> outgoing(peers, MPI_REQUEST_NULL), incoming(peers, MPI_REQUEST_NULL);
  for (int peer = 0; peer < size_; ++peer) {
    if (peer == rank_) continue;
    const auto i = static_cast<size_t>(peer);
    Check(MPI_Irecv(&received[i], 1, MPI_CHAR, peer, kMeetTag, ranks_, &incoming[i]), "MPI_Irecv");
    Check(MPI_Isend(&sent, 1, MPI_CHAR, peer, kMeetTag, ranks_, &outgoing[i]), "MPI_Isend");
  }
  Patience patience(options_, Patience::For::kRanks);
  for (;;) {
    std::vector<size_t> missing;
    for (size_t i = 0; i < peers; ++i) {
      const bool here = Done(incoming[i]);
      if (!Done(outgoing[i]) || !here) missing.push_back(i);
    }
    if (missing.empty()) return;
    if (patience.LookAgain()) continue;
    Lose(absl::StrCat(patience.reason(), ": rank ", absl::StrJoin(missing, ", "), " died or did not answer"));
  }
}

void MpiRanks::Sum(const at::Tensor& flat) {
  CheckUsable();
  const MPI_Datatype type = flat.scalar_type() == at::kDouble ? MPI_DOUBLE : MPI_FLOAT;
  for (int64_t begin = 0; begin < flat.numel(); begin += kLongestSum) {
    const at::Tensor part = flat.narrow(0, begin, std::min(kLongestSum, flat.numel() - begin));
    MPI_Request request = MPI_REQUEST_NULL;
    Check(MPI_Iallreduce(MPI_IN_PLACE, part.mutable_data_ptr(), static_cast<int>(part.numel()), type, MPI_SUM,
                         ranks_, &request),
          "MPI_Iallreduce");
    AwaitTransfer(request);
  }
}

std::vector<at::Tensor> MpiRanks::Gather(const at::Tensor& tensor) {
  const int bytes = Count(tensor.nbytes());
  Meet();
  std::vector<int64_t> shape = tensor.sizes().vec();
  shape.insert(shape.begin(), size_);
  const at::Tensor all = at::empty(shape, tensor.options());
  MPI_Request request = MPI_REQUEST_NULL;
  Check(MPI_Iallgather(tensor.const_data_ptr(), bytes, MPI_BYTE, all.mutable_data_ptr(), bytes, MPI_BYTE,
                       ranks_, &request),
        "MPI_Iallgather");
  AwaitTransfer(request);
  return all.unbind(0);
}

std::vector<std::string> MpiRanks::GatherStrings(const std::string& text) {
  const int length = Count(text.size());
  Meet();
  const auto ranks = static_cast<size_t>(size_);
  std::vector<int> lengths(ranks), offsets(ranks);
  MPI_Request request = MPI_REQUEST_NULL;
  Check(MPI_Iallgather(&length, 1, MPI_INT, lengths.data(), 1, MPI_INT, ranks_, &request), "MPI_Iallgather");
  AwaitTransfer(request);
  size_t total = 0;
  for (size_t i = 0; i < ranks; ++i) {
    offsets[i] = Count(total);
    total += static_cast<size_t>(lengths[i]);
  }
  std::string all(static_cast<size_t>(Count(total)), '\0');
  Check(MPI_Iallgatherv(text.data(), length, MPI_CHAR, all.data(), lengths.data(), offsets.data(), MPI_CHAR,
                        ranks_, &request),
        "MPI_Iallgatherv");
  AwaitTransfer(request);
  std::vector<std::string> texts;
  for (size_t i = 0; i < ranks; ++i) {
    texts.push_back(all.substr(static_cast<size_t>(offsets[i]), static_cast<size_t>(lengths[i])));
  }
  return texts;
}

std::string MpiRanks::Broadcast(const std::string& from_rank_0) {
  int length = rank_ == 0 ? Count(from_rank_0.size()) : 0;
  Meet();
  MPI_Request request = MPI_REQUEST_NULL;
  Check(MPI_Ibcast(&length, 1, MPI_INT, 0, ranks_, &request), "MPI_Ibcast");
  AwaitTransfer(request);
  std::string text = rank_ == 0 ? from_rank_0 : std::string(static_cast<size_t>(length), '\0');
  Check(MPI_Ibcast(text.data(), length, MPI_CHAR, 0, ranks_, &request), "MPI_Ibcast");
  AwaitTransfer(request);
  return text;
}

void MpiRanks::Finish() {
  Meet();
  Check(MPI_Comm_free(&ranks_), "MPI_Comm_free");
  Check(MPI_Finalize(), "MPI_Finalize");
  usable_ = false;
}

void MpiRanks::Lose(const std::string& what) {
  usable_ = false;
  throw RankLost(absl::StrCat("rank ", rank_, " ", what));
}

void MpiRanks::Check(int result, const char* call) {
  if (result == MPI_SUCCESS) return;
  std::array<char, MPI_MAX_ERROR_STRING> text{};
  int length = 0;
  MPI_Error_string(result, text.data(), &length);
  Lose(absl::StrCat("cannot reach the other ranks (", call, ": ", text.data(), ")"));
}

void MpiRanks::CheckUsable() const {
  if (!usable_) throw RankLost(absl::StrCat("rank ", rank_, " has left the other ranks before"));
}

bool MpiRanks::Done(MPI_Request& request) {
  int done = 0;
  Check(MPI_Test(&request, &done, MPI_STATUS_IGNORE), "MPI_Test");
  return done != 0;
}

void MpiRanks::AwaitTransfer(MPI_Request& request) {
  Patience patience(options_, Patience::For::kTransfer);
  while (!Done(request)) {
    if (!patience.LookAgain()) Lose(absl::StrCat(patience.reason(), " in the middle of an exchange"));
  }
}

}  // namespace svi::engine
