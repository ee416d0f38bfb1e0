// SPDX-License-Identifier: Apache-2.0
#include "db/sqlite.h"

#include <sqlite3.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>

#include "core/ensure.h"

namespace watchwheel::db {
namespace {

// How long the write-ahead log may stay after a burst; it is cut back to this at the next
// checkpoint.
constexpr int kWalBytesKept = 64 * 1024 * 1024;
// Site options can hold credentials (a header), so a new file is not for everyone to read.
constexpr mode_t kFileMode = 0640;

core::ErrorKind kind_of(int code) {
  switch (code & 0xff) {
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB:
      return core::ErrorKind::Corrupt;
    case SQLITE_ERROR:
    case SQLITE_CONSTRAINT:
    case SQLITE_MISMATCH:
    case SQLITE_TOOBIG:
      return core::ErrorKind::Invalid;
    default:
      return core::ErrorKind::Unavailable;
  }
}

std::string_view remedy(int code) {
  switch (code & 0xff) {
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
      return "another process held it for too long; try again, or see who has it open";
    case SQLITE_FULL:
      return "make room on its disk";
    case SQLITE_IOERR:
      return "see the kernel log about its disk";
    case SQLITE_READONLY:
    case SQLITE_PERM:
    case SQLITE_AUTH:
    case SQLITE_CANTOPEN:
      return "the file and its directory must be writable by the user this runs as";
    case SQLITE_CORRUPT:
      return "restore it from a backup, or save what can be read with `sqlite3 FILE .recover`";
    case SQLITE_NOTADB:
      return "it is not an SQLite database; move it away or change store.url";
    case SQLITE_ERROR:
      return "the schema may not be this version's: run `watchwheel migrate`";
    default:
      return "";
  }
}

}  // namespace

struct Query::Slot {
  const char* sql = nullptr;
  sqlite3_stmt* statement = nullptr;
  bool in_use = false;
};

// --- Query

Query::~Query() {
  if (slot_ == nullptr) return;
  rewind();
  slot_->in_use = false;
}

void Query::note(int code) {
  if (failed_ == SQLITE_OK) failed_ = code;
  ++next_;
}

Query& Query::bind(std::int64_t value) {
  if (failed_ == SQLITE_OK) note(sqlite3_bind_int64(slot_->statement, next_, value));
  return *this;
}

Query& Query::bind(std::string_view value) {
  // A null pointer would be taken as NULL; an empty text is not that.
  const char* data = value.data() == nullptr ? "" : value.data();
  if (failed_ == SQLITE_OK) {
    note(sqlite3_bind_text64(slot_->statement, next_, data, value.size(), SQLITE_STATIC,
                             SQLITE_UTF8));
  }
  return *this;
}

Query& Query::bind(std::nullptr_t) {
  if (failed_ == SQLITE_OK) note(sqlite3_bind_null(slot_->statement, next_));
  return *this;
}

Query& Query::bind(std::optional<std::int64_t> value) {
  return value ? bind(*value) : bind(nullptr);
}

Query& Query::bind(core::WallTime value) {
  return value == core::kNoWallTime ? bind(nullptr) : bind(core::to_unix_ms(value));
}

core::Result<bool> Query::step() {
  if (failed_ != SQLITE_OK) return connection_->error(failed_);
  const int code = sqlite3_step(slot_->statement);
  if (code == SQLITE_ROW) return true;
  if (code == SQLITE_DONE) return false;
  return connection_->error(code);
}

core::Result<void> Query::run() {
  core::Result<bool> row = step();
  if (!row) return row.error();
  rewind();
  return {};
}

void Query::rewind() {
  if (slot_->statement != nullptr) {
    sqlite3_reset(
        slot_->statement);  // Repeats the error of the last step, which was already returned.
    sqlite3_clear_bindings(slot_->statement);
  }
  next_ = 1;
}

bool Query::is_null(int column) const {
  return sqlite3_column_type(slot_->statement, column) == SQLITE_NULL;
}

std::int64_t Query::integer(int column) const {
  return sqlite3_column_int64(slot_->statement, column);
}

std::string_view Query::text(int column) const {
  const auto* bytes = static_cast<const char*>(sqlite3_column_blob(slot_->statement, column));
  const auto size = static_cast<std::size_t>(sqlite3_column_bytes(slot_->statement, column));
  return bytes == nullptr ? std::string_view{} : std::string_view{bytes, size};
}

core::WallTime Query::time(int column) const {
  return is_null(column) ? core::kNoWallTime : core::from_unix_ms(integer(column));
}

// --- Connection

core::Result<std::unique_ptr<Connection>> Connection::open(const ConnectionOptions& options) {
  const bool existed = ::access(options.path.c_str(), F_OK) == 0;
  sqlite3* handle = nullptr;
  const int flags =
      SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_EXRESCODE;
  const int code = sqlite3_open_v2(options.path.c_str(), &handle, flags, nullptr);
  std::unique_ptr<Connection> connection(new Connection(handle, options));
  if (code != SQLITE_OK) return connection->error(code);
  // By name, not by a descriptor of our own: closing one would drop the locks of this process's
  // other connections.
  if (!existed) (void)::chmod(options.path.c_str(), kFileMode);
  if (core::Result<void> ready = connection->set_up(options); !ready) return ready.error();
  return connection;
}

Connection::Connection(sqlite3* handle, const ConnectionOptions& options)
    : handle_(handle), path_(options.path), busy_wait_(options.busy_wait) {
  slots_.reserve(kQueriesMax);
}

Connection::~Connection() {
  for (const auto& slot : slots_) {
    ENSURE(!slot->in_use, "a query outlives its connection");
    sqlite3_finalize(slot->statement);
  }
  sqlite3_close(handle_);
}

// SQLite's own waiting grows to 100 ms between tries; an import that takes the lock again at once
// would then starve the event store. Even, short steps find the gaps between its transactions.
int Connection::wait_for_lock(void* connection, int tries) noexcept {
  constexpr int kStepMs = 2;
  if (tries >= static_cast<Connection*>(connection)->busy_wait_.count() / kStepMs) return 0;
  sqlite3_sleep(kStepMs);
  return 1;
}

core::Result<void> Connection::set_up(const ConnectionOptions& options) {
  sqlite3_busy_handler(handle_, wait_for_lock, this);
  sqlite3_db_config(handle_, SQLITE_DBCONFIG_DQS_DDL, 0, nullptr);
  sqlite3_db_config(handle_, SQLITE_DBCONFIG_DQS_DML, 0, nullptr);
  sqlite3_db_config(handle_, SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0, nullptr);
  sqlite3_db_config(handle_, SQLITE_DBCONFIG_DEFENSIVE, 1, nullptr);
  // SQLite would open a file that may only be read, and fail at the first write.
  if (sqlite3_db_readonly(handle_, "main") == 1) {
    return core::Error{core::ErrorKind::Unavailable, "store " + path_ + ": it may only be read; " +
                                                         std::string(remedy(SQLITE_READONLY))};
  }
  if (core::Result<void> wal = use_wal(); !wal) return wal;
  return execute(
      "PRAGMA foreign_keys = ON; PRAGMA secure_delete = FAST; PRAGMA temp_store = MEMORY;"
      "PRAGMA journal_size_limit = " +
      std::to_string(kWalBytesKept) +
      ";"
      "PRAGMA cache_size = -" +
      std::to_string(options.cache_kib) +
      ";"
      "PRAGMA wal_autocheckpoint = " +
      std::to_string(options.checkpoint_pages) +
      ";"
      "PRAGMA synchronous = " +
      (options.durability == Durability::OnDisk ? "FULL" : "NORMAL"));
}

core::Result<void> Connection::use_wal() {
  // The change to WAL is refused at once while another connection reads the new file: SQLite does
  // not call the busy handler there. So ask for it only where it is not yet so, and wait here as
  // the handler would.
  for (int tries = 0;; ++tries) {
    Query mode = query("PRAGMA journal_mode = WAL");
    core::Result<bool> row = mode.step();
    if (row && *row && mode.text(0) == "wal") return {};
    if (row) {
      return core::Error{
          core::ErrorKind::Unavailable,
          "store " + path_ + ": its file system cannot hold a write-ahead log; use a local disk"};
    }
    const bool busy = (sqlite3_errcode(handle_) & 0xff) == SQLITE_BUSY;
    if (!busy || wait_for_lock(this, tries) == 0) return row.error();
  }
}

Query Connection::query(const char* sql) {
  const auto known =
      std::find_if(slots_.begin(), slots_.end(), [sql](const auto& s) { return s->sql == sql; });
  if (known != slots_.end()) {
    ENSURE(!(*known)->in_use, std::string("a query is used twice at the same time: ") + sql);
    (*known)->in_use = true;
    return Query(*this, known->get(), SQLITE_OK);
  }
  ENSURE(slots_.size() < kQueriesMax, "more queries on one connection than foreseen");
  auto slot = std::make_unique<Query::Slot>();
  const int code =
      sqlite3_prepare_v3(handle_, sql, -1, SQLITE_PREPARE_PERSISTENT, &slot->statement, nullptr);
  // One that did not compile is not kept under its name: after a migration it may.
  slot->sql = code == SQLITE_OK ? sql : nullptr;
  slot->in_use = true;
  std::erase_if(slots_, [](const auto& s) { return s->sql == nullptr && !s->in_use; });
  slots_.push_back(std::move(slot));
  return Query(*this, slots_.back().get(), code);
}

core::Result<void> Connection::execute(const std::string& sql) {
  const int code = sqlite3_exec(handle_, sql.c_str(), nullptr, nullptr, nullptr);
  if (code != SQLITE_OK) return error(code);
  return {};
}

core::Result<std::optional<std::int64_t>> Connection::number(const char* sql) {
  Query asked = query(sql);
  core::Result<bool> row = asked.step();
  if (!row) return row.error();
  if (!*row || asked.is_null(0)) return std::optional<std::int64_t>{};
  return std::optional<std::int64_t>{asked.integer(0)};
}

core::Result<std::int64_t> Connection::now_ms() {
  // julianday() is exact to the millisecond; unixepoch('subsec') came with a later SQLite.
  auto now = number("SELECT CAST(round((julianday('now') - 2440587.5) * 86400000.0) AS INTEGER)");
  if (!now) return now.error();
  return now->value_or(0);
}

std::int64_t Connection::last_insert_id() const {
  return sqlite3_last_insert_rowid(handle_);
}

std::uint64_t Connection::rows_changed() const {
  return static_cast<std::uint64_t>(std::max<sqlite3_int64>(0, sqlite3_changes64(handle_)));
}

core::Error Connection::error(int code) const {
  const int primary = code & 0xff;
  ENSURE(primary != SQLITE_MISUSE && primary != SQLITE_RANGE,
         std::string("SQLite was called wrongly: ") + sqlite3_errmsg(handle_));
  std::string message = "store " + path_ + ": ";
  message += handle_ == nullptr ? sqlite3_errstr(code) : sqlite3_errmsg(handle_);
  if (const std::string_view help = remedy(code); !help.empty()) message.append("; ").append(help);
  return core::Error{kind_of(code), std::move(message)};
}

// --- Transaction

core::Result<Transaction> Transaction::begin(Connection& connection, const char* sql) {
  if (core::Result<void> begun = connection.query(sql).run(); !begun) return begun.error();
  return Transaction(connection);
}

core::Result<Transaction> Transaction::write(Connection& connection) {
  return begin(connection, "BEGIN IMMEDIATE");
}

core::Result<Transaction> Transaction::read(Connection& connection) {
  return begin(connection, "BEGIN");
}

Transaction::~Transaction() {
  if (connection_ != nullptr) roll_back();
}

core::Result<void> Transaction::commit() {
  ENSURE(connection_ != nullptr, "a transaction is committed once");
  core::Result<void> done = connection_->query("COMMIT").run();
  if (done) {
    connection_ = nullptr;
    return done;
  }
  core::Error failure = done.error();
  // The last page may have reached the disk before the failure was reported: after a crash it can
  // be there.
  if ((sqlite3_errcode(connection_->handle_) & 0xff) == SQLITE_IOERR)
    failure.kind = core::ErrorKind::Unknown;
  roll_back();
  return failure;
}

void Transaction::roll_back() {
  // Some failures have rolled back already. A rollback has nothing left to fail on that a caller
  // could act upon.
  if (sqlite3_get_autocommit(connection_->handle_) == 0) (void)connection_->query("ROLLBACK").run();
  connection_ = nullptr;
}

}  // namespace watchwheel::db
