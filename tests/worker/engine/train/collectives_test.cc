// Real processes: mpirun starts collectives_rank, and each rank leaves a file.
#include "worker/engine/train/collectives.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <stdlib.h>
#include <sys/wait.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"

namespace svi::engine {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::StartsWith;

class CollectivesTest : public testing::Test {
 protected:
  CollectivesTest() {
    std::string pattern = testing::TempDir() + "/collectives.XXXXXX";
    dir_ = mkdtemp(pattern.data());
    // Tests may run as root in a container with few cores.
    setenv("OMPI_ALLOW_RUN_AS_ROOT", "1", 1);
    setenv("OMPI_ALLOW_RUN_AS_ROOT_CONFIRM", "1", 1);
  }
  ~CollectivesTest() override { std::filesystem::remove_all(dir_); }

  // mpirun's exit code; the ranks' files go into results_.
  int Run(const std::string& scenario, int ranks) {
    const std::string command =
        absl::StrCat(SVI_MPIRUN " --oversubscribe -n ", ranks, " " SVI_COLLECTIVES_RANK " ", scenario, " ",
                     dir_, "/", scenario, " 2>", dir_, "/stderr");
    const int status = std::system(command.c_str());
    results_.clear();
    for (int rank = 0; rank < ranks; ++rank) results_.push_back(Read(absl::StrCat(scenario, ".", rank)));
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
  }

  std::string Read(const std::string& name) const {
    std::ostringstream text;
    text << std::ifstream(dir_ + "/" + name).rdbuf();
    return text.str();
  }

  std::string dir_;
  std::vector<std::string> results_;
};

TEST_F(CollectivesTest, SumsOverRanks) {
  ASSERT_EQ(Run("sum", 2), 0) << Read("stderr");
  EXPECT_EQ(results_.at(0), "0/2 [0,3,6,9][5,5][3]even[30]\n");
  EXPECT_EQ(results_.at(1), "1/2 [0,3,6,9][5,5][3]even[30]\n");
  ASSERT_EQ(Run("sum", 3), 0) << Read("stderr");
  EXPECT_EQ(results_.at(2), "2/3 [0,6,12,18][14,14][6]even[60]\n");
}

// Ranks whose sums differed in the last bit would drift apart; runs would not be reproducible.
TEST_F(CollectivesTest, SumsAreTheSameBitsOnAllRanksAndInAllRuns) {
  for (const int ranks : {2, 4}) {
    ASSERT_EQ(Run("odd", ranks), 0) << Read("stderr");
    const std::vector<std::string> first = results_;
    for (const std::string& of_rank : first) EXPECT_EQ(of_rank.substr(3), first.front().substr(3));
    ASSERT_EQ(Run("odd", ranks), 0) << Read("stderr");
    EXPECT_EQ(results_, first);
  }
}

TEST_F(CollectivesTest, GathersTensorsOfAnyLayout) {
  ASSERT_EQ(Run("gather", 2), 0) << Read("stderr");
  const std::string expected = "[0,3,1,4,2,5][3,2][100,103,101,104,102,105][3,2][0.5][1.5]\n";
  EXPECT_EQ(results_.at(0), "0/2 " + expected);
  EXPECT_EQ(results_.at(1), "1/2 " + expected);
}

TEST_F(CollectivesTest, GathersAndBroadcastsTexts) {
  ASSERT_EQ(Run("texts", 3), 0) << Read("stderr");
  for (const std::string& of_rank : results_) EXPECT_EQ(of_rank.substr(3), " |b|cc from 0 100000\n");
}

TEST_F(CollectivesTest, ARankThatDiesEndsTheOthersWithAnError) {
  EXPECT_NE(Run("death", 2), 0);
  EXPECT_THAT(results_.at(0),
              AllOf(StartsWith("RankLost: rank 0"), HasSubstr("rank 1 died or did not answer")));
}

TEST_F(CollectivesTest, ARankThatDoesNotAnswerIsNamed) {
  EXPECT_NE(Run("silence", 3), 0);
  for (const int rank : {0, 1}) {
    EXPECT_THAT(
        results_.at(static_cast<size_t>(rank)),
        StartsWith(absl::StrCat("RankLost: rank ", rank, " waited 3s: rank 2 died or did not answer")));
  }
  EXPECT_THAT(Read("stderr"), HasSubstr("rank 0 has left the other ranks before"));
}

TEST_F(CollectivesTest, RefusesTensorsThatCannotBeSummed) {
  ASSERT_EQ(Run("bad", 2), 0) << Read("stderr");
  EXPECT_EQ(results_.at(0), "0/2 3\n");
}

TEST_F(CollectivesTest, AloneUnlessStartedByMpirun) {
  const std::unique_ptr<Collectives> alone = MakeCollectives(at::kCPU);
  EXPECT_EQ(alone->rank(), 0);
  EXPECT_EQ(alone->size(), 1);
  EXPECT_EQ(alone->device(), at::Device(at::kCPU));
  EXPECT_EQ(LocalRank(), 0);
  const at::Tensor values = at::arange(3, at::kFloat), scalar = at::full({}, 2.0, at::kDouble);
  alone->AllReduceSum({values, values, scalar});
  EXPECT_TRUE(at::equal(values, at::arange(3, at::kFloat)));
  EXPECT_THROW(alone->AllReduceSum({at::ones({2}, at::kLong)}), std::invalid_argument);
  const std::vector<at::Tensor> gathered = alone->AllGather(values);
  ASSERT_EQ(gathered.size(), 1U);
  EXPECT_TRUE(at::equal(gathered.front(), values));
  EXPECT_EQ(alone->GatherStrings("me"), std::vector<std::string>{"me"});
  EXPECT_EQ(alone->Broadcast("me"), "me");
  alone->Barrier();
  alone->Finish();
  // MPI itself would refuse a second one.
  EXPECT_EQ(MakeCollectives(at::kCPU)->size(), 1);
}

}  // namespace
}  // namespace svi::engine
