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

// A query on this connection. `failed` is what came of compiling and binding it so far.
class SqliteConnection::Slot final : public QuerySlot {
 public:
  explicit Slot(SqliteConnection& connection) : connection_(connection) {}
  ~Slot() override {
    ENSURE(!in_use, "a query outlives its connection");
    sqlite3_finalize(statement_);
  }

  [[nodiscard]] bool compile(sqlite3* handle, const char* text) {
    compiled_ =
        sqlite3_prepare_v3(handle, text, -1, SQLITE_PREPARE_PERSISTENT, &statement_, nullptr);
    failed_ = compiled_;
    return compiled_ == SQLITE_OK;
  }

  void bind(int parameter, std::int64_t value) override {
    if (failed_ == SQLITE_OK) failed_ = sqlite3_bind_int64(statement_, parameter, value);
  }
  void bind(int parameter, std::string_view value) override {
    // A null pointer would be taken as NULL; an empty text is not that.
    const char* data = value.data() == nullptr ? "" : value.data();
    if (failed_ == SQLITE_OK) {
      failed_ = sqlite3_bind_text64(statement_, parameter, data, value.size(), SQLITE_STATIC,
                                    SQLITE_UTF8);
    }
  }
  void bind_null(int parameter) override {
    if (failed_ == SQLITE_OK) failed_ = sqlite3_bind_null(statement_, parameter);
  }

  core::Result<bool> step() override {
    if (failed_ != SQLITE_OK) return connection_.error(failed_);
    const int code = sqlite3_step(statement_);
    if (code == SQLITE_ROW) return true;
    if (code == SQLITE_DONE) return false;
    return connection_.error(code);
  }

  void rewind() override {
    if (statement_ != nullptr) {
      sqlite3_reset(statement_);  // Repeats the error of the last step, which was already returned.
      sqlite3_clear_bindings(statement_);
    }
    failed_ = compiled_;
  }

  bool is_null(int column) const override {
    return sqlite3_column_type(statement_, column) == SQLITE_NULL;
  }
  std::int64_t integer(int column) const override {
    return sqlite3_column_int64(statement_, column);
  }
  std::string_view text(int column) const override {
    const auto* bytes = static_cast<const char*>(sqlite3_column_blob(statement_, column));
    const auto size = static_cast<std::size_t>(sqlite3_column_bytes(statement_, column));
    return bytes == nullptr ? std::string_view{} : std::string_view{bytes, size};
  }

  const char* sql = nullptr;

 private:
  SqliteConnection& connection_;
  sqlite3_stmt* statement_ = nullptr;
  int compiled_ = SQLITE_OK;
  int failed_ = SQLITE_OK;
};

// --- Connection

core::Result<std::unique_ptr<SqliteConnection>> SqliteConnection::open(
    const ConnectionOptions& options) {
  const bool existed = ::access(options.path.c_str(), F_OK) == 0;
  sqlite3* handle = nullptr;
  const int flags =
      SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_EXRESCODE;
  const int code = sqlite3_open_v2(options.path.c_str(), &handle, flags, nullptr);
  std::unique_ptr<SqliteConnection> connection(new SqliteConnection(handle, options));
  if (code != SQLITE_OK) return connection->error(code);
  // By name, not by a descriptor of our own: closing one would drop the locks of this process's
  // other connections.
  if (!existed) (void)::chmod(options.path.c_str(), kFileMode);
  if (core::Result<void> ready = connection->set_up(options); !ready) return ready.error();
  return connection;
}

SqliteConnection::SqliteConnection(sqlite3* handle, const ConnectionOptions& options)
    : handle_(handle), path_(options.path), busy_wait_(options.busy_wait) {
  slots_.reserve(kQueriesMax);
}

SqliteConnection::~SqliteConnection() {
  slots_.clear();
  sqlite3_close(handle_);
}

// SQLite's own waiting grows to 100 ms between tries; an import that takes the lock again at once
// would then starve the event store. Even, short steps find the gaps between its transactions.
int SqliteConnection::wait_for_lock(void* connection, int tries) noexcept {
  constexpr int kStepMs = 2;
  if (tries >= static_cast<SqliteConnection*>(connection)->busy_wait_.count() / kStepMs) return 0;
  sqlite3_sleep(kStepMs);
  return 1;
}

core::Result<void> SqliteConnection::set_up(const ConnectionOptions& options) {
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

core::Result<void> SqliteConnection::use_wal() {
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

Query SqliteConnection::query(const Sql& sql) {
  const char* text = sql.sqlite;
  const auto known =
      std::find_if(slots_.begin(), slots_.end(), [text](const auto& s) { return s->sql == text; });
  if (known != slots_.end()) return Query(**known);
  ENSURE(slots_.size() < kQueriesMax, "more queries on one connection than foreseen");
  auto slot = std::make_unique<Slot>(*this);
  // One that did not compile is not kept under its name: after a migration it may.
  slot->sql = slot->compile(handle_, text) ? text : nullptr;
  std::erase_if(slots_, [](const auto& s) { return s->sql == nullptr && !s->in_use; });
  slots_.push_back(std::move(slot));
  return Query(*slots_.back());
}

core::Result<void> SqliteConnection::execute(const std::string& sql) {
  const int code = sqlite3_exec(handle_, sql.c_str(), nullptr, nullptr, nullptr);
  if (code != SQLITE_OK) return error(code);
  return {};
}

core::Result<std::int64_t> SqliteConnection::now_ms() {
  // julianday() is exact to the millisecond; unixepoch('subsec') came with a later SQLite.
  auto now = number("SELECT CAST(round((julianday('now') - 2440587.5) * 86400000.0) AS INTEGER)");
  if (!now) return now.error();
  return now->value_or(0);
}

core::Result<std::int64_t> SqliteConnection::last_insert_id() {
  return std::int64_t{sqlite3_last_insert_rowid(handle_)};
}

std::uint64_t SqliteConnection::rows_changed() const {
  return static_cast<std::uint64_t>(std::max<sqlite3_int64>(0, sqlite3_changes64(handle_)));
}

core::Error SqliteConnection::error(int code) const {
  const int primary = code & 0xff;
  ENSURE(primary != SQLITE_MISUSE && primary != SQLITE_RANGE,
         std::string("SQLite was called wrongly: ") + sqlite3_errmsg(handle_));
  std::string message = "store " + path_ + ": ";
  message += handle_ == nullptr ? sqlite3_errstr(code) : sqlite3_errmsg(handle_);
  if (const std::string_view help = remedy(code); !help.empty()) message.append("; ").append(help);
  return core::Error{kind_of(code), std::move(message)};
}

// --- Transactions

core::Result<void> SqliteConnection::begin_write() {
  return query("BEGIN IMMEDIATE").run();
}

core::Result<void> SqliteConnection::begin_read() {
  return query("BEGIN").run();
}

core::Result<void> SqliteConnection::commit() {
  core::Result<void> done = query("COMMIT").run();
  if (done) return done;
  core::Error failure = done.error();
  // The last page may have reached the disk before the failure was reported: after a crash it can
  // be there.
  if ((sqlite3_errcode(handle_) & 0xff) == SQLITE_IOERR) failure.kind = core::ErrorKind::Unknown;
  roll_back();
  return failure;
}

void SqliteConnection::roll_back() {
  // Some failures have rolled back already. A rollback has nothing left to fail on that a caller
  // could act upon.
  if (sqlite3_get_autocommit(handle_) == 0) (void)query("ROLLBACK").run();
}

}  // namespace watchwheel::db
