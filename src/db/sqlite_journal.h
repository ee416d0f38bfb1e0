// SPDX-License-Identifier: Apache-2.0
// db/sqlite_journal.h - the journal in an SQLite file of its own: journal.db in the state directory.
//
// Owns     the file, its one connection, and the lock that keeps a second process out (journal.lock).
// Thread   any. One mutex is held for a write to the disk, a second one for a moment; reading() takes only that one.
// Bounded  `bytes_max` of entries; an append beyond it is refused, removing never is. Entries set aside count.
// Fails    open(): Unavailable when the directory cannot be used or another process has it; a file that is damaged is moved
//          aside, told by damaged(), and a new one begun: an outage must find a journal.
// Cost     one fsync an append. 256 writes are about 200 KB.
//
// Rows are JSON so that a person can read them with sqlite3 while it runs.
#pragma once

#include <memory>
#include <mutex>
#include <span>
#include <string>
#include <vector>

#include "core/pinned.h"
#include "db/sqlite.h"
#include "sideeffects/journal_api.h"

namespace watchwheel::db {

inline constexpr const char* kJournalFile = "journal.db";

struct JournalOptions {
  std::string directory;
  std::uint64_t bytes_max = std::uint64_t{1} << 30;
};

class SqliteJournal final : public sideeffects::Journal, core::Pinned {
 public:
  [[nodiscard]] static core::Result<std::unique_ptr<SqliteJournal>> open(
      const JournalOptions& options);
  ~SqliteJournal() override;

  [[nodiscard]] core::Result<void> append(std::span<const sideeffects::JournalWrite> writes,
                                          core::WallTime at) override;
  [[nodiscard]] core::Result<std::vector<sideeffects::JournalEntry>> read(
      std::size_t limit) override;
  void remove(std::uint64_t seq) override;
  [[nodiscard]] core::Result<void> set_aside(std::uint64_t seq, const std::string& reason,
                                             core::WallTime at) override;
  [[nodiscard]] core::Result<std::vector<sideeffects::SetAside>> list_set_aside(
      std::size_t limit) override;
  [[nodiscard]] sideeffects::JournalReading reading() const override;

  // Where a file went that could not be read; "" when there was none.
  [[nodiscard]] const std::string& damaged() const { return damaged_; }

 private:
  explicit SqliteJournal(const JournalOptions& options) : options_(options) {}
  [[nodiscard]] core::Result<void> take_lock();
  [[nodiscard]] core::Result<void> open_file();
  [[nodiscard]] core::Result<std::uint64_t> count(std::uint64_t after, std::uint64_t through);
  void tell(std::uint64_t entries);
  [[nodiscard]] core::Result<void> forget();
  void shrink();

  const JournalOptions options_;
  std::string damaged_;
  int lock_ = -1;
  mutable std::mutex mutex_;
  std::unique_ptr<SqliteConnection> connection_;  // Guarded by mutex_.
  std::uint64_t removed_ = 0;  // Guarded by mutex_. Up to here nothing is read any more.

  mutable std::mutex reading_mutex_;
  sideeffects::JournalReading reading_;  // Guarded by reading_mutex_.
};

}  // namespace watchwheel::db
