#include "server/rpc/video_service.h"

#include <grpcpp/grpcpp.h>

#include <utility>

#include "server/rpc/download_source.h"
#include "server/rpc/generate_source.h"
#include "server/rpc/names.h"
#include "server/rpc/parse.h"
#include "server/rpc/status.h"
#include "server/rpc/stream_reactor.h"
#include "server/rpc/watch_source.h"
#include "svi/v1/video_service.grpc.pb.h"

namespace svi::server {
namespace {

using Api = v1::VideoService;
using grpc::ByteBuffer;
using grpc::CallbackServerContext;

// Every method as bytes; see parse.h for why.
using RawUnary = Api::WithRawCallbackMethod_CreateVideo<
    Api::WithRawCallbackMethod_GetVideo<Api::WithRawCallbackMethod_ListVideos<
        Api::WithRawCallbackMethod_CancelVideo<Api::WithRawCallbackMethod_DeleteVideo<
            Api::WithRawCallbackMethod_AppendPrompts<Api::WithRawCallbackMethod_FinishVideo<
                Api::WithRawCallbackMethod_ListWorkers<Api::Service>>>>>>>>;
using RawService = Api::WithRawCallbackMethod_WatchVideo<Api::WithRawCallbackMethod_DownloadClip<
    Api::WithRawCallbackMethod_DownloadVideo<Api::WithRawCallbackMethod_GenerateVideo<RawUnary>>>>;

// A stream that fails at once.
class FailedStream : public grpc::ServerWriteReactor<ByteBuffer> {
 public:
  explicit FailedStream(const absl::Status& status) { Finish(ToGrpcStatus(status)); }
  void OnDone() override { delete this; }
};

}  // namespace

class VideoService::Impl : public RawService {
 public:
  Impl(VideoHandlers* handlers, const std::atomic<bool>* stopping, Executor* executor, Executor* heavy,
       VideoServiceOptions options)
      : handlers_(handlers), stopping_(stopping), executor_(executor), heavy_(heavy), options_(options) {}

  using Unary = grpc::ServerUnaryReactor;
  using Stream = grpc::ServerWriteReactor<ByteBuffer>;

  Unary* CreateVideo(CallbackServerContext* context, const ByteBuffer* in, ByteBuffer* out) override {
    return Run(context, in, out, &VideoHandlers::Create, heavy_, options_.heavy_limit);
  }
  Unary* GetVideo(CallbackServerContext* context, const ByteBuffer* in, ByteBuffer* out) override {
    return Run(context, in, out, &VideoHandlers::Get, executor_, options_.limit);
  }
  Unary* ListVideos(CallbackServerContext* context, const ByteBuffer* in, ByteBuffer* out) override {
    return Run(context, in, out, &VideoHandlers::List, executor_, options_.limit);
  }
  Unary* CancelVideo(CallbackServerContext* context, const ByteBuffer* in, ByteBuffer* out) override {
    return Run(context, in, out, &VideoHandlers::Cancel, executor_, options_.limit);
  }
  Unary* DeleteVideo(CallbackServerContext* context, const ByteBuffer* in, ByteBuffer* out) override {
    return Run(context, in, out, &VideoHandlers::Delete, executor_, options_.limit);
  }
  Unary* AppendPrompts(CallbackServerContext* context, const ByteBuffer* in, ByteBuffer* out) override {
    return Run(context, in, out, &VideoHandlers::Append, executor_, options_.limit);
  }
  Unary* FinishVideo(CallbackServerContext* context, const ByteBuffer* in, ByteBuffer* out) override {
    return Run(context, in, out, &VideoHandlers::Finish, executor_, options_.limit);
  }
  Unary* ListWorkers(CallbackServerContext* context, const ByteBuffer* in, ByteBuffer* out) override {
    return Run(context, in, out, &VideoHandlers::Workers, executor_, options_.limit);
  }

  Stream* WatchVideo(CallbackServerContext*, const ByteBuffer* in) override {
    v1::WatchVideoRequest request;
    if (const auto parsed = ParseRequest(*in, &request); !parsed.ok()) return new FailedStream(parsed);
    const auto id = ParseVideoName(request.name());
    if (!id.ok()) return new FailedStream(id.status());
    WatchOptions options;
    options.video_id = *id;
    options.after_sequence = request.after_sequence();
    options.durable_only = request.durable_only();
    const auto& parts = handlers_->parts();
    return StreamReactor::Start(
        std::make_unique<WatchSource>(parts.store, parts.hub, stopping_, std::move(options)), executor_);
  }

  Stream* DownloadClip(CallbackServerContext*, const ByteBuffer* in) override {
    v1::DownloadClipRequest request;
    if (const auto parsed = ParseRequest(*in, &request); !parsed.ok()) return new FailedStream(parsed);
    const auto name = ParseClipName(request.name());
    if (!name.ok()) return new FailedStream(name.status());
    auto open = [handlers = handlers_, name = *name] {
      return handlers->OpenClip(name.video_id, name.index);
    };
    return StreamReactor::Start(
        std::make_unique<DownloadSource>(open, request.offset(), "clip", handlers_->parts().metrics),
        executor_);
  }

  Stream* DownloadVideo(CallbackServerContext*, const ByteBuffer* in) override {
    v1::DownloadVideoRequest request;
    if (const auto parsed = ParseRequest(*in, &request); !parsed.ok()) return new FailedStream(parsed);
    auto open = [handlers = handlers_, request] { return handlers->OpenVideo(request); };
    return StreamReactor::Start(
        std::make_unique<DownloadSource>(open, request.offset(), "video", handlers_->parts().metrics),
        executor_, heavy_, options_.heavy_limit);
  }

  Stream* GenerateVideo(CallbackServerContext*, const ByteBuffer* in) override {
    v1::GenerateVideoRequest request;
    if (const auto parsed = ParseRequest(*in, &request); !parsed.ok()) return new FailedStream(parsed);
    v1::CreateVideoRequest create;
    if (request.has_spec()) create.mutable_spec()->Swap(request.mutable_spec());
    create.set_request_id(request.request_id());
    return StreamReactor::Start(std::make_unique<GenerateSource>(handlers_, stopping_, std::move(create)),
                                executor_, heavy_, options_.heavy_limit);
  }

 private:
  template <typename Request, typename Response>
  Unary* Run(CallbackServerContext* context, const ByteBuffer* in, ByteBuffer* out,
             absl::StatusOr<Response> (VideoHandlers::*handle)(const Request&), Executor* executor,
             size_t limit) {
    Unary* reactor = context->DefaultReactor();
    auto task = [this, reactor, in, out, handle] {
      // `in` and `out` are gRPC's, and live until Finish.
      Request request;
      absl::Status status = ParseRequest(*in, &request);
      if (status.ok()) {
        const absl::StatusOr<Response> response = (handlers_->*handle)(request);
        status = response.status();
        if (status.ok()) *out = SerializeResponse(*response);
      }
      reactor->Finish(ToGrpcStatus(status));
    };
    if (!executor->TrySubmit(task, limit)) {
      reactor->Finish(ToGrpcStatus(TooBusy("too many requests of this kind are being worked on; try again")));
    }
    return reactor;
  }

  VideoHandlers* const handlers_;
  const std::atomic<bool>* const stopping_;
  Executor* const executor_;
  Executor* const heavy_;
  const VideoServiceOptions options_;
};

VideoService::VideoService(VideoParts parts, VideoServiceOptions options)
    : handlers_(std::move(parts)),
      impl_(std::make_unique<Impl>(&handlers_, &stopping_, &executor_, &heavy_, options)),
      executor_(options.threads),
      heavy_(options.heavy_threads) {}

VideoService::~VideoService() = default;

grpc::Service* VideoService::service() { return impl_.get(); }

void VideoService::StopWatches() {
  stopping_.store(true);
  handlers_.parts().hub->WakeAll();
}

}  // namespace svi::server
