// SPDX-License-Identifier: Apache-2.0
// db/sqlite_journal.h - the journal in an SQLite file of its own: journal.db in the state directory.
//
// Owns     the file, its one connection, and the lock that keeps a second process out (journal.lock).
// Thread   any. One mutex is held for a write to the disk, a second one for a moment; reading() takes only that one.
// Bounded  `bytes_max` of entries; an append beyond it is refused, removing never is. Entries set aside count.
// Fails    open(): Unavailable when the directory cannot be used or another process has it. A file that is damaged is moved aside,
//          at once or when it is found out later, told to `on_damaged`, and a new one begun: an outage must find a journal.
// Cost     one fsync an append. 256 writes are about 200 KB.
//
// Rows are JSON so that a person can read them with sqlite3 while it runs.
#pragma once

#include <functional>
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
  // False: a file that is damaged is left where it is, and Corrupt. For who only looks.
  bool may_begin_anew = true;
  // Told where a file went that could not be read. From whichever thread found out; it does not call the journal.
  std::function<void(const std::string& kept)> on_damaged{};
};

class SqliteJournal final : public sideeffects::Journal, core::Pinned {
 public:
  [[nodiscard]] static core::Result<std::unique_ptr<SqliteJournal>> open(
      const JournalOptions& options);
  ~SqliteJournal() override;
  // Another process has it now: that passes when it ends, other reasons do not.
  [[nodiscard]] static bool in_use(const std::string& directory);

  [[nodiscard]] core::Result<void> append(std::span<const sideeffects::JournalWrite> writes,
                                          core::WallTime at) override;
  [[nodiscard]] core::Result<std::vector<sideeffects::JournalEntry>> read(
      std::size_t limit) override;
  [[nodiscard]] core::Result<std::vector<sideeffects::JournalEntry>> read_after(
      std::uint64_t after, std::size_t limit) override;
  void remove(std::uint64_t seq) override;
  [[nodiscard]] core::Result<void> set_aside(std::uint64_t seq, const std::string& reason,
                                             core::WallTime at) override;
  [[nodiscard]] core::Result<std::vector<sideeffects::SetAside>> list_set_aside(
      std::size_t limit) override;
  [[nodiscard]] sideeffects::JournalReading reading() const override;
  void look_again() override;

  // Whose writes it keeps from now on: `store` tells one database from another, and is noted with the first entry. A file that holds
  // entries of another one, or some set aside, is moved aside and a new one begun: here they would tell of sites that are not theirs.
  // Before the first append.
  [[nodiscard]] core::Result<void> belong_to(const std::string& store);
  // Where that file went; "" when there was none.
  [[nodiscard]] const std::string& foreign() const { return foreign_; }

 private:
  struct PendingAside {
    std::uint64_t seq = 0;
    std::string reason;
    core::WallTime at = core::kNoWallTime;
  };
  static constexpr std::size_t kPendingAsideMax = 10'000;

  explicit SqliteJournal(const JournalOptions& options) : options_(options) {}
  [[nodiscard]] core::Result<void> take_lock();
  [[nodiscard]] core::Result<void> open_file();
  [[nodiscard]] core::Result<void> fill_file();
  [[nodiscard]] core::Result<void> count_on();
  // Closes the file and renames it to its name with `why` and a number behind it. Returns the new name.
  [[nodiscard]] core::Result<std::string> move_aside(const std::string& why);
  [[nodiscard]] core::Result<void> begin_anew();
  [[nodiscard]] core::Result<void> append_bodies(std::span<const sideeffects::JournalWrite> writes,
                                                 std::span<const std::string> bodies,
                                                 core::WallTime at);
  [[nodiscard]] core::Result<std::vector<sideeffects::JournalEntry>> read_page(std::uint64_t after,
                                                                               std::size_t limit);
  [[nodiscard]] core::Result<void> note_owner();
  [[nodiscard]] core::Result<std::uint64_t> count(std::uint64_t after, std::uint64_t through);
  void tell();
  [[nodiscard]] core::Result<void> forget();
  void shrink();

  const JournalOptions options_;
  std::string foreign_;
  int lock_ = -1;
  mutable std::mutex mutex_;
  std::unique_ptr<SqliteConnection> connection_;  // Guarded by mutex_.
  std::string owner_;          // Guarded by mutex_. What belong_to() was told.
  std::string owner_noted_;    // Guarded by mutex_. What the file says.
  std::uint64_t removed_ = 0;  // Guarded by mutex_. Up to here nothing is read any more.

  std::uint64_t read_through_ = 0;  // Guarded by mutex_. The newest that read() gave away.
  std::uint64_t entries_ = 0;       // Guarded by mutex_. Behind removed_.
  // Guarded by mutex_. Set aside, and the disk did not take it: their entries stay until it does, and are not read any more.
  std::vector<PendingAside> pending_aside_;

  mutable std::mutex reading_mutex_;
  sideeffects::JournalReading reading_;  // Guarded by reading_mutex_.
};

}  // namespace watchwheel::db
