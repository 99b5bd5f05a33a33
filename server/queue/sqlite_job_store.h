// The embedded JobStore: one SQLite file.
#ifndef SVI_SERVER_QUEUE_SQLITE_JOB_STORE_H_
#define SVI_SERVER_QUEUE_SQLITE_JOB_STORE_H_

#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "server/queue/job_store.h"

namespace svi::server {

// Opens the database at `path`; its folder must be there, the file is made if it is not, and brought to this
// program's schema. Beside it SQLite keeps `path`-wal and `path`-shm. One process at a time should own it.
// FAILED_PRECONDITION: a newer program wrote it. DATA_LOSS: damaged, or not a database. UNAVAILABLE: cannot
// be opened or written.
//
// What it promises beyond JobStore's comments:
// - Writes take turns on one connection, each fsynced before it is answered; reads run beside them on others,
// and see
//   every write that was answered before they began.
// - Events: state_changed for each change of state of the table in states.h and for no other, so a watcher
// sees
//   RUNNING and QUEUED take turns between clips; clip_done and clip_attempt_failed stand before the change of
//   state that they cause, clip_started after it. clip_attempt_failed is there for the last attempt, too.
// - A video that ends is `finished`, however it ended; so FinishVideo returns it unchanged.
// - FinishVideo of a finished video ignores the expected revision: it may be a replay.
// - A clip that is put back waits from then on: its ready_since is the time of the FailLease.
[[nodiscard]] absl::StatusOr<std::unique_ptr<JobStore>> OpenSqliteJobStore(const std::string& path);

}  // namespace svi::server

#endif  // SVI_SERVER_QUEUE_SQLITE_JOB_STORE_H_
