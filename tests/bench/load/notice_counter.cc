#include "tests/bench/load/notice_counter.h"

#include <libpq-fe.h>
#include <poll.h>

#include <cstdio>
#include <memory>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"

namespace svi::load {

NoticeCounter::NoticeCounter(const std::string& database) : thread_([this, database] { Listen(database); }) {}

NoticeCounter::~NoticeCounter() {
  stopping_ = true;
  thread_.join();
}

void NoticeCounter::Listen(const std::string& database) {
  const std::unique_ptr<PGconn, decltype(&PQfinish)> db(PQconnectdb(database.c_str()), &PQfinish);
  PQclear(PQexec(db.get(), "DO $$ BEGIN EXECUTE format('LISTEN %I', 'svi_' || current_schema()); END $$"));
  if (PQstatus(db.get()) != CONNECTION_OK) std::fprintf(stderr, "%s\n", PQerrorMessage(db.get()));
  while (!stopping_) {
    pollfd entry = {PQsocket(db.get()), POLLIN, 0};
    (void)poll(&entry, 1, 50);
    PQconsumeInput(db.get());
    while (PGnotify* const notice = PQnotifies(db.get())) {
      const absl::string_view payload = notice->extra;
      ++notices_;
      bytes_ += static_cast<int64_t>(payload.size());
      for (const absl::string_view line : absl::StrSplit(payload, '\n')) {
        if (line.substr(0, 3) == "vp ") ++progress_;
      }
      PQfreemem(notice);
    }
  }
}

}  // namespace svi::load
