#include "server/rpc/training_handlers.h"

#include <spdlog/spdlog.h>

#include <set>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "server/rpc/names.h"
#include "server/rpc/page_token.h"
#include "server/rpc/parse.h"
#include "server/rpc/status.h"
#include "server/rpc/validation.h"

namespace svi::server {
namespace {

constexpr char kLoraList[] = "loras";  // the filter of its page tokens

absl::Status NotFound(const absl::Status& status) {
  return WithReason(status, absl::StatusCode::kNotFound, "NOT_FOUND");
}

}  // namespace

absl::Status TrainingHandlers::CheckOwner(const CallIdentity& caller, const std::string& id) {
  const auto tenant = parts_.store->TenantOf(id);
  if (!tenant.ok()) return NotFound(tenant.status());
  if (*tenant == caller.tenant) return absl::OkStatus();
  return NotFound(absl::NotFoundError(absl::StrCat("there is no training run ", TrainingRunName(id))));
}

absl::StatusOr<v1::TrainingRun> TrainingHandlers::Create(const CallIdentity& caller,
                                                         const v1::CreateTrainingRunRequest& request) {
  if (const auto valid = Validate(request); !valid.ok()) return valid;
  const NewTrainingRun run = {NewId(), caller.tenant, request.request_id(), HashOfRequest(request),
                              request.spec()};
  bool replayed = false;
  bool name_taken = false;
  auto created = parts_.store->CreateRun(run, absl::Now(), &replayed, &name_taken);
  if (!created.ok()) {
    return WithReason(created.status(), absl::StatusCode::kAlreadyExists,
                      name_taken ? "LORA_NAME_TAKEN" : "REQUEST_ID_REUSED");
  }
  if (!replayed) {
    parts_.hub->Changed(run.id);
    parts_.runs_changed();
  }
  return created;
}

absl::StatusOr<v1::TrainingRun> TrainingHandlers::Get(const CallIdentity& caller,
                                                      const v1::GetTrainingRunRequest& request) {
  const auto id = ParseTrainingRunName(request.name());
  if (!id.ok()) return id.status();
  if (const auto owned = CheckOwner(caller, *id); !owned.ok()) return owned;
  auto run = parts_.store->GetRun(*id);
  if (!run.ok()) return NotFound(run.status());
  return run;
}

absl::StatusOr<v1::ListTrainingRunsResponse> TrainingHandlers::List(
    const CallIdentity& caller, const v1::ListTrainingRunsRequest& request) {
  if (const auto valid = Validate(request); !valid.ok()) return valid;
  const std::set<int> wanted(request.states().begin(), request.states().end());
  // Tokens of videos are not taken for those of runs.
  const std::string filter = absl::StrCat("runs ", caller.tenant, " ", StatesFilter(wanted));
  const auto range = ParsePage(request.page_size(), request.page_token(), filter);
  if (!range.ok()) return range.status();
  std::vector<v1::TrainingState> states;
  for (const int state : wanted) states.push_back(static_cast<v1::TrainingState>(state));
  auto page = parts_.store->ListRuns(caller.tenant, states, range->limit, range->after);
  if (!page.ok()) return page.status();
  v1::ListTrainingRunsResponse response;
  for (auto& run : page->runs) *response.add_training_runs() = std::move(run);
  if (page->next.has_value()) response.set_next_page_token(MakePageToken(*page->next, filter));
  return response;
}

absl::StatusOr<v1::TrainingRun> TrainingHandlers::Cancel(const CallIdentity& caller,
                                                         const v1::CancelTrainingRunRequest& request) {
  const auto id = ParseTrainingRunName(request.name());
  if (!id.ok()) return id.status();
  if (const auto owned = CheckOwner(caller, *id); !owned.ok()) return owned;
  auto run = parts_.store->CancelRun(*id, absl::Now());
  if (!run.ok()) return NotFound(run.status());
  parts_.run_ended(*id);
  parts_.hub->Changed(*id);
  return run;
}

absl::StatusOr<v1::Lora> TrainingHandlers::GetLora(const CallIdentity&, const v1::GetLoraRequest& request) {
  const auto name = ParseLoraName(request.name());
  if (!name.ok()) return name.status();
  auto stored = parts_.store->GetLora(*name);
  if (!stored.ok()) return NotFound(stored.status());
  return std::move(stored->lora);
}

absl::StatusOr<v1::ListLorasResponse> TrainingHandlers::ListLoras(const CallIdentity&,
                                                                  const v1::ListLorasRequest& request) {
  if (const auto valid = Validate(request); !valid.ok()) return valid;
  const auto range = ParsePage(request.page_size(), request.page_token(), kLoraList);
  if (!range.ok()) return range.status();
  auto page = parts_.store->ListLoras(range->limit, range->after.value_or(PagePlace()).second);
  if (!page.ok()) return page.status();
  v1::ListLorasResponse response;
  for (auto& lora : page->loras) *response.add_loras() = std::move(lora);
  if (page->next.has_value()) response.set_next_page_token(MakePageToken({0, *page->next}, kLoraList));
  return response;
}

absl::StatusOr<google::protobuf::Empty> TrainingHandlers::DeleteLora(const CallIdentity&,
                                                                     const v1::DeleteLoraRequest& request) {
  const auto name = ParseLoraName(request.name());
  if (!name.ok()) return name.status();
  const auto file = parts_.store->DeleteLora(*name);
  if (!file.ok()) return NotFound(file.status());
  if (const auto deleted = parts_.artifacts->Delete(*file); !deleted.ok()) {
    spdlog::warn("artifact {} stays behind: {}", file->key, deleted.ToString());
  }
  return google::protobuf::Empty();
}

absl::StatusOr<Download> TrainingHandlers::OpenLora(const std::string& name) {
  const auto stored = parts_.store->GetLora(name);
  if (!stored.ok()) return NotFound(stored.status());
  return DownloadOf(parts_.artifacts, stored->file);
}

}  // namespace svi::server
