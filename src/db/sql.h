// SPDX-License-Identifier: Apache-2.0
// db/sql.h - what our queries need of a database, whichever it is: a connection, its prepared
// queries, and transactions.
//
// Owns     Connection: the session and every query prepared on it. Query: the use of one until it
//          goes out of scope. Transaction: the open transaction, rolled back unless it was
//          committed.
// Thread   one at a time per Connection and all that came from it.
// Bounded  prepared queries: kQueriesMax a connection.
// Fails    core::Error. Unavailable: try again later. Unknown: a commit whose answer was lost.
//          Invalid: this can never be stored, or the schema does not fit. Corrupt: the store is
//          damaged.
//
// Two implementations: sqlite.h, mysql.h. A query has a text for each where the two languages differ
// (Sql); everything else of the stores is written once, above this.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "core/clock.h"
#include "core/ensure.h"
#include "core/pinned.h"
#include "core/result.h"

namespace watchwheel::db {

inline constexpr std::size_t kQueriesMax = 48;

enum class Dialect : std::uint8_t { Sqlite, Mysql };

// The text of a query. Constants: a text is known by its address. Parameters are '?', or numbered: ?1, ?2 …; a
// question mark stands for nothing else, not in quotes either.
struct Sql {
  // NOLINTNEXTLINE(google-explicit-constructor): most texts are good for both.
  constexpr Sql(const char* both) : sqlite(both), mysql(both) {}
  constexpr Sql(const char* for_sqlite, const char* for_mysql)
      : sqlite(for_sqlite), mysql(for_mysql) {}
  const char* sqlite;
  const char* mysql;
};

// A prepared query as an implementation keeps it.
class QuerySlot {
 public:
  virtual ~QuerySlot() = default;
  // Parameters count from 1. A failure is kept and returned by the next step().
  virtual void bind(int parameter, std::int64_t value) = 0;
  virtual void bind(int parameter, std::string_view value) = 0;
  virtual void bind_null(int parameter) = 0;
  [[nodiscard]] virtual core::Result<bool> step() = 0;
  virtual void rewind() = 0;
  [[nodiscard]] virtual bool is_null(int column) const = 0;
  [[nodiscard]] virtual std::int64_t integer(int column) const = 0;
  [[nodiscard]] virtual std::string_view text(int column) const = 0;

  bool in_use = false;
};

// One use of a prepared query: bind in order, then run() or step() until false. Parameters are
// bound from the first upwards; texts must outlive the use. A failure to prepare or bind is kept
// and returned by the next step() or run().
class Query {
 public:
  explicit Query(QuerySlot& slot) : slot_(&slot) {
    ENSURE(!slot.in_use, "a query is used twice at the same time");
    slot.in_use = true;
  }
  Query(Query&& other) noexcept : slot_(std::exchange(other.slot_, nullptr)), next_(other.next_) {}
  Query& operator=(Query&&) = delete;
  Query(const Query&) = delete;
  Query& operator=(const Query&) = delete;
  ~Query() {
    if (slot_ == nullptr) return;
    slot_->rewind();
    slot_->in_use = false;
  }

  Query& bind(std::int64_t value) {
    slot_->bind(next_++, value);
    return *this;
  }
  Query& bind(std::string_view value) {
    slot_->bind(next_++, value);
    return *this;
  }
  Query& bind(std::nullptr_t) {
    slot_->bind_null(next_++);
    return *this;
  }
  Query& bind(std::optional<std::int64_t> value) { return value ? bind(*value) : bind(nullptr); }
  // As milliseconds; NULL when not set.
  Query& bind(core::WallTime value) {
    return value == core::kNoWallTime ? bind(nullptr) : bind(core::to_unix_ms(value));
  }

  // True: a row is there to be read. False: there are no more.
  [[nodiscard]] core::Result<bool> step() { return slot_->step(); }
  // For what gives no rows; afterwards it may be bound and run again.
  [[nodiscard]] core::Result<void> run() {
    core::Result<bool> row = slot_->step();
    if (!row) return row.error();
    rewind();
    return {};
  }
  // Ready to be bound and stepped again.
  void rewind() {
    slot_->rewind();
    next_ = 1;
  }

  // Columns of the current row, from 0. A NULL reads as 0, "" and kNoWallTime.
  [[nodiscard]] bool is_null(int column) const { return slot_->is_null(column); }
  [[nodiscard]] std::int64_t integer(int column) const { return slot_->integer(column); }
  // Until the next step() or rewind().
  [[nodiscard]] std::string_view text(int column) const { return slot_->text(column); }
  [[nodiscard]] core::WallTime time(int column) const {
    return is_null(column) ? core::kNoWallTime : core::from_unix_ms(integer(column));
  }

 private:
  QuerySlot* slot_;
  int next_ = 1;
};

class Connection : core::Pinned {
 public:
  virtual ~Connection() = default;

  // A use of the query `sql`, prepared at its first use and kept. A query is not used twice at the
  // same time.
  [[nodiscard]] virtual Query query(const Sql& sql) = 0;
  // Statements without parameters or rows, one after the other. Not kept.
  [[nodiscard]] virtual core::Result<void> execute(const std::string& sql) = 0;
  // A step of the schema. MySQL cannot undo half of one, so there a statement whose work is done
  // already (the table, column or index is there) counts as done.
  [[nodiscard]] virtual core::Result<void> apply_schema(const std::string& sql) = 0;
  // UTC on the clock that the database goes by, in milliseconds.
  [[nodiscard]] virtual core::Result<std::int64_t> now_ms() = 0;
  // The first column of the first row; nothing when there is none or it is NULL.
  [[nodiscard]] core::Result<std::optional<std::int64_t>> number(const Sql& sql);

  // Of the last insert that was given no id.
  [[nodiscard]] virtual core::Result<std::int64_t> last_insert_id() = 0;
  [[nodiscard]] virtual std::uint64_t rows_changed()
      const = 0;  // By the last statement that was run.
  [[nodiscard]] virtual Dialect dialect() const = 0;
  // The store as people know it, without a password: a path, or host and database.
  [[nodiscard]] virtual const std::string& path() const = 0;
  // True when the last failure was a conflict with another writer (deadlock, certification) that ended the
  // transaction: the same transaction is likely to succeed at once.
  [[nodiscard]] virtual bool conflicted() const = 0;
  // Waits a little, longer with every try, before a transaction that conflicted is tried again.
  virtual void pause_before_retry(int tries) = 0;

 protected:
  friend class Transaction;
  [[nodiscard]] virtual core::Result<void> begin_write() = 0;
  [[nodiscard]] virtual core::Result<void> begin_read() = 0;
  // When it fails the transaction has been rolled back.
  [[nodiscard]] virtual core::Result<void> commit() = 0;
  virtual void roll_back() = 0;
};

class Transaction {
 public:
  // For writing. SQLite: takes the one write lock at once, waiting for it; an upgrade later on
  // could not wait. MySQL: READ COMMITTED; rows are locked as they are written, or read FOR UPDATE.
  [[nodiscard]] static core::Result<Transaction> write(Connection& connection) {
    if (auto begun = connection.begin_write(); !begun) return begun.error();
    return Transaction(connection);
  }
  // For reading several things as of one moment. Holds no one up.
  [[nodiscard]] static core::Result<Transaction> read(Connection& connection) {
    if (auto begun = connection.begin_read(); !begun) return begun.error();
    return Transaction(connection);
  }

  Transaction(Transaction&& other) noexcept
      : connection_(std::exchange(other.connection_, nullptr)) {}
  Transaction& operator=(Transaction&&) = delete;
  Transaction(const Transaction&) = delete;
  Transaction& operator=(const Transaction&) = delete;
  ~Transaction() {
    if (connection_ != nullptr) connection_->roll_back();
  }

  // When it fails the transaction is rolled back. Unknown: it may have been stored all the same. MySQL: after a failure inside it
  // nothing more is done in it and it cannot be committed, for the server may have ended it and would take what follows one by one.
  [[nodiscard]] core::Result<void> commit() {
    ENSURE(connection_ != nullptr, "a transaction is committed once");
    return std::exchange(connection_, nullptr)->commit();
  }

 private:
  explicit Transaction(Connection& connection) : connection_(&connection) {}

  Connection* connection_;
};

// Runs `work`, one whole transaction, again when it lost against another writer: at most kConflictTries times.
inline constexpr int kConflictTries = 10;
template <typename Work>
auto retried(Connection& connection, Work work) {
  for (int tries = 1;; ++tries) {
    auto done = work();
    if (done || tries == kConflictTries || !connection.conflicted()) return done;
    connection.pause_before_retry(tries);
  }
}

}  // namespace watchwheel::db
