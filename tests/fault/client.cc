#include "tests/fault/client.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <set>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "tests/e2e/cluster.h"

namespace svi::fault {
namespace {

// A server that is stopped says nothing; the other one may.
constexpr absl::Duration kCallTimeout = absl::Seconds(6);
constexpr absl::Duration kPatience = absl::Minutes(5);
constexpr absl::Duration kPause = absl::Milliseconds(100);

}  // namespace

Client::Client(std::string name, const std::vector<std::string>& servers, const std::vector<Recipe>* recipes,
               uint32_t seed)
    : name_(std::move(name)), recipes_(*recipes), random_(seed) {
  grpc::ChannelArguments arguments;
  arguments.SetInt(GRPC_ARG_INITIAL_RECONNECT_BACKOFF_MS, 50);
  arguments.SetInt(GRPC_ARG_MIN_RECONNECT_BACKOFF_MS, 2000);
  arguments.SetInt(GRPC_ARG_MAX_RECONNECT_BACKOFF_MS, 500);
  arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
  for (const std::string& server : servers) {
    stubs_.push_back(v1::VideoService::NewStub(
        grpc::CreateCustomChannel(server, grpc::InsecureChannelCredentials(), arguments)));
  }
}

bool Client::GoOn(const char* what, const grpc::Status& status) {
  // CANCELLED: by a server that stops, of a call that a store keeps it from answering. RESOURCE_EXHAUSTED:
  // too many calls wait for such a store; there are no other limits here. svi tries again, too
  // (client/errors.cc).
  const std::set<grpc::StatusCode> away = {grpc::StatusCode::UNAVAILABLE, grpc::StatusCode::DEADLINE_EXCEEDED,
                                           grpc::StatusCode::CANCELLED, grpc::StatusCode::RESOURCE_EXHAUSTED};
  if (away.count(status.error_code()) == 0) {
    ADD_FAILURE() << name_ << ": " << what << ": " << status.error_code() << ": " << status.error_message();
    return false;
  }
  at_ = (at_ + 1) % stubs_.size();
  absl::SleepFor(kPause);
  return true;
}

grpc::Status Client::Call(const char* what,
                          const std::function<grpc::Status(Stub&, grpc::ClientContext*)>& call,
                          const std::vector<grpc::StatusCode>& answers) {
  const absl::Time give_up = absl::Now() + kPatience;
  while (true) {
    grpc::ClientContext context;
    context.set_deadline(absl::ToChronoTime(absl::Now() + kCallTimeout));
    const grpc::Status status = call(*stubs_[at_], &context);
    const bool is_answer = std::find(answers.begin(), answers.end(), status.error_code()) != answers.end();
    if (status.ok() || is_answer || !GoOn(what, status)) return status;
    ++figures_.calls_again;
    if (absl::Now() > give_up) {
      ADD_FAILURE() << name_ << ": " << what << ": nobody answers: " << status.error_message();
      return status;
    }
  }
}

std::string Client::Create(const v1::VideoSpec& spec, const std::string& request_id) {
  v1::CreateVideoRequest request;
  *request.mutable_spec() = spec;
  request.set_request_id(request_id);
  v1::Video video;
  Call("CreateVideo",
       [&](Stub& stub, grpc::ClientContext* context) { return stub.CreateVideo(context, request, &video); });
  return video.name();
}

v1::Video Client::Get(const std::string& name) {
  v1::GetVideoRequest request;
  request.set_name(name);
  v1::Video video;
  Call("GetVideo",
       [&](Stub& stub, grpc::ClientContext* context) { return stub.GetVideo(context, request, &video); });
  return video;
}

// Each is appended once, although the answer to a call that worked may be lost: the revision tells.
void Client::Append(const std::string& name, const std::vector<std::string>& prompts) {
  uint64_t revision = Get(name).revision();
  const auto change = [&](const char* what, const auto& call) {
    const grpc::Status status =
        Call(what, call, {grpc::StatusCode::ABORTED, grpc::StatusCode::FAILED_PRECONDITION});
    ++revision;
    if (status.ok()) return;
    const v1::Video now = Get(name);
    if (now.state() == v1::VIDEO_STATE_FAILED) return;
    EXPECT_EQ(now.revision(), revision) << name_ << ": " << what << ": somebody else changed " << name;
  };
  v1::Video video;
  for (const std::string& prompt : prompts) {
    v1::AppendPromptsRequest request;
    request.set_name(name);
    request.add_prompts(prompt);
    request.set_expected_revision(revision);
    change("AppendPrompts", [&](Stub& stub, grpc::ClientContext* context) {
      return stub.AppendPrompts(context, request, &video);
    });
  }
  v1::FinishVideoRequest request;
  request.set_name(name);
  request.set_expected_revision(revision);
  change("FinishVideo", [&](Stub& stub, grpc::ClientContext* context) {
    return stub.FinishVideo(context, request, &video);
  });
}

void Client::Cancel(const std::string& name) {
  v1::CancelVideoRequest request;
  request.set_name(name);
  v1::Video video;
  Call("CancelVideo",
       [&](Stub& stub, grpc::ClientContext* context) { return stub.CancelVideo(context, request, &video); });
}

void Client::Watch(Asked& asked) {
  asked.watched = true;
  const absl::Time give_up = absl::Now() + kPatience;
  while (absl::Now() < give_up) {
    grpc::ClientContext context;
    context.set_deadline(absl::ToChronoTime(absl::Now() + kCallTimeout));
    v1::WatchVideoRequest request;
    request.set_name(asked.name);
    request.set_after_sequence(asked.events.size());
    auto stream = stubs_[at_]->WatchVideo(&context, request);
    for (v1::VideoEvent event; stream->Read(&event);) {
      if (event.sequence() == 0) continue;
      EXPECT_EQ(event.sequence(), asked.events.size() + 1) << name_ << ": " << asked.name;
      asked.events.push_back(event);
    }
    const grpc::Status status = stream->Finish();
    if (status.ok() || !GoOn("WatchVideo", status)) return;
    ++figures_.watches_again;
  }
  ADD_FAILURE() << name_ << ": " << asked.name << " does not end";
}

std::string Client::Download(const v1::Clip& clip) {
  v1::DownloadClipRequest request;
  request.set_name(clip.name());
  std::string bytes;
  Call("DownloadClip", [&](Stub& stub, grpc::ClientContext* context) {
    bytes.clear();
    auto stream = stub.DownloadClip(context, request);
    for (v1::DownloadResponse chunk; stream->Read(&chunk);) bytes += chunk.data();
    return stream->Finish();
  });
  EXPECT_EQ(e2e::Sha256(bytes), clip.sha256()) << clip.name();
  return bytes;
}

std::vector<v1::Video> Client::ListAll() {
  std::vector<v1::Video> videos;
  v1::ListVideosRequest request;
  request.set_page_size(1000);
  do {
    v1::ListVideosResponse page;
    Call("ListVideos",
         [&](Stub& stub, grpc::ClientContext* context) { return stub.ListVideos(context, request, &page); });
    videos.insert(videos.end(), page.videos().begin(), page.videos().end());
    request.set_page_token(page.next_page_token());
  } while (!request.page_token().empty());
  return videos;
}

void Client::AskForOne() {
  const auto one_in = [this](int n) { return std::uniform_int_distribution<int>(1, n)(random_) == 1; };
  Asked asked;
  asked.recipe = &recipes_[std::uniform_int_distribution<size_t>(0, recipes_.size() - 1)(random_)];
  asked.request_id = absl::StrCat(name_, "-", asked_.size());
  asked.name = Create(asked.recipe->spec, asked.request_id);
  if (asked.name.empty()) return;
  // A client that did not hear the answer asks again, perhaps much later.
  if (one_in(4)) {
    EXPECT_EQ(Create(asked.recipe->spec, asked.request_id), asked.name) << "a replay made another video";
  }
  if (!asked.recipe->appended.empty()) Append(asked.name, asked.recipe->appended);
  if (one_in(10)) {
    asked.cancelled = true;
    Cancel(asked.name);
  }
  // Nobody need look at a video for it to be made; but without a watch the next would be asked for at once.
  if (!one_in(5)) Watch(asked);
  asked_.push_back(std::move(asked));
}

void Client::Run(const std::atomic<bool>& stop) {
  while (!stop && !testing::Test::HasFatalFailure()) AskForOne();
}

}  // namespace svi::fault
