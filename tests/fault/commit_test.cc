// A COMMIT that PostgreSQL has done, but whose answer is lost with the connection.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <thread>

#include "absl/time/clock.h"
#include "tests/conformance/postgres_server.h"
#include "tests/e2e/cluster.h"

namespace svi::fault {
namespace {

using e2e::Cluster;

class LostCommit : public testing::Test {
 protected:
  LostCommit() { cluster_.StartServer({"--database=" + database_}); }

  // From now on a COMMIT is done, and then waits for a standby that does not exist.
  void HoldAnswers() {
    postgres_.Psql(postgres_.Url(), "ALTER SYSTEM SET synchronous_standby_names = 'nobody'");
    postgres_.Psql(postgres_.Url(), "SELECT pg_reload_conf()");
  }
  // Ends the connections that wait for one.
  void LoseAnswers() {
    postgres_.Psql(postgres_.Url(),
                   "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE wait_event = 'SyncRep'");
  }
  void StopHolding() {
    postgres_.Psql(postgres_.Url(), "ALTER SYSTEM RESET synchronous_standby_names");
    postgres_.Psql(postgres_.Url(), "SELECT pg_reload_conf()");
  }
  grpc::Status Create(const v1::CreateVideoRequest& request, v1::Video* video) {
    grpc::ClientContext context;
    return cluster_.stub().CreateVideo(&context, request, video);
  }

  PostgresServer postgres_;
  const std::string database_ = postgres_.MakeDatabase();
  Cluster cluster_;
};

// Found by the chaos run: the picture was deleted, since creating the video seemed to have failed.
TEST_F(LostCommit, TheVideoThatItMadeKeepsItsPicture) {
  v1::CreateVideoRequest request;
  *request.mutable_spec() = Cluster::SmallSpec(1, 2);
  request.set_request_id("lost");
  HoldAnswers();
  v1::Video video;
  grpc::Status status;
  std::atomic<bool> answered = false;
  std::thread client([&] {
    status = Create(request, &video);
    answered = true;
  });
  while (!answered) LoseAnswers();
  client.join();
  EXPECT_EQ(status.error_code(), grpc::StatusCode::UNAVAILABLE) << status.error_message();
  StopHolding();
  ASSERT_EQ(postgres_.Psql(database_, "SELECT count(*) FROM videos"), "1\n") << "the COMMIT was not done";

  // The client asks again, as it must; the video is there already.
  const absl::Time give_up = absl::Now() + absl::Minutes(1);
  while (!(status = Create(request, &video)).ok() && absl::Now() < give_up) {
    EXPECT_EQ(status.error_code(), grpc::StatusCode::UNAVAILABLE) << status.error_message();
  }
  ASSERT_TRUE(status.ok()) << status.error_message();
  auto worker = cluster_.StartWorker();
  const v1::Video made = cluster_.AwaitEnd(video.name());
  EXPECT_EQ(made.state(), v1::VIDEO_STATE_SUCCEEDED) << made.ShortDebugString();
}

}  // namespace
}  // namespace svi::fault
