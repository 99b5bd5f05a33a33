#include "server/rpc/status.h"

#include <gmock/gmock.h>

#include "client/errors.h"
#include "google/rpc/status.pb.h"

namespace svi::server {
namespace {

TEST(StatusTest, DetailsSurviveTheWayThroughGrpc) {
  const auto sent = InvalidFields({{"a", "is bad"}, {"b[1]", "is worse"}});
  const auto wire = ToGrpcStatus(sent);
  EXPECT_EQ(wire.error_code(), grpc::StatusCode::INVALID_ARGUMENT);
  google::rpc::Status rich;
  ASSERT_TRUE(rich.ParseFromString(wire.error_details()));
  EXPECT_EQ(rich.code(), 3);
  EXPECT_EQ(rich.details_size(), 2);
  EXPECT_EQ(FromGrpcStatus(wire), sent);
}

TEST(StatusTest, InternalTextIsNotForUsers) {
  for (const auto& secret : {absl::InternalError("/var/secret"), absl::UnknownError("/var/secret"),
                             absl::DataLossError("/var/secret"), absl::UnavailableError("/var/secret")}) {
    const auto wire = ToGrpcStatus(secret);
    EXPECT_THAT(wire.error_message(), ::testing::Not(::testing::HasSubstr("secret")));
    EXPECT_THAT(wire.error_details(), ::testing::Not(::testing::HasSubstr("secret")));
    google::rpc::ErrorInfo info;
    EXPECT_TRUE(GetErrorInfo(FromGrpcStatus(wire), &info));
  }
}

TEST(StatusTest, BusyAndUnavailableSayWhenToRetry) {
  google::rpc::RetryInfo retry;
  ASSERT_TRUE(GetRetryInfo(FromGrpcStatus(ToGrpcStatus(TooBusy("busy"))), &retry));
  EXPECT_EQ(retry.retry_delay().seconds(), 1);
  EXPECT_TRUE(GetRetryInfo(FromGrpcStatus(ToGrpcStatus(absl::UnavailableError("x"))), &retry));
  EXPECT_FALSE(GetRetryInfo(FromGrpcStatus(ToGrpcStatus(absl::NotFoundError("x"))), &retry));
}

TEST(StatusTest, OneViolationIsShownOnceByTheClient) {
  const auto show = [](const std::vector<FieldViolation>& violations) {
    return client::Describe(client::FromGrpc(ToGrpcStatus(InvalidFields(violations))));
  };
  EXPECT_EQ(show({{"spec.fps", "must be 1..120, is 0"}}),
            "INVALID_ARGUMENT: spec.fps: must be 1..120, is 0\n  reason: INVALID_FIELDS");
  EXPECT_EQ(show({{"a", "is bad"}, {"b", "is worse"}}),
            "INVALID_ARGUMENT: a: is bad; b: is worse\n  a: is bad\n  b: is worse\n  reason: INVALID_FIELDS");
}

}  // namespace
}  // namespace svi::server
