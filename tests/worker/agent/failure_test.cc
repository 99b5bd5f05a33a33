#include "worker/agent/failure.h"

#include "gtest/gtest.h"

namespace svi::worker {
namespace {

struct Case {
  absl::StatusCode code;
  const char* reason;
  bool permanent;
  bool shows_message;
};

TEST(FailureTest, TableOfCodes) {
  for (const Case& c : {Case{absl::StatusCode::kInvalidArgument, "INVALID_REQUEST", true, true},
                        Case{absl::StatusCode::kNotFound, "LORA_NOT_FOUND", true, true},
                        Case{absl::StatusCode::kResourceExhausted, "OUT_OF_MEMORY", false, false},
                        Case{absl::StatusCode::kDataLoss, "INPUT_CORRUPT", false, true},
                        Case{absl::StatusCode::kInternal, "WORKER_INTERNAL", false, false},
                        Case{absl::StatusCode::kUnknown, "WORKER_INTERNAL", false, false}}) {
    v1::LeaseId lease;
    lease.set_epoch(4);
    const v1::ClipFailed failed = ToClipFailed(lease, absl::Status(c.code, "the detail"));
    EXPECT_EQ(failed.error().reason(), c.reason);
    EXPECT_EQ(failed.error().code(), static_cast<int>(c.code));
    EXPECT_EQ(failed.permanent(), c.permanent);
    EXPECT_EQ(failed.error().message() == "the detail", c.shows_message);
    EXPECT_FALSE(failed.error().message().empty());
    EXPECT_FALSE(failed.handed_back());
    EXPECT_EQ(failed.lease().epoch(), 4u);
  }
}

TEST(FailureTest, AReasonOfItsOwn) {
  const auto failed = ToClipFailed({}, WithReason(absl::InvalidArgumentError("x"), "BAD_PICTURE"));
  EXPECT_EQ(failed.error().reason(), "BAD_PICTURE");
  EXPECT_TRUE(failed.permanent());
}

TEST(FailureTest, ALoraThatCannotBeUsedIsNamed) {
  engine::ClipRequest request;
  request.loras = {{.name = "good"}, {.name = "bad"}};
  const engine::LoraFolder folder{.loras = {{"good", 4, 10}}, .refused = {{"bad.safetensors", "cut off"}}};
  const absl::Status bad = absl::InvalidArgumentError("LoRA 'bad': cut off");
  auto failed = ToClipFailed({}, WithLoraReason(bad, request, folder));
  EXPECT_EQ(failed.error().reason(), "LORA_INVALID");
  EXPECT_EQ(failed.error().message(), "LoRA 'bad': cut off");
  EXPECT_TRUE(failed.permanent());
  // Another fault of the request, in a folder with other refused files.
  request.loras.pop_back();
  failed = ToClipFailed({}, WithLoraReason(bad, request, folder));
  EXPECT_EQ(failed.error().reason(), "INVALID_REQUEST");
  // Other errors keep theirs.
  request.loras = {{.name = "bad"}};
  failed = ToClipFailed({}, WithLoraReason(absl::NotFoundError("x"), request, folder));
  EXPECT_EQ(failed.error().reason(), "LORA_NOT_FOUND");
}

}  // namespace
}  // namespace svi::worker
