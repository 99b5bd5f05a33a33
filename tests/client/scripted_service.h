// A VideoService on a real socket that does what a test scripts: drops streams, lies about hashes, goes away.
#ifndef SVI_TESTS_CLIENT_SCRIPTED_SERVICE_H_
#define SVI_TESTS_CLIENT_SCRIPTED_SERVICE_H_

#include <grpcpp/server.h>

#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "svi/v1/video_service.grpc.pb.h"

namespace svi::client {

// SHA-256, 32 bytes.
std::string Sha256(const std::string& bytes);

// One video, "videos/v", whose events and clips are fixed; faults are taken from scripts, one a call.
class ScriptedService : public v1::VideoService::Service {
 public:
  // Serves `also`, too, which must outlive this.
  explicit ScriptedService(uint32_t clips, grpc::Service* also = nullptr);

  // The next watches end with UNAVAILABLE after this many messages each; when used up, watches run to the
  // end.
  std::deque<int> watch_faults ABSL_GUARDED_BY(mutex_);
  // The next watches leave out the message at this position.
  std::deque<int> watch_gaps ABSL_GUARDED_BY(mutex_);
  // The next downloads end with UNAVAILABLE after this many messages each.
  std::deque<int> download_faults ABSL_GUARDED_BY(mutex_);
  // So many of the next downloads carry a flipped byte.
  int damaged_downloads ABSL_GUARDED_BY(mutex_) = 0;
  // The next unary calls are done and then answered with these instead.
  std::deque<grpc::Status> lost_answers ABSL_GUARDED_BY(mutex_);
  // Every watch ends the video as this.
  v1::VideoState end_state ABSL_GUARDED_BY(mutex_) = v1::VIDEO_STATE_SUCCEEDED;
  // A watch, when it has sent all but the end, waits here until the client goes away.
  bool hold_watch ABSL_GUARDED_BY(mutex_) = false;

  // What happened.
  std::vector<std::string> request_ids ABSL_GUARDED_BY(mutex_);
  std::vector<uint64_t> watched_after ABSL_GUARDED_BY(mutex_);
  std::vector<std::pair<std::string, uint64_t>> downloads ABSL_GUARDED_BY(mutex_);  // name, offset
  v1::CreateVideoRequest created ABSL_GUARDED_BY(mutex_);
  int cancels ABSL_GUARDED_BY(mutex_) = 0;
  int deletes ABSL_GUARDED_BY(mutex_) = 0;
  bool holding ABSL_GUARDED_BY(mutex_) = false;
  absl::Mutex mutex_;

  // The bytes of a clip.
  static std::string ClipBytes(uint32_t index);
  // "HOST:PORT".
  std::string address() const;

  grpc::Status CreateVideo(grpc::ServerContext*, const v1::CreateVideoRequest*, v1::Video*) override;
  grpc::Status GetVideo(grpc::ServerContext*, const v1::GetVideoRequest*, v1::Video*) override;
  grpc::Status ListVideos(grpc::ServerContext*, const v1::ListVideosRequest*,
                          v1::ListVideosResponse*) override;
  grpc::Status CancelVideo(grpc::ServerContext*, const v1::CancelVideoRequest*, v1::Video*) override;
  grpc::Status DeleteVideo(grpc::ServerContext*, const v1::DeleteVideoRequest*,
                           google::protobuf::Empty*) override;
  grpc::Status AppendPrompts(grpc::ServerContext*, const v1::AppendPromptsRequest*, v1::Video*) override;
  grpc::Status WatchVideo(grpc::ServerContext*, const v1::WatchVideoRequest*,
                          grpc::ServerWriter<v1::VideoEvent>*) override;
  grpc::Status DownloadClip(grpc::ServerContext*, const v1::DownloadClipRequest*,
                            grpc::ServerWriter<v1::DownloadResponse>*) override;
  grpc::Status DownloadVideo(grpc::ServerContext*, const v1::DownloadVideoRequest*,
                             grpc::ServerWriter<v1::DownloadResponse>*) override;

 private:
  std::vector<v1::VideoEvent> Events() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  v1::Video VideoNow() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  grpc::Status Answer() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  grpc::Status SendFile(const std::string& name, const std::string& bytes, uint64_t offset, uint32_t clips,
                        grpc::ServerWriter<v1::DownloadResponse>* writer);

  const uint32_t clips_;
  std::vector<std::string> prompts_ ABSL_GUARDED_BY(mutex_);
  uint64_t revision_ ABSL_GUARDED_BY(mutex_) = 1;
  int port_ = 0;
  std::unique_ptr<grpc::Server> server_;  // last: stops before the rest goes
};

}  // namespace svi::client

#endif  // SVI_TESTS_CLIENT_SCRIPTED_SERVICE_H_
