#include "tests/client/scripted_training.h"

#include <utility>

#include "absl/time/clock.h"
#include "tests/client/scripted_service.h"

namespace svi::client {
namespace {

constexpr size_t kChunk = 1000;

template <typename T>
T Pop(std::deque<T>& queue, T otherwise) {
  if (queue.empty()) return otherwise;
  T front = std::move(queue.front());
  queue.pop_front();
  return front;
}

grpc::Status Dropped() { return grpc::Status(grpc::StatusCode::UNAVAILABLE, "dropped by the test"); }
grpc::Status NoRun() { return grpc::Status(grpc::StatusCode::NOT_FOUND, "there is no such training run"); }
grpc::Status NoLora() { return grpc::Status(grpc::StatusCode::NOT_FOUND, "there is no such LoRA"); }

v1::Lora Boats() {
  v1::Lora lora;
  lora.set_name("loras/boats");
  lora.set_size_bytes(ScriptedTraining::LoraBytes().size());
  lora.set_sha256(Sha256(ScriptedTraining::LoraBytes()));
  lora.set_rank(16);
  lora.set_variant(v1::VARIANT_FILM);
  lora.set_training_run("trainingRuns/r");
  return lora;
}

}  // namespace

std::string ScriptedTraining::LoraBytes() {
  std::string bytes(3500, '\0');
  for (size_t i = 0; i < bytes.size(); ++i) bytes[i] = static_cast<char>(i * 13 + i / 256);
  return bytes;
}

v1::TrainingRun ScriptedTraining::RunNow() {
  v1::TrainingRun run;
  run.set_name("trainingRuns/r");
  run.set_state(end_state);
  run.mutable_spec()->set_dataset("boats");
  run.mutable_spec()->set_max_steps(2);
  run.mutable_progress()->set_step(2);
  run.mutable_progress()->set_max_steps(2);
  run.mutable_progress()->set_videos(7);
  run.mutable_progress()->set_skipped_videos(1);
  run.set_last_sequence(Events().back().sequence());
  if (end_state == v1::TRAINING_STATE_SUCCEEDED) run.set_lora("loras/boats");
  if (end_state == v1::TRAINING_STATE_FAILED) {
    run.mutable_error()->set_reason("DATASET_NOT_FOUND");
    run.mutable_error()->set_message("there is no data set \"boats\"");
  }
  return run;
}

std::vector<v1::TrainingEvent> ScriptedTraining::Events() {
  std::vector<v1::TrainingEvent> events;
  uint64_t sequence = 0;
  const auto durable = [&]() -> v1::TrainingEvent& {
    events.emplace_back().set_sequence(++sequence);
    return events.back();
  };
  durable().mutable_state_changed()->set_state(v1::TRAINING_STATE_QUEUED);
  durable().mutable_started()->set_worker("workers/w");
  durable().mutable_state_changed()->set_state(v1::TRAINING_STATE_RUNNING);
  for (const char* phase : {"encoding 1 of 2 videos", "encoding 2 of 2 videos"}) {
    events.emplace_back().mutable_progress()->set_phase(phase);
  }
  for (uint32_t step : {1, 2}) {
    v1::TrainingProgress& progress = *events.emplace_back().mutable_progress();
    progress.set_step(step);
    progress.set_max_steps(2);
    progress.set_loss(0.5 / step);
    progress.set_learning_rate(1e-4);
    progress.set_latent_bank_entries(10 * step);
  }
  if (end_state == v1::TRAINING_STATE_SUCCEEDED) *durable().mutable_published() = Boats();
  durable().mutable_state_changed()->set_state(end_state);
  return events;
}

grpc::Status ScriptedTraining::CreateTrainingRun(grpc::ServerContext*,
                                                 const v1::CreateTrainingRunRequest* request,
                                                 v1::TrainingRun* response) {
  absl::MutexLock lock(&mutex_);
  created.push_back(*request);
  *response = RunNow();
  return Pop(lost_answers, grpc::Status::OK);
}

grpc::Status ScriptedTraining::GetTrainingRun(grpc::ServerContext*, const v1::GetTrainingRunRequest* request,
                                              v1::TrainingRun* response) {
  if (request->name() != "trainingRuns/r") return NoRun();
  absl::MutexLock lock(&mutex_);
  *response = RunNow();
  return grpc::Status::OK;
}

grpc::Status ScriptedTraining::ListTrainingRuns(grpc::ServerContext*,
                                                const v1::ListTrainingRunsRequest* request,
                                                v1::ListTrainingRunsResponse* response) {
  absl::MutexLock lock(&mutex_);
  listed = *request;
  const bool first = request->page_token().empty();
  *response->add_training_runs() = RunNow();
  response->mutable_training_runs(0)->set_name(first ? "trainingRuns/first" : "trainingRuns/second");
  if (first) response->set_next_page_token("next");
  return grpc::Status::OK;
}

grpc::Status ScriptedTraining::CancelTrainingRun(grpc::ServerContext*,
                                                 const v1::CancelTrainingRunRequest* request,
                                                 v1::TrainingRun* response) {
  absl::MutexLock lock(&mutex_);
  cancelled.push_back(request->name());
  end_state = v1::TRAINING_STATE_CANCELLED;
  *response = RunNow();
  return grpc::Status::OK;
}

grpc::Status ScriptedTraining::WatchTrainingRun(grpc::ServerContext* context,
                                                const v1::WatchTrainingRunRequest* request,
                                                grpc::ServerWriter<v1::TrainingEvent>* writer) {
  std::vector<v1::TrainingEvent> events;
  int fault = -1;
  bool hold = false;
  {
    absl::MutexLock lock(&mutex_);
    watched_after.push_back(request->after_sequence());
    events = Events();
    fault = Pop(watch_faults, -1);
    hold = hold_watch;
  }
  int sent = 0;
  for (const v1::TrainingEvent& event : events) {
    if (event.sequence() != 0 && event.sequence() <= request->after_sequence()) continue;
    if (sent++ == fault) return Dropped();
    if (hold && &event == &events.back()) {
      {
        absl::MutexLock lock(&mutex_);
        holding = true;
      }
      while (!context->IsCancelled())
        absl::SleepFor(absl::Milliseconds(5));  // polls: the sync API has no wait
      return grpc::Status::CANCELLED;
    }
    writer->Write(event);
  }
  return grpc::Status::OK;
}

grpc::Status ScriptedTraining::GetLora(grpc::ServerContext*, const v1::GetLoraRequest* request,
                                       v1::Lora* response) {
  if (request->name() != "loras/boats") return NoLora();
  *response = Boats();
  return grpc::Status::OK;
}

grpc::Status ScriptedTraining::ListLoras(grpc::ServerContext*, const v1::ListLorasRequest*,
                                         v1::ListLorasResponse* response) {
  *response->add_loras() = Boats();
  return grpc::Status::OK;
}

grpc::Status ScriptedTraining::DeleteLora(grpc::ServerContext*, const v1::DeleteLoraRequest* request,
                                          google::protobuf::Empty*) {
  absl::MutexLock lock(&mutex_);
  deleted.push_back(request->name());
  if (deleted.size() > 1) return NoLora();
  return Pop(lost_answers, grpc::Status::OK);
}

grpc::Status ScriptedTraining::DownloadLora(grpc::ServerContext*, const v1::DownloadLoraRequest* request,
                                            grpc::ServerWriter<v1::DownloadLoraResponse>* writer) {
  int fault = -1;
  {
    absl::MutexLock lock(&mutex_);
    download_offsets.push_back(request->offset());
    fault = Pop(download_faults, -1);
  }
  const std::string bytes = LoraBytes();
  int sent = 0;
  v1::DownloadLoraResponse chunk;
  chunk.set_total_bytes(bytes.size());
  for (size_t at = request->offset(); at < bytes.size(); at += kChunk) {
    if (sent++ == fault) return Dropped();
    chunk.set_offset(at);
    chunk.set_data(bytes.substr(at, kChunk));
    writer->Write(chunk);
    chunk.Clear();
  }
  chunk.set_sha256(Sha256(bytes));
  writer->Write(chunk);
  return grpc::Status::OK;
}

}  // namespace svi::client
