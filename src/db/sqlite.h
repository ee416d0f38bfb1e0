// SPDX-License-Identifier: Apache-2.0
// db/sqlite.h - a thin hold on SQLite: a connection, its compiled queries, transactions, and errors
// that say which file and what would help.
//
// Owns     Connection: the handle and every query compiled on it. Query: the use of one until it
//          goes out of scope. Transaction: the open transaction, rolled back unless it was
//          committed.
// Thread   one at a time per Connection and all that came from it.
// Bounded  compiled queries: kQueriesMax. Waiting for another writer: kBusyWait.
// Fails    core::Error. Busy, locked, full, I/O, no permission: Unavailable. Damaged or no
//          database: Corrupt. Constraint, mismatch, missing table: Invalid. A commit that the disk
//          failed: Unknown.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "core/clock.h"
#include "core/pinned.h"
#include "core/result.h"

struct sqlite3;
struct sqlite3_stmt;

namespace watchwheel::db {

inline constexpr std::chrono::milliseconds kBusyWait{5000};
inline constexpr std::size_t kQueriesMax = 32;

// When a commit counts as done.
enum class Durability : std::uint8_t {
  OnDisk,   // Survives a power cut once commit() has returned: what must not be lost.
  InOrder,  // Survives our own death; a power cut may take the newest: projections.
};

struct ConnectionOptions {
  std::string path;
  Durability durability = Durability::InOrder;
  std::uint32_t cache_kib = 4096;  // Page cache, taken as it is needed.
  // A commit that finds the write-ahead log longer than this folds it back into the file, and takes
  // that long more.
  std::uint32_t checkpoint_pages = 1000;
  std::chrono::milliseconds busy_wait = kBusyWait;  // For another writer.
};

class Connection;

// One use of a compiled query: bind in order, then run() or step() until false. Parameters are
// bound from the first upwards; texts must outlive the use. A failure to compile or bind is kept
// and returned by the next step() or run().
class Query {
 public:
  Query(Query&& other) noexcept
      : connection_(other.connection_),
        slot_(other.slot_),
        next_(other.next_),
        failed_(other.failed_) {
    other.slot_ = nullptr;
  }
  Query& operator=(Query&&) = delete;
  Query(const Query&) = delete;
  Query& operator=(const Query&) = delete;
  ~Query();

  Query& bind(std::int64_t value);
  Query& bind(std::string_view value);
  Query& bind(std::nullptr_t);
  Query& bind(std::optional<std::int64_t> value);
  // As milliseconds; NULL when not set.
  Query& bind(core::WallTime value);

  // True: a row is there to be read. False: there are no more.
  [[nodiscard]] core::Result<bool> step();
  // For what gives no rows; afterwards it may be bound and run again.
  [[nodiscard]] core::Result<void> run();
  // Ready to be bound and stepped again.
  void rewind();

  // Columns of the current row, from 0. A NULL reads as 0, "" and kNoWallTime.
  [[nodiscard]] bool is_null(int column) const;
  [[nodiscard]] std::int64_t integer(int column) const;
  [[nodiscard]] std::string_view text(int column) const;  // Until the next step() or rewind().
  [[nodiscard]] core::WallTime time(int column) const;

 private:
  friend class Connection;
  struct Slot;
  Query(Connection& connection, Slot* slot, int failed)
      : connection_(&connection), slot_(slot), failed_(failed) {}
  void note(int code);

  Connection* connection_;
  Slot* slot_;
  int next_ = 1;
  int failed_ = 0;
};

class Connection : core::Pinned {
 public:
  // Opens or creates the file. The directory must exist.
  [[nodiscard]] static core::Result<std::unique_ptr<Connection>> open(
      const ConnectionOptions& options);
  ~Connection();

  // A use of the query `sql`, compiled at its first use and kept. `sql` is a constant: it is known
  // by its address. A query is not used twice at the same time.
  [[nodiscard]] Query query(const char* sql);
  // Statements without parameters or rows, one after the other. Not kept.
  [[nodiscard]] core::Result<void> execute(const std::string& sql);
  // The first column of the first row; nothing when there is none or it is NULL.
  [[nodiscard]] core::Result<std::optional<std::int64_t>> number(const char* sql);
  // UTC on the clock that the database goes by, in milliseconds.
  [[nodiscard]] core::Result<std::int64_t> now_ms();

  [[nodiscard]] std::int64_t last_insert_id() const;
  [[nodiscard]] std::uint64_t rows_changed() const;  // By the last statement that was run.
  [[nodiscard]] const std::string& path() const { return path_; }

  // What the newest failure on this connection means, for a person. `code` is SQLite's.
  [[nodiscard]] core::Error error(int code) const;

 private:
  friend class Transaction;
  Connection(sqlite3* handle, const ConnectionOptions& options);
  [[nodiscard]] core::Result<void> set_up(const ConnectionOptions& options);
  [[nodiscard]] core::Result<void> use_wal();

  static int wait_for_lock(void* connection, int tries) noexcept;

  sqlite3* handle_;
  std::string path_;
  std::chrono::milliseconds busy_wait_;
  std::vector<std::unique_ptr<Query::Slot>> slots_;
};

class Transaction {
 public:
  // For writing: takes the write lock at once, waiting up to busy_wait. An upgrade later on could
  // not wait.
  [[nodiscard]] static core::Result<Transaction> write(Connection& connection);
  // For reading several things as of one moment. Holds no one up.
  [[nodiscard]] static core::Result<Transaction> read(Connection& connection);

  Transaction(Transaction&& other) noexcept
      : connection_(std::exchange(other.connection_, nullptr)) {}
  Transaction& operator=(Transaction&&) = delete;
  Transaction(const Transaction&) = delete;
  Transaction& operator=(const Transaction&) = delete;
  ~Transaction();

  // When it fails the transaction is rolled back. Unknown: the disk failed in the middle.
  [[nodiscard]] core::Result<void> commit();

 private:
  explicit Transaction(Connection& connection) : connection_(&connection) {}
  static core::Result<Transaction> begin(Connection& connection, const char* sql);
  void roll_back();

  Connection* connection_;
};

}  // namespace watchwheel::db
