#include "server/rpc/training_service.h"

#include <grpcpp/grpcpp.h>

#include <utility>

#include "server/rpc/download_source.h"
#include "server/rpc/names.h"
#include "server/rpc/raw_calls.h"
#include "server/rpc/stream_reactor.h"
#include "server/rpc/watch_source.h"
#include "svi/v1/training_service.grpc.pb.h"

namespace svi::server {
namespace {

using Api = v1::TrainingService;
using grpc::ByteBuffer;
using grpc::CallbackServerContext;

// Every method as bytes; see parse.h for why.
using RawUnaryMethods = Api::WithRawCallbackMethod_CreateTrainingRun<
    Api::WithRawCallbackMethod_GetTrainingRun<Api::WithRawCallbackMethod_ListTrainingRuns<
        Api::WithRawCallbackMethod_CancelTrainingRun<Api::WithRawCallbackMethod_GetLora<
            Api::WithRawCallbackMethod_ListLoras<Api::WithRawCallbackMethod_DeleteLora<Api::Service>>>>>>>;
using RawService =
    Api::WithRawCallbackMethod_WatchTrainingRun<Api::WithRawCallbackMethod_DownloadLora<RawUnaryMethods>>;

}  // namespace

class TrainingService::Impl : public RawService {
 public:
  Impl(TrainingHandlers* handlers, const std::atomic<bool>* stopping, Executor* executor, Executor* storage,
       size_t limit)
      : handlers_(handlers), stopping_(stopping), executor_(executor), storage_(storage), limit_(limit) {}

  RawUnary* CreateTrainingRun(CallbackServerContext* context, const ByteBuffer* in,
                              ByteBuffer* out) override {
    return Run(context, in, out, &TrainingHandlers::Create);
  }
  RawUnary* GetTrainingRun(CallbackServerContext* context, const ByteBuffer* in, ByteBuffer* out) override {
    return Run(context, in, out, &TrainingHandlers::Get);
  }
  RawUnary* ListTrainingRuns(CallbackServerContext* context, const ByteBuffer* in, ByteBuffer* out) override {
    return Run(context, in, out, &TrainingHandlers::List);
  }
  RawUnary* CancelTrainingRun(CallbackServerContext* context, const ByteBuffer* in,
                              ByteBuffer* out) override {
    return Run(context, in, out, &TrainingHandlers::Cancel);
  }
  RawUnary* GetLora(CallbackServerContext* context, const ByteBuffer* in, ByteBuffer* out) override {
    return Run(context, in, out, &TrainingHandlers::GetLora);
  }
  RawUnary* ListLoras(CallbackServerContext* context, const ByteBuffer* in, ByteBuffer* out) override {
    return Run(context, in, out, &TrainingHandlers::ListLoras);
  }
  RawUnary* DeleteLora(CallbackServerContext* context, const ByteBuffer* in, ByteBuffer* out) override {
    // All tenants share LoRAs: what one deletes is gone for the others.
    return RunUnary(context, in, out, handlers_, &TrainingHandlers::DeleteLora, storage_, limit_,
                    Audience::kOperators);
  }

  RawStream* WatchTrainingRun(CallbackServerContext* context, const ByteBuffer* in) override {
    const auto caller = IdentifyCaller(handlers_->parts().gate, *context);
    if (!caller.ok()) return new FailedStream(caller.status());
    v1::WatchTrainingRunRequest request;
    if (const auto parsed = ParseRequest(*in, &request); !parsed.ok()) return new FailedStream(parsed);
    const auto id = ParseTrainingRunName(request.name());
    if (!id.ok()) return new FailedStream(id.status());
    WatchOptions options;
    options.id = *id;
    options.tenant = caller->tenant;
    options.after_sequence = request.after_sequence();
    options.durable_only = request.durable_only();
    const auto& parts = handlers_->parts();
    return StreamReactor::Start(
        std::make_unique<TrainingWatchSource>(parts.store, parts.hub, stopping_, std::move(options)),
        executor_);
  }

  RawStream* DownloadLora(CallbackServerContext* context, const ByteBuffer* in) override {
    // Workers fetch here what a clip's video names.
    const auto caller = IdentifyCaller(handlers_->parts().gate, *context, Audience::kEverybody);
    if (!caller.ok()) return new FailedStream(caller.status());
    v1::DownloadLoraRequest request;
    if (const auto parsed = ParseRequest(*in, &request); !parsed.ok()) return new FailedStream(parsed);
    const auto name = ParseLoraName(request.name());
    if (!name.ok()) return new FailedStream(name.status());
    auto open = [handlers = handlers_, name = *name] { return handlers->OpenLora(name); };
    return StreamReactor::Start(
        std::make_unique<LoraDownloadSource>(open, request.offset(), "lora", handlers_->parts().metrics),
        storage_);
  }

 private:
  template <typename Handle>
  RawUnary* Run(CallbackServerContext* context, const ByteBuffer* in, ByteBuffer* out, Handle handle) {
    return RunUnary(context, in, out, handlers_, handle, executor_, limit_);
  }

  TrainingHandlers* const handlers_;
  const std::atomic<bool>* const stopping_;
  Executor* const executor_;
  Executor* const storage_;
  const size_t limit_;
};

TrainingService::TrainingService(TrainingParts parts, TrainingServiceOptions options)
    : handlers_(std::move(parts)),
      impl_(std::make_unique<Impl>(&handlers_, &stopping_, &executor_, &storage_, options.limit)),
      executor_(options.threads),
      storage_(options.storage_threads) {}

TrainingService::~TrainingService() = default;

grpc::Service* TrainingService::service() { return impl_.get(); }

void TrainingService::StopWatches() {
  stopping_.store(true);
  handlers_.parts().hub->WakeAll();
}

}  // namespace svi::server
