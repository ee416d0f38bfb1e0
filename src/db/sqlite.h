// SPDX-License-Identifier: Apache-2.0
// db/sqlite.h - a connection to an SQLite file (sql.h), with errors that say which file and what
// would help.
//
// Bounded  waiting for another writer: kBusyWait.
// Fails    Busy, locked, full, I/O, no permission: Unavailable. Damaged or no database: Corrupt.
//          Constraint, mismatch, missing table: Invalid. A commit that the disk failed: Unknown.
#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "db/sql.h"

struct sqlite3;

namespace watchwheel::db {

inline constexpr std::chrono::milliseconds kBusyWait{5000};

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

class SqliteConnection final : public Connection {
 public:
  // Opens or creates the file. The directory must exist.
  [[nodiscard]] static core::Result<std::unique_ptr<SqliteConnection>> open(
      const ConnectionOptions& options);
  ~SqliteConnection() override;

  [[nodiscard]] Query query(const Sql& sql) override;
  [[nodiscard]] core::Result<void> execute(const std::string& sql) override;
  [[nodiscard]] core::Result<void> apply_schema(const std::string& sql) override {
    return execute(sql);
  }
  [[nodiscard]] core::Result<std::int64_t> now_ms() override;
  [[nodiscard]] core::Result<std::int64_t> last_insert_id() override;
  [[nodiscard]] std::uint64_t rows_changed() const override;
  [[nodiscard]] Dialect dialect() const override { return Dialect::Sqlite; }
  [[nodiscard]] const std::string& path() const override { return path_; }
  // There is one writer at a time: whoever waits for it loses nothing.
  [[nodiscard]] bool conflicted() const override { return false; }
  void pause_before_retry(int /*tries*/) override {}

 private:
  class Slot;
  SqliteConnection(sqlite3* handle, const ConnectionOptions& options);
  [[nodiscard]] core::Result<void> set_up(const ConnectionOptions& options);
  [[nodiscard]] core::Result<void> use_wal();
  // What the newest failure on this connection means, for a person. `code` is SQLite's.
  [[nodiscard]] core::Error error(int code) const;
  [[nodiscard]] core::Result<void> begin_write() override;
  [[nodiscard]] core::Result<void> begin_read() override;
  [[nodiscard]] core::Result<void> commit() override;
  void roll_back() override;

  static int wait_for_lock(void* connection, int tries) noexcept;

  sqlite3* handle_;
  std::string path_;
  std::chrono::milliseconds busy_wait_;
  std::vector<std::unique_ptr<Slot>> slots_;
};

}  // namespace watchwheel::db
