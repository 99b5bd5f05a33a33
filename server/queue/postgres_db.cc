#include "server/queue/postgres_db.h"

#include <endian.h>
#include <libpq-fe.h>
#include <poll.h>
#include <spdlog/spdlog.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "client/steady.h"
#include "server/queue/status_macros.h"

namespace svi::server {
namespace {

// "svi-serv": whoever migrates holds this advisory lock.
constexpr char kMigrationLock[] = "8319098393171453302";

constexpr char kLost[] = "the job store cannot be reached";

// False: nothing came before the deadline.
bool WaitFor(int socket, bool write, absl::Time deadline) {
  pollfd entry = {socket, static_cast<short>(write ? POLLIN | POLLOUT : POLLIN), 0};
  while (true) {
    const absl::Duration left = deadline - SteadyNow();
    if (left <= absl::ZeroDuration()) return false;
    const int64_t millis = std::min<int64_t>(absl::ToInt64Milliseconds(left) + 1, 60'000);
    const int ready = poll(&entry, 1, deadline == absl::InfiniteFuture() ? -1 : static_cast<int>(millis));
    if (ready > 0) return true;
    if (ready < 0 && errno != EINTR) return false;
  }
}

// What libpq says, on one line and without the password, which it does not say anyhow.
std::string Message(const PGconn* connection) {
  return absl::StrReplaceAll(absl::StripAsciiWhitespace(PQerrorMessage(connection)), {{"\n", " "}});
}

// The parameters of a query are $1 to $n.
int CountParameters(absl::string_view sql) {
  int most = 0;
  for (size_t at = sql.find('$'); at != absl::string_view::npos; at = sql.find('$', at + 1)) {
    int number = 0;
    for (size_t i = at + 1; i < sql.size() && absl::ascii_isdigit(sql[i]); ++i) {
      number = number * 10 + (sql[i] - '0');
    }
    most = std::max(most, number);
  }
  return most;
}

int64_t LoadBigEndian(const char* bytes, int length) {
  if (length == sizeof(int32_t)) {
    uint32_t value = 0;
    std::memcpy(&value, bytes, sizeof(value));
    return static_cast<int32_t>(be32toh(value));
  }
  uint64_t value = 0;
  if (length != sizeof(value)) return 0;
  std::memcpy(&value, bytes, sizeof(value));
  return static_cast<int64_t>(be64toh(value));
}

// What was bound to one prepared query, and its result. Values travel in PostgreSQL's binary format: integers
// are BIGINT, and text and bytes are themselves.
class PostgresCursor final : public SqlCursor {
 public:
  PostgresCursor(PostgresDb* db, std::string name, int parameters)
      : db_(db), name_(std::move(name)), numbers_(parameters), values_(parameters), lengths_(parameters) {}

  absl::Status BindInt(int index, int64_t value) override {
    if (index > static_cast<int>(numbers_.size())) return TooMany();
    numbers_[index - 1] = htobe64(static_cast<uint64_t>(value));
    values_[index - 1] = reinterpret_cast<const char*>(&numbers_[index - 1]);
    lengths_[index - 1] = sizeof(value);
    return absl::OkStatus();
  }
  absl::Status BindText(int index, absl::string_view value) override { return BindBlob(index, value); }
  absl::Status BindBlob(int index, absl::string_view value) override {
    if (index > static_cast<int>(values_.size())) return TooMany();
    // A null pointer would bind NULL.
    values_[index - 1] = value.data() == nullptr ? "" : value.data();
    lengths_[index - 1] = static_cast<int>(value.size());
    return absl::OkStatus();
  }
  absl::StatusOr<bool> Step() override {
    if (result_ == nullptr) {
      SVI_ASSIGN_OR_RETURN(result_, db_->Run(name_, values_, lengths_));
    }
    return ++row_ < PQntuples(result_.get());
  }
  int Changes() override {
    int changes = 0;
    return absl::SimpleAtoi(PQcmdTuples(result_.get()), &changes) ? changes : 0;
  }
  bool IsNull(int column) const override { return PQgetisnull(result_.get(), row_, column) != 0; }
  int64_t Int(int column) const override {
    return LoadBigEndian(PQgetvalue(result_.get(), row_, column), PQgetlength(result_.get(), row_, column));
  }
  std::string Bytes(int column) const override {
    return {PQgetvalue(result_.get(), row_, column),
            static_cast<size_t>(PQgetlength(result_.get(), row_, column))};
  }
  void Reset() override {
    result_ = nullptr;
    row_ = -1;
    std::fill(values_.begin(), values_.end(), nullptr);
    std::fill(lengths_.begin(), lengths_.end(), 0);
  }

 private:
  absl::Status TooMany() const { return absl::InternalError(absl::StrCat("too many values for ", name_)); }

  PostgresDb* const db_;
  const std::string name_;
  std::vector<uint64_t> numbers_;
  std::vector<const char*> values_;
  std::vector<int> lengths_;
  PgResult result_;
  int row_ = -1;
};

// The server has gone, is going, or has become a standby: another connection may find the primary.
bool MeansLost(absl::string_view state) {
  return absl::StartsWith(state, "08") || absl::StartsWith(state, "57P") || state == "25006";
}

// Another transaction was in the way. A unique key that is taken counts, too: run again, the call sees who
// took it, and says so in its own words.
bool MeansConflict(absl::string_view state) {
  return state == "40001" || state == "40P01" || state == "23505";
}

}  // namespace

absl::Status PostgresStatus(absl::string_view state) {
  if (MeansLost(state)) return absl::UnavailableError(kLost);
  // Conflicts, locks that are not had in time, and statements that were cancelled.
  if (MeansConflict(state) || state == "55P03" || state == "57014") {
    return absl::UnavailableError("the job store is busy");
  }
  if (state == "53100") return absl::UnavailableError("the job store's disk is full");
  if (absl::StartsWith(state, "53")) return absl::UnavailableError("the job store is out of resources");
  if (absl::StartsWith(state, "58")) return absl::UnavailableError("the job store's storage fails");
  if (absl::StartsWith(state, "XX001") || absl::StartsWith(state, "XX002")) {
    return absl::DataLossError("the job store is damaged");
  }
  return absl::InternalError(absl::StrCat("job store error ", state));
}

void PgResultDeleter::operator()(PGresult* result) const { PQclear(result); }

absl::StatusOr<std::unique_ptr<PostgresDb>> PostgresDb::Open(const PostgresOptions& options,
                                                             const NamedQueries& queries) {
  // Parsed apart, since libpq's message would quote what it cannot read, which may be the password.
  char* unreadable = nullptr;
  PQconninfoOption* const parsed = PQconninfoParse(options.url.c_str(), &unreadable);
  PQfreemem(unreadable);
  if (parsed == nullptr) {
    return absl::InvalidArgumentError("is not of the form postgresql://USER@HOST:PORT/DATABASE");
  }
  PQconninfoFree(parsed);
  // What comes later wins: what the operator wrote, over what we would have.
  std::vector<const char*> keys = {"application_name", "keepalives_idle", "tcp_user_timeout", "dbname"};
  std::vector<const char*> values = {"svi-server", "10", "15000", options.url.c_str()};
  if (!options.password.empty()) {
    keys.push_back("password");
    values.push_back(options.password.c_str());
  }
  keys.insert(keys.end(), {"client_encoding", nullptr});
  values.insert(values.end(), {"UTF8", nullptr});
  PGconn* const connection = PQconnectStartParams(keys.data(), values.data(), /*expand_dbname=*/1);
  if (connection == nullptr) return absl::UnavailableError("out of memory");
  std::unique_ptr<PostgresDb> db(new PostgresDb(connection, queries, options.statement_limit));
  SVI_RETURN_IF_ERROR(db->Connect(SteadyNow() + options.connect_limit));
  SVI_RETURN_IF_ERROR(db->SetUp(options));
  return db;
}

absl::Status PostgresDb::Connect(absl::Time deadline) {
  if (PQstatus(connection_) == CONNECTION_BAD) {
    return absl::UnavailableError(absl::StrCat("the database cannot be reached: ", Message(connection_)));
  }
  PostgresPollingStatusType state = PGRES_POLLING_WRITING;
  while (state != PGRES_POLLING_OK) {
    if (state == PGRES_POLLING_FAILED) {
      return absl::UnavailableError(absl::StrCat("the database cannot be reached: ", Message(connection_)));
    }
    if (!WaitFor(PQsocket(connection_), state == PGRES_POLLING_WRITING, deadline)) {
      return absl::UnavailableError("the database cannot be reached: it does not answer");
    }
    state = PQconnectPoll(connection_);
  }
  return absl::OkStatus();
}

absl::Status PostgresDb::SetUp(const PostgresOptions& options) {
  PQsetNoticeProcessor(
      connection_, [](void*, const char*) {}, nullptr);
  if (PQsetnonblocking(connection_, 1) != 0) return Lost();
  const std::unique_ptr<char, decltype(&PQfreemem)> id(
      PQescapeLiteral(connection_, options.server_id.data(), options.server_id.size()), &PQfreemem);
  if (id == nullptr) return absl::InvalidArgumentError("the server's id is not UTF-8");
  // The server gives up before we do: what it has not answered then, it does not do either.
  const int64_t limit = absl::ToInt64Milliseconds(options.statement_limit);
  return Exec(absl::StrCat("SET statement_timeout = ", limit * 2 / 3, "; SET lock_timeout = ", limit / 3,
                           "; SET idle_in_transaction_session_timeout = ", limit * 2,
                           "; SET svi.server = ", id.get()));
}

PostgresDb::~PostgresDb() {
  statements_.clear();
  PQfinish(connection_);
}

absl::Status PostgresDb::Lost() {
  broken_ = true;
  spdlog::warn("database: the connection is lost: {}", Message(connection_));
  return absl::UnavailableError(kLost);
}

absl::Status PostgresDb::Failed(const PGresult* result) {
  const char* const code = PQresultErrorField(result, PG_DIAG_SQLSTATE);
  const std::string state = code == nullptr ? "08000" : code;
  const char* const text = PQresultErrorField(result, PG_DIAG_MESSAGE_PRIMARY);
  broken_ = broken_ || MeansLost(state) || PQstatus(connection_) == CONNECTION_BAD;
  conflicted_ = MeansConflict(state);
  if (!conflicted_) spdlog::warn("database: error {}: {}", state, text == nullptr ? "?" : text);
  return PostgresStatus(broken_ ? "08000" : state);
}

absl::StatusOr<PgResult> PostgresDb::Await(absl::Time deadline) {
  conflicted_ = false;
  PgResult last;
  while (true) {
    const int unsent = PQflush(connection_);
    if (unsent < 0) return Lost();
    if (unsent == 0 && !PQisBusy(connection_)) {
      PgResult next(PQgetResult(connection_));
      if (next == nullptr) break;
      // Of several statements the error counts, which is the last that ran.
      last = std::move(next);
      continue;
    }
    if (!WaitFor(PQsocket(connection_), unsent > 0, deadline)) {
      broken_ = true;
      spdlog::warn("database: no answer");
      return absl::UnavailableError(kLost);
    }
    if (!PQconsumeInput(connection_)) return Lost();
  }
  if (last == nullptr) return Lost();
  const ExecStatusType status = PQresultStatus(last.get());
  if (status != PGRES_COMMAND_OK && status != PGRES_TUPLES_OK) return Failed(last.get());
  return last;
}

absl::Status PostgresDb::Exec(const std::string& sql) {
  if (broken_ || !PQsendQuery(connection_, sql.c_str())) return Lost();
  return Await(SteadyNow() + statement_limit_).status();
}

absl::Status PostgresDb::BeginExclusive() {
  const std::string sql = absl::StrCat(
      "BEGIN; SET LOCAL statement_timeout = 0; SET LOCAL lock_timeout = 0;"
      "SELECT pg_advisory_xact_lock(",
      kMigrationLock, ")");
  if (!PQsendQuery(connection_, sql.c_str())) return Lost();
  return Await(absl::InfiniteFuture()).status();
}

absl::Status PostgresDb::Commit() {
  if (broken_ || !PQsendQuery(connection_, "COMMIT")) return Lost();
  SVI_ASSIGN_OR_RETURN(const PgResult result, Await(SteadyNow() + statement_limit_));
  // A transaction in which a statement has failed is rolled back, without another error.
  if (absl::string_view(PQcmdStatus(result.get())) != "COMMIT") {
    return absl::InternalError("the job store rolled a failed transaction back");
  }
  return absl::OkStatus();
}

bool PostgresDb::in_transaction() const { return PQtransactionStatus(connection_) != PQTRANS_IDLE; }

Statement PostgresDb::Prepare(absl::string_view name) {
  const auto prepared = statements_.find(name);
  if (prepared != statements_.end()) return Statement(prepared->second.get(), absl::OkStatus());
  const auto query = queries_.find(name);
  if (query == queries_.end()) {
    return Statement(nullptr, absl::InternalError(absl::StrCat("there is no query ", name)));
  }
  const std::string key(name);
  if (broken_ || !PQsendPrepare(connection_, key.c_str(), query->second.c_str(), 0, nullptr)) {
    return Statement(nullptr, Lost());
  }
  const absl::Status status = Await(SteadyNow() + statement_limit_).status();
  if (!status.ok()) return Statement(nullptr, status);
  auto cursor = std::make_unique<PostgresCursor>(this, key, CountParameters(query->second));
  return Statement(statements_.emplace(key, std::move(cursor)).first->second.get(), absl::OkStatus());
}

absl::Status PostgresDb::PrepareAll() {
  for (const auto& [name, sql] : queries_) SVI_RETURN_IF_ERROR(Prepare(name).status());
  return absl::OkStatus();
}

absl::StatusOr<PgResult> PostgresDb::Run(const std::string& name, const std::vector<const char*>& values,
                                         const std::vector<int>& lengths) {
  const std::vector<int> binary(values.size(), 1);
  if (broken_ || !PQsendQueryPrepared(connection_, name.c_str(), static_cast<int>(values.size()),
                                      values.data(), lengths.data(), binary.data(), /*resultFormat=*/1)) {
    return Lost();
  }
  return Await(SteadyNow() + statement_limit_);
}

int PostgresDb::socket() const { return PQsocket(connection_); }

absl::StatusOr<std::vector<PgNotice>> PostgresDb::TakeNotices() {
  if (!PQconsumeInput(connection_)) return Lost();
  std::vector<PgNotice> notices;
  const auto next = [this] {
    return std::unique_ptr<PGnotify, decltype(&PQfreemem)>(PQnotifies(connection_), &PQfreemem);
  };
  for (auto notice = next(); notice != nullptr; notice = next()) {
    notices.push_back({notice->relname, notice->extra});
  }
  return notices;
}

}  // namespace svi::server
