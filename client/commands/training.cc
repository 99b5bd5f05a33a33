// svi train create, watch, get, list, cancel.
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "client/commands/command.h"
#include "client/training_flags.h"
#include "client/training_progress.h"
#include "client/training_reporter.h"

namespace svi::client {
namespace {

void PrintRow(Reporter& out, const v1::TrainingRun& run) {
  const std::string steps = absl::StrCat(run.progress().step(), "/", run.spec().max_steps());
  out.Line(absl::StrFormat("%-49s %-10s %15s  %s  %s", run.name(), StateName(run.state()), steps,
                           ShortTime(run.create_time()), run.spec().lora_name()));
}

void PrintRun(Reporter& out, const v1::TrainingRun& run) {
  if (out.json()) return out.Json(run);
  out.Line(absl::StrCat(run.name(), "\n  state     ", StateName(run.state()), "\n  data set  ",
                        run.spec().dataset(), "\n  created   ", ShortTime(run.create_time())));
  if (run.progress().max_steps() > 0 || !run.progress().phase().empty()) {
    out.Line(absl::StrCat("  progress  ", DescribeProgress(run.progress())));
  }
  if (run.progress().videos() > 0) {
    out.Line(absl::StrCat("  videos    ", run.progress().videos(), " used, ", run.progress().skipped_videos(),
                          " skipped"));
  }
  if (run.attempt() > 0) out.Line(absl::StrCat("  attempt   ", run.attempt(), ", ", run.worker()));
  if (run.has_end_time()) out.Line(absl::StrCat("  ended     ", ShortTime(run.end_time())));
  if (!run.lora().empty()) out.Line(absl::StrCat("  LoRA      ", run.lora()));
  if (run.has_error()) {
    out.Line(absl::StrCat("  error     ", run.error().message(), " (", run.error().reason(), ")"));
  }
}

int WatchRun(Session& session, const v1::TrainingRun& run, uint64_t after_sequence) {
  TrainingReporter report(session.out());
  return FollowToTheEnd(session, session.training(), report, run, after_sequence,
                        {absl::StrCat("train watch ", run.name()), absl::StrCat("train cancel ", run.name())},
                        [](const v1::TrainingEvent&) { return absl::OkStatus(); });
}

// The commands that name a run and get it back.
int OneRun(const Command& self, GlobalFlags globals, const Args& args, Interrupt* interrupt,
           absl::StatusOr<v1::TrainingRun> (TrainingClient::*call)(std::string_view)) {
  Session session(self, std::move(globals), interrupt);
  if (std::optional<int> code = session.Start(args, 1, 1)) return *code;
  absl::StatusOr<v1::TrainingRun> run = (session.training().*call)(session.positional()[0]);
  if (!run.ok()) return session.Fail(run.status());
  PrintRun(session.out(), *run);
  return kExitOk;
}

}  // namespace

int RunTrainCreate(const Command& self, GlobalFlags globals, const Args& args, Interrupt* interrupt) {
  Session session(self, std::move(globals), interrupt);
  TrainingFlags flags;
  std::string request_id;
  bool detach = false;
  flags.AddTo(session.flags());
  session.flags().Group("The request");
  session.flags().AddString("request-id", &request_id,
                            "Asking again with the same id returns the same run; default: a UUID");
  session.flags().AddBool("detach", &detach, "Queue the run, print its name and return");
  if (std::optional<int> code = session.Start(args, 0, 1)) return *code;

  absl::StatusOr<v1::TrainingSpec> spec =
      flags.ToSpec(session.positional().empty() ? "" : session.positional()[0]);
  if (!spec.ok()) return session.Fail(spec.status());
  v1::CreateTrainingRunRequest request;
  *request.mutable_spec() = *std::move(spec);
  request.set_request_id(request_id);
  absl::StatusOr<v1::TrainingRun> run = session.training().CreateTrainingRun(std::move(request));
  if (!run.ok()) return session.Fail(run.status());
  TrainingReporter(session.out()).Created(*run);
  return detach ? kExitOk : WatchRun(session, *run, 0);
}

int RunTrainWatch(const Command& self, GlobalFlags globals, const Args& args, Interrupt* interrupt) {
  Session session(self, std::move(globals), interrupt);
  uint64_t after = 0;
  session.flags().AddUint("after", &after, "Leave out events up to this sequence number");
  if (std::optional<int> code = session.Start(args, 1, 1)) return *code;
  absl::StatusOr<v1::TrainingRun> run = session.training().GetTrainingRun(session.positional()[0]);
  if (!run.ok()) return session.Fail(run.status());
  return WatchRun(session, *run, after);
}

int RunTrainGet(const Command& self, GlobalFlags globals, const Args& args, Interrupt* interrupt) {
  return OneRun(self, std::move(globals), args, interrupt, &TrainingClient::GetTrainingRun);
}

int RunTrainCancel(const Command& self, GlobalFlags globals, const Args& args, Interrupt* interrupt) {
  return OneRun(self, std::move(globals), args, interrupt, &TrainingClient::CancelTrainingRun);
}

int RunTrainList(const Command& self, GlobalFlags globals, const Args& args, Interrupt* interrupt) {
  Session session(self, std::move(globals), interrupt);
  std::vector<std::string> states;
  PageFlags pages;
  session.flags().AddRepeated("state", &states, "Only these: queued, running, succeeded, failed, cancelled");
  pages.AddTo(session.flags(), "Runs");
  if (std::optional<int> code = session.Start(args, 0, 0)) return *code;
  v1::ListTrainingRunsRequest request;
  for (const std::string& text : states) {
    v1::TrainingState state{};
    if (!v1::TrainingState_Parse(absl::StrCat("TRAINING_STATE_", absl::AsciiStrToUpper(text)), &state)) {
      return session.Fail(absl::InvalidArgumentError(
          absl::StrCat("--state=", text, ": want queued, running, succeeded, failed or cancelled")));
    }
    request.add_states(state);
  }
  return PrintPages(
      session, pages, request,
      [&](const v1::ListTrainingRunsRequest& page) { return session.training().ListTrainingRuns(page); },
      [&](const v1::ListTrainingRunsResponse& response) {
        for (const v1::TrainingRun& run : response.training_runs()) {
          if (session.out().json()) session.out().Json(run);
          PrintRow(session.out(), run);
        }
      });
}

}  // namespace svi::client
