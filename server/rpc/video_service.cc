#include "server/rpc/video_service.h"

#include <grpcpp/grpcpp.h>

#include <utility>

#include "server/rpc/download_source.h"
#include "server/rpc/generate_source.h"
#include "server/rpc/names.h"
#include "server/rpc/parse.h"
#include "server/rpc/raw_calls.h"
#include "server/rpc/stream_reactor.h"
#include "server/rpc/watch_source.h"
#include "svi/v1/video_service.grpc.pb.h"

namespace svi::server {
namespace {

using Api = v1::VideoService;
using grpc::ByteBuffer;
using grpc::CallbackServerContext;

// Every method as bytes; see parse.h for why.
using RawUnaryMethods = Api::WithRawCallbackMethod_CreateVideo<
    Api::WithRawCallbackMethod_GetVideo<Api::WithRawCallbackMethod_ListVideos<
        Api::WithRawCallbackMethod_CancelVideo<Api::WithRawCallbackMethod_DeleteVideo<
            Api::WithRawCallbackMethod_AppendPrompts<Api::WithRawCallbackMethod_FinishVideo<
                Api::WithRawCallbackMethod_ListWorkers<Api::Service>>>>>>>>;
using RawService = Api::WithRawCallbackMethod_WatchVideo<Api::WithRawCallbackMethod_DownloadClip<
    Api::WithRawCallbackMethod_DownloadVideo<Api::WithRawCallbackMethod_GenerateVideo<RawUnaryMethods>>>>;

}  // namespace

class VideoService::Impl : public RawService {
 public:
  Impl(VideoHandlers* handlers, const std::atomic<bool>* stopping, Executor* executor, Executor* storage,
       Executor* heavy, VideoServiceOptions options)
      : handlers_(handlers),
        stopping_(stopping),
        executor_(executor),
        storage_(storage),
        heavy_(heavy),
        options_(options) {}

  RawUnary* CreateVideo(CallbackServerContext* context, const ByteBuffer* in, ByteBuffer* out) override {
    return RunUnary(context, in, out, handlers_, &VideoHandlers::Create, heavy_, options_.heavy_limit);
  }
  RawUnary* GetVideo(CallbackServerContext* context, const ByteBuffer* in, ByteBuffer* out) override {
    return RunUnary(context, in, out, handlers_, &VideoHandlers::Get, executor_, options_.limit);
  }
  RawUnary* ListVideos(CallbackServerContext* context, const ByteBuffer* in, ByteBuffer* out) override {
    return RunUnary(context, in, out, handlers_, &VideoHandlers::List, executor_, options_.limit);
  }
  RawUnary* CancelVideo(CallbackServerContext* context, const ByteBuffer* in, ByteBuffer* out) override {
    return RunUnary(context, in, out, handlers_, &VideoHandlers::Cancel, executor_, options_.limit);
  }
  RawUnary* DeleteVideo(CallbackServerContext* context, const ByteBuffer* in, ByteBuffer* out) override {
    return RunUnary(context, in, out, handlers_, &VideoHandlers::Delete, storage_, options_.limit);
  }
  RawUnary* AppendPrompts(CallbackServerContext* context, const ByteBuffer* in, ByteBuffer* out) override {
    return RunUnary(context, in, out, handlers_, &VideoHandlers::Append, executor_, options_.limit);
  }
  RawUnary* FinishVideo(CallbackServerContext* context, const ByteBuffer* in, ByteBuffer* out) override {
    return RunUnary(context, in, out, handlers_, &VideoHandlers::Finish, executor_, options_.limit);
  }
  RawUnary* ListWorkers(CallbackServerContext* context, const ByteBuffer* in, ByteBuffer* out) override {
    return RunUnary(context, in, out, handlers_, &VideoHandlers::Workers, executor_, options_.limit,
                    Audience::kOperators);
  }

  RawStream* WatchVideo(CallbackServerContext* context, const ByteBuffer* in) override {
    const auto caller = IdentifyCaller(handlers_->parts().gate, *context);
    if (!caller.ok()) return new FailedStream(caller.status());
    v1::WatchVideoRequest request;
    if (const auto parsed = ParseRequest(*in, &request); !parsed.ok()) return new FailedStream(parsed);
    const auto id = ParseVideoName(request.name());
    if (!id.ok()) return new FailedStream(id.status());
    WatchOptions options;
    options.id = *id;
    options.tenant = caller->tenant;
    options.after_sequence = request.after_sequence();
    options.durable_only = request.durable_only();
    const auto& parts = handlers_->parts();
    return StreamReactor::Start(
        std::make_unique<WatchSource>(parts.store, parts.hub, stopping_, std::move(options)), executor_);
  }

  RawStream* DownloadClip(CallbackServerContext* context, const ByteBuffer* in) override {
    const auto caller = IdentifyCaller(handlers_->parts().gate, *context);
    if (!caller.ok()) return new FailedStream(caller.status());
    v1::DownloadClipRequest request;
    if (const auto parsed = ParseRequest(*in, &request); !parsed.ok()) return new FailedStream(parsed);
    const auto name = ParseClipName(request.name());
    if (!name.ok()) return new FailedStream(name.status());
    auto open = [handlers = handlers_, caller = *caller, name = *name] {
      return handlers->OpenClip(caller, name.video_id, name.index);
    };
    return StreamReactor::Start(
        std::make_unique<DownloadSource>(open, request.offset(), "clip", handlers_->parts().metrics),
        storage_);
  }

  RawStream* DownloadVideo(CallbackServerContext* context, const ByteBuffer* in) override {
    const auto caller = IdentifyCaller(handlers_->parts().gate, *context);
    if (!caller.ok()) return new FailedStream(caller.status());
    v1::DownloadVideoRequest request;
    if (const auto parsed = ParseRequest(*in, &request); !parsed.ok()) return new FailedStream(parsed);
    auto open = [handlers = handlers_, caller = *caller, request] {
      return handlers->OpenVideo(caller, request);
    };
    return StreamReactor::Start(
        std::make_unique<DownloadSource>(open, request.offset(), "video", handlers_->parts().metrics),
        storage_, heavy_, options_.heavy_limit);
  }

  RawStream* GenerateVideo(CallbackServerContext* context, const ByteBuffer* in) override {
    const auto caller = IdentifyCaller(handlers_->parts().gate, *context);
    if (!caller.ok()) return new FailedStream(caller.status());
    v1::GenerateVideoRequest request;
    if (const auto parsed = ParseRequest(*in, &request); !parsed.ok()) return new FailedStream(parsed);
    v1::CreateVideoRequest create;
    if (request.has_spec()) create.mutable_spec()->Swap(request.mutable_spec());
    create.set_request_id(request.request_id());
    return StreamReactor::Start(
        std::make_unique<GenerateSource>(handlers_, stopping_, *caller, std::move(create)), storage_, heavy_,
        options_.heavy_limit);
  }

 private:
  VideoHandlers* const handlers_;
  const std::atomic<bool>* const stopping_;
  Executor* const executor_;
  Executor* const storage_;
  Executor* const heavy_;
  const VideoServiceOptions options_;
};

VideoService::VideoService(VideoParts parts, VideoServiceOptions options)
    : handlers_(std::move(parts)),
      impl_(std::make_unique<Impl>(&handlers_, &stopping_, &executor_, &storage_, &heavy_, options)),
      executor_(options.threads),
      storage_(options.storage_threads),
      heavy_(options.heavy_threads) {}

VideoService::~VideoService() = default;

grpc::Service* VideoService::service() { return impl_.get(); }

void VideoService::StopWatches() {
  stopping_.store(true);
  handlers_.parts().hub->WakeAll();
}

}  // namespace svi::server
