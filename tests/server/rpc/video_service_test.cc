// Every RPC's happy path and its refusals, over a socket.
#include <gmock/gmock.h>

#include <filesystem>
#include <set>

#include "absl/synchronization/notification.h"
#include "client/sha256.h"
#include "tests/server/rpc/service_fixture.h"
#include "worker/media/media.h"

namespace svi::server {
namespace {

using grpc::StatusCode;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

class VideoServiceTest : public ServiceTest {
 protected:
  struct Received {
    grpc::Status status;
    std::string bytes, sha256;
    uint64_t total = 0, first_offset = 0;
    uint32_t clips = 0;
  };

  template <typename Reader>
  static Received Collect(Reader reader) {
    Received got;
    v1::DownloadResponse response;
    for (bool first = true; reader->Read(&response); first = false) {
      EXPECT_LE(response.data().size(), size_t{1} << 20);
      if (first) {
        got.total = response.total_bytes();
        got.clips = response.clips();
        got.first_offset = response.offset();
      }
      EXPECT_EQ(response.offset(), got.first_offset + got.bytes.size());
      got.bytes += response.data();
      if (!response.sha256().empty()) got.sha256 = response.sha256();
    }
    got.status = reader->Finish();
    return got;
  }
  Received DownloadClip(const std::string& name, uint64_t offset = 0) {
    grpc::ClientContext context;
    v1::DownloadClipRequest request;
    request.set_name(name);
    request.set_offset(offset);
    return Collect(stub_->DownloadClip(&context, request));
  }
  Received DownloadVideo(const std::string& name, uint64_t offset = 0, std::optional<uint32_t> clips = {}) {
    grpc::ClientContext context;
    v1::DownloadVideoRequest request;
    request.set_name(name);
    request.set_offset(offset);
    if (clips) request.set_clips(*clips);
    return Collect(stub_->DownloadVideo(&context, request));
  }
  template <typename Request, typename Response>
  grpc::Status Call(grpc::Status (v1::VideoService::Stub::*method)(grpc::ClientContext*, const Request&,
                                                                   Response*),
                    const Request& request, Response* response) {
    grpc::ClientContext context;
    return (stub_.get()->*method)(&context, request, response);
  }
  grpc::Status List(const v1::ListVideosRequest& request, v1::ListVideosResponse* response) {
    return Call(&v1::VideoService::Stub::ListVideos, request, response);
  }
  grpc::Status Append(const std::string& name, std::vector<std::string> prompts,
                      std::optional<uint64_t> revision, v1::Video* video) {
    v1::AppendPromptsRequest request;
    request.set_name(name);
    for (auto& prompt : prompts) request.add_prompts(prompt);
    if (revision) request.set_expected_revision(*revision);
    return Call(&v1::VideoService::Stub::AppendPrompts, request, video);
  }
};

TEST_F(VideoServiceTest, CreatesAndReturnsTheSpecWithoutTheImage) {
  auto request = Request({"a cat", "a dog"});
  request.mutable_spec()->set_seed(7);
  const v1::Video video = Create(request);
  EXPECT_EQ(video.state(), v1::VIDEO_STATE_QUEUED);
  EXPECT_EQ(video.clips_total(), 2U);
  EXPECT_EQ(video.name().size(), std::string("videos/").size() + 26);
  EXPECT_TRUE(video.spec().image().empty());
  EXPECT_EQ(Get(video.name()).spec().seed(), 7U);
}

TEST_F(VideoServiceTest, RequestIdMakesCreateIdempotent) {
  auto request = Request();
  request.set_request_id("once");
  const std::string first = Create(request).name();
  EXPECT_EQ(Create(request).name(), first);
  request.mutable_spec()->set_seed(1);
  v1::Video video;
  const auto status = Call(&v1::VideoService::Stub::CreateVideo, request, &video);
  EXPECT_EQ(status.error_code(), StatusCode::ALREADY_EXISTS);
  EXPECT_EQ(Reason(status), "REQUEST_ID_REUSED");
  size_t folders = 0;  // the pictures of the refused requests are gone
  for (const auto& entry : std::filesystem::recursive_directory_iterator(dir_ + "/artifacts")) {
    folders += entry.path().filename() == "image" ? 1 : 0;
  }
  EXPECT_EQ(folders, 1U);
}

TEST_F(VideoServiceTest, UnknownVideoIsNotFoundEverywhere) {
  const std::string name = "videos/nosuchvideo";
  v1::Video video;
  v1::GetVideoRequest get;
  get.set_name(name);
  const auto status = Call(&v1::VideoService::Stub::GetVideo, get, &video);
  EXPECT_EQ(status.error_code(), StatusCode::NOT_FOUND);
  EXPECT_EQ(Reason(status), "NOT_FOUND");
  EXPECT_EQ(Append(name, {"x"}, {}, &video).error_code(), StatusCode::NOT_FOUND);
  EXPECT_EQ(DownloadClip(name + "/clips/0").status.error_code(), StatusCode::NOT_FOUND);
  EXPECT_EQ(DownloadVideo(name).status.error_code(), StatusCode::NOT_FOUND);
  v1::CancelVideoRequest cancel;
  cancel.set_name(name);
  EXPECT_EQ(Call(&v1::VideoService::Stub::CancelVideo, cancel, &video).error_code(), StatusCode::NOT_FOUND);
  grpc::ClientContext context;
  v1::WatchVideoRequest watch;
  watch.set_name(name);
  EXPECT_EQ(stub_->WatchVideo(&context, watch)->Finish().error_code(), StatusCode::NOT_FOUND);
}

TEST_F(VideoServiceTest, BadNamesAreViolationsOfName) {
  for (const std::string name : {"", "videos/", "videos/A", "clips/x", "videos/a/clips/0"}) {
    v1::GetVideoRequest get;
    get.set_name(name);
    v1::Video video;
    EXPECT_THAT(Violations(Call(&v1::VideoService::Stub::GetVideo, get, &video)),
                ElementsAre(HasSubstr("name: must be `videos/{id}`")));
  }
  EXPECT_THAT(Violations(DownloadClip("videos/a/clips/01").status), ElementsAre(HasSubstr("name: must be")));
}

TEST_F(VideoServiceTest, InvalidUtf8IsNamedByItsFieldForARawClient) {
  v1::CreateVideoRequest request = Request({"fine", "bad \xFF byte"});
  std::string bytes;
  request.SerializeToString(&bytes);
  EXPECT_THAT(Violations(CallRaw("CreateVideo", bytes)), ElementsAre("spec.prompts[1]: must be valid UTF-8"));
  EXPECT_THAT(Violations(CallRaw("GetVideo", "\x0A\x02\xC3\x28")), ElementsAre("name: must be valid UTF-8"));
  EXPECT_THAT(Violations(CallRaw("GetVideo", "\x0A\x7F")),
              ElementsAre(HasSubstr("request: is not a valid svi.v1")));
}

TEST_F(VideoServiceTest, AllViolationsComeAtOnceOverTheWire) {
  auto request = Request({"ok", " "});
  request.mutable_spec()->set_width(33);
  request.mutable_spec()->set_num_inference_steps(0);
  request.mutable_spec()->set_image("not a picture");
  v1::Video video;
  const auto status = Call(&v1::VideoService::Stub::CreateVideo, request, &video);
  EXPECT_EQ(Reason(status), "INVALID_FIELDS");
  EXPECT_THAT(Violations(status),
              ElementsAre(HasSubstr("spec.prompts[1]"), HasSubstr("spec.width"), HasSubstr("spec.height"),
                          HasSubstr("spec.num_inference_steps"), HasSubstr("spec.image")));
}

TEST_F(VideoServiceTest, ManyViolationsStillFitIntoTheTrailers) {
  auto request = Request(std::vector<std::string>(1024, ""));
  v1::Video video;
  const auto status = Call(&v1::VideoService::Stub::CreateVideo, request, &video);
  EXPECT_GT(Violations(status).size(), 10U);
  EXPECT_THAT(status.error_message(), HasSubstr("more"));
}

TEST_F(VideoServiceTest, PictureOver32MiBIsRefusedByName) {
  auto request = Request();
  request.mutable_spec()->mutable_image()->resize((32 << 20) + 1);
  v1::Video video;
  EXPECT_THAT(Violations(Call(&v1::VideoService::Stub::CreateVideo, request, &video)),
              ElementsAre(HasSubstr("spec.image: must be at most 33554432 bytes (32 MiB)")));
}

TEST_F(VideoServiceTest, ListsInPagesByState) {
  std::set<std::string> names;
  for (int i = 0; i < 5; ++i) names.insert(Create(Request()).name());
  v1::CancelVideoRequest cancel;
  cancel.set_name(*names.begin());
  v1::Video video;
  ASSERT_TRUE(Call(&v1::VideoService::Stub::CancelVideo, cancel, &video).ok());
  names.erase(names.begin());
  v1::ListVideosRequest request;
  request.set_page_size(3);
  request.add_states(v1::VIDEO_STATE_QUEUED);
  v1::ListVideosResponse page;
  ASSERT_TRUE(List(request, &page).ok());
  ASSERT_EQ(page.videos_size(), 3);
  std::set<std::string> seen;
  for (const auto& one : page.videos()) seen.insert(one.name());
  request.set_page_token(page.next_page_token());
  v1::ListVideosResponse rest;
  ASSERT_TRUE(List(request, &rest).ok());
  for (const auto& one : rest.videos()) seen.insert(one.name());
  EXPECT_EQ(seen, names);
  EXPECT_TRUE(rest.next_page_token().empty());
  // The token belongs to its filter, and is not to be tampered with.
  request.add_states(v1::VIDEO_STATE_CANCELLED);
  EXPECT_THAT(Violations(List(request, &rest)), ElementsAre(HasSubstr("page_token")));
  request.set_page_token("AAAA");
  EXPECT_THAT(Violations(List(request, &rest)), ElementsAre(HasSubstr("page_token")));
}

TEST_F(VideoServiceTest, AppendsAndFinishesWithTheRevisionItSaw) {
  auto request = Request();
  request.mutable_spec()->set_open_ended(true);
  const auto created = Create(request);
  v1::Video video;
  ASSERT_TRUE(Append(created.name(), {"more"}, created.revision(), &video).ok());
  EXPECT_EQ(video.clips_total(), 2U);
  const auto stale = Append(created.name(), {"more"}, created.revision(), &video);
  EXPECT_EQ(stale.error_code(), StatusCode::ABORTED);
  EXPECT_EQ(Reason(stale), "REVISION_MISMATCH");
  EXPECT_THAT(Violations(Append(created.name(), {}, {}, &video)),
              ElementsAre(HasSubstr("prompts: must have 1..")));
  EXPECT_THAT(Violations(Append(created.name(), std::vector<std::string>(1023, "x"), {}, &video)),
              ElementsAre(HasSubstr("prompts: ")));
  v1::FinishVideoRequest finish;
  finish.set_name(created.name());
  finish.set_expected_revision(created.revision());
  EXPECT_EQ(Call(&v1::VideoService::Stub::FinishVideo, finish, &video).error_code(), StatusCode::ABORTED);
  finish.clear_expected_revision();
  ASSERT_TRUE(Call(&v1::VideoService::Stub::FinishVideo, finish, &video).ok());
  EXPECT_TRUE(video.finished());
  const auto late = Append(created.name(), {"x"}, {}, &video);
  EXPECT_EQ(late.error_code(), StatusCode::FAILED_PRECONDITION);
  EXPECT_EQ(Reason(late), "WRONG_STATE");
}

TEST_F(VideoServiceTest, CancelTellsTheDispatcherAndIsIdempotent) {
  const auto created = Create(Request());
  v1::CancelVideoRequest cancel;
  cancel.set_name(created.name());
  v1::Video video;
  ASSERT_TRUE(Call(&v1::VideoService::Stub::CancelVideo, cancel, &video).ok());
  EXPECT_EQ(video.state(), v1::VIDEO_STATE_CANCELLED);
  EXPECT_THAT(ended_, ElementsAre(Id(created.name())));
  ASSERT_TRUE(Call(&v1::VideoService::Stub::CancelVideo, cancel, &video).ok());
}

TEST_F(VideoServiceTest, DeleteNeedsForceWhileActiveAndRemovesTheFiles) {
  const auto created = Create(Request({"a", "b"}));
  MakeClip(created.name());
  v1::DeleteVideoRequest request;
  request.set_name(created.name());
  google::protobuf::Empty empty;
  const auto refused = Call(&v1::VideoService::Stub::DeleteVideo, request, &empty);
  EXPECT_EQ(refused.error_code(), StatusCode::FAILED_PRECONDITION);
  EXPECT_EQ(Reason(refused), "WRONG_STATE");
  request.set_force(true);
  ASSERT_TRUE(Call(&v1::VideoService::Stub::DeleteVideo, request, &empty).ok());
  EXPECT_THAT(DownloadClip(created.name() + "/clips/0").status.error_code(), StatusCode::NOT_FOUND);
  size_t files = 0;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(dir_ + "/artifacts")) {
    files += entry.is_regular_file() && entry.path().filename() != ".lock" ? 1 : 0;
  }
  EXPECT_EQ(files, 0U);
  EXPECT_EQ(Call(&v1::VideoService::Stub::DeleteVideo, request, &empty).error_code(), StatusCode::NOT_FOUND);
}

TEST_F(VideoServiceTest, DownloadsAClipAndResumesByOffset) {
  const auto created = Create(Request());
  const std::string mp4 = MakeClip(created.name());
  const std::string name = created.name() + "/clips/0";
  const auto all = DownloadClip(name);
  ASSERT_TRUE(all.status.ok());
  EXPECT_EQ(all.bytes, mp4);
  EXPECT_EQ(all.total, mp4.size());
  EXPECT_EQ(all.sha256, Sha256::Of(mp4));
  const auto rest = DownloadClip(name, 100);
  EXPECT_EQ(rest.bytes, mp4.substr(100));
  EXPECT_EQ(rest.sha256, all.sha256);
  const auto none = DownloadClip(name, mp4.size());
  EXPECT_TRUE(none.status.ok());
  EXPECT_TRUE(none.bytes.empty());
  EXPECT_EQ(none.sha256, all.sha256);
  const auto beyond = DownloadClip(name, mp4.size() + 1);
  EXPECT_EQ(beyond.status.error_code(), StatusCode::OUT_OF_RANGE);
  EXPECT_EQ(DownloadClip(created.name() + "/clips/1").status.error_code(), StatusCode::NOT_FOUND);
}

TEST_F(VideoServiceTest, DownloadsTheWholeVideoJoined) {
  const auto created = Create(Request({"a", "b"}));
  const auto early = DownloadVideo(created.name());
  EXPECT_EQ(early.status.error_code(), StatusCode::FAILED_PRECONDITION);
  EXPECT_EQ(Reason(early.status), "NO_CLIPS");
  MakeClip(created.name());
  MakeClip(created.name());
  const auto all = DownloadVideo(created.name());
  ASSERT_TRUE(all.status.ok()) << all.status.error_message();
  EXPECT_EQ(all.clips, 2U);
  EXPECT_EQ(all.sha256, Sha256::Of(all.bytes));
  const auto decoded = media::DecodeVideo(all.bytes);
  ASSERT_TRUE(decoded.ok()) << decoded.status();
  EXPECT_EQ(decoded->frames.size(), 10U);
  const auto rest = DownloadVideo(created.name(), 50, 2);
  EXPECT_EQ(rest.bytes, all.bytes.substr(50));
  EXPECT_EQ(DownloadVideo(created.name(), 0, 1).clips, 1U);
  EXPECT_THAT(Violations(DownloadVideo(created.name(), 0, 3).status),
              ElementsAre(HasSubstr("clips: must be 1..2")));
  EXPECT_TRUE(std::filesystem::is_empty(dir_ + "/joined"));
}

TEST_F(VideoServiceTest, GenerateCreatesWatchesAndDelivers) {
  grpc::ClientContext context;
  v1::GenerateVideoRequest request;
  *request.mutable_spec() = Request({"a", "b"}).spec();
  auto reader = stub_->GenerateVideo(&context, request);
  v1::GenerateVideoResponse response;
  ASSERT_TRUE(reader->Read(&response));
  ASSERT_TRUE(response.has_created());
  const std::string name = response.created().name();
  std::vector<std::string> made = {MakeClip(name), MakeClip(name)};
  std::vector<std::string> got(2);
  int last = 0;
  bool ended = false;
  while (reader->Read(&response)) {
    EXPECT_FALSE(ended);
    if (response.has_clip_data()) {
      got.at(response.clip_data().clip_index()) += response.clip_data().data();
      last += response.clip_data().last() ? 1 : 0;
    }
    if (response.has_ended()) {
      ended = true;
      EXPECT_EQ(response.ended().state(), v1::VIDEO_STATE_SUCCEEDED);
    }
  }
  EXPECT_TRUE(reader->Finish().ok());
  EXPECT_TRUE(ended);
  EXPECT_EQ(last, 2);
  EXPECT_EQ(got, made);
}

TEST_F(VideoServiceTest, GenerateRefusesWhatCreateRefuses) {
  grpc::ClientContext context;
  auto reader = stub_->GenerateVideo(&context, v1::GenerateVideoRequest());
  EXPECT_THAT(Violations(reader->Finish()), ElementsAre("spec: is required"));
}

TEST_F(VideoServiceTest, ListsWorkers) {
  v1::ListWorkersResponse response;
  ASSERT_TRUE(Call(&v1::VideoService::Stub::ListWorkers, v1::ListWorkersRequest(), &response).ok());
  ASSERT_EQ(response.workers_size(), 1);
  EXPECT_EQ(response.workers(0).name(), "workers/w1");
}

TEST_F(VideoServiceTest, CountsRpcs) {
  Create(Request());
  EXPECT_THAT(Violations(CallRaw("CreateVideo", "\x0A\x7F")), ::testing::Not(IsEmpty()));
  server_->Shutdown();  // all interceptors have run
  server_->Wait();
  const std::string text = metrics_->Text();
  const std::string labels =
      R"({grpc_method="CreateVideo",grpc_service="svi.v1.VideoService",grpc_type="unary"})";
  EXPECT_THAT(text, HasSubstr("grpc_server_started_total" + labels + " 2"));
  EXPECT_THAT(text, HasSubstr("grpc_server_msg_received_total" + labels + " 2"));
  EXPECT_THAT(text, HasSubstr("grpc_server_handling_seconds_count" + labels + " 2"));
  EXPECT_THAT(text, HasSubstr(R"(grpc_server_handled_total{grpc_code="OK",grpc_method="CreateVideo")"));
  EXPECT_THAT(
      text, HasSubstr(R"(grpc_server_handled_total{grpc_code="InvalidArgument",grpc_method="CreateVideo")"));
}

// Else any caller could fill the server's memory with names.
TEST_F(VideoServiceTest, MethodsThatDoNotExistAreCountedUnderOneName) {
  EXPECT_EQ(CallRaw("MadeUp1", "").error_code(), StatusCode::UNIMPLEMENTED);
  EXPECT_EQ(CallRaw("MadeUp2/more", "").error_code(), StatusCode::UNIMPLEMENTED);
  server_->Shutdown();
  server_->Wait();
  const std::string text = metrics_->Text();
  EXPECT_THAT(text, ::testing::Not(HasSubstr("MadeUp")));
  EXPECT_THAT(text, HasSubstr(R"(grpc_server_started_total{grpc_method="unknown",grpc_service="unknown")"));
}

class FullQueueTest : public ServiceTest {
 protected:
  FullQueueTest() {
    options_.heavy_threads = 1;
    options_.heavy_limit = 1;
  }
};

TEST_F(FullQueueTest, RefusesWithADelayAfterWhichToTryAgain) {
  struct Call {
    grpc::ClientContext context;
    std::unique_ptr<grpc::ClientAsyncResponseReader<v1::Video>> reader;
    v1::Video video;
    grpc::Status status;
  };
  absl::Notification in_work, go_on;
  work_changed_ = [&] {
    if (in_work.HasBeenNotified()) return;
    in_work.Notify();
    go_on.WaitForNotification();
  };
  std::vector<Call> calls(3);
  grpc::CompletionQueue queue;
  const auto start = [&](Call& call) {
    call.reader = stub_->AsyncCreateVideo(&call.context, Request(), &queue);
    call.reader->Finish(&call.video, &call.status, &call);
  };
  const auto next = [&queue] {
    void* tag = nullptr;
    bool ok = false;
    EXPECT_TRUE(queue.Next(&tag, &ok));
    return static_cast<Call*>(tag)->status;
  };
  start(calls[0]);
  in_work.WaitForNotification();
  // One of these waits behind the first, whichever comes first; there is no room for the other.
  start(calls[1]);
  start(calls[2]);
  const grpc::Status refused = next();
  go_on.Notify();
  EXPECT_EQ(refused.error_code(), StatusCode::RESOURCE_EXHAUSTED);
  EXPECT_EQ(Reason(refused), "TOO_BUSY");
  google::rpc::RetryInfo retry;
  EXPECT_TRUE(GetRetryInfo(FromGrpcStatus(refused), &retry));
  EXPECT_GT(retry.retry_delay().seconds(), 0);
  EXPECT_TRUE(next().ok());
  EXPECT_TRUE(next().ok());
}

}  // namespace
}  // namespace svi::server
