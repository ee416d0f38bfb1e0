// SPDX-License-Identifier: Apache-2.0
#include "db/sqlite_journal.h"

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdint>
#include <cstring>
#include <filesystem>
#include <system_error>
#include <utility>

#include "db/journal_codec.h"
#include "db/text.h"

namespace watchwheel::db {
namespace {

namespace fs = std::filesystem;
using sideeffects::JournalEntry;
using sideeffects::JournalWrite;

// AUTOINCREMENT: a number that was removed is never given again, or what was replayed could be taken for something new.
constexpr const char* kSchema = R"sql(
CREATE TABLE IF NOT EXISTS entries (
  seq        INTEGER PRIMARY KEY AUTOINCREMENT,
  written_at INTEGER NOT NULL,
  version    INTEGER NOT NULL,
  kind       TEXT NOT NULL,
  site_id    INTEGER NOT NULL,
  body       TEXT NOT NULL
) STRICT;
CREATE TABLE IF NOT EXISTS set_aside (
  seq        INTEGER PRIMARY KEY,
  written_at INTEGER NOT NULL,
  version    INTEGER NOT NULL,
  kind       TEXT NOT NULL,
  site_id    INTEGER NOT NULL,
  body       TEXT NOT NULL,
  reason     TEXT NOT NULL,
  at         INTEGER NOT NULL
) STRICT;
CREATE TABLE IF NOT EXISTS owner (
  only_row INTEGER PRIMARY KEY CHECK (only_row = 1),
  store    TEXT NOT NULL
) STRICT;
)sql";

constexpr Sql kAppend =
    "INSERT INTO entries (written_at, version, kind, site_id, body) VALUES (?, ?, ?, ?, ?)";
constexpr Sql kRead =
    "SELECT seq, version, kind, body FROM entries WHERE seq > ? ORDER BY seq LIMIT ?";
constexpr Sql kNewest = "SELECT seq FROM sqlite_sequence WHERE name = 'entries'";
constexpr Sql kRemove = "DELETE FROM entries WHERE seq <= ?";
constexpr Sql kSetAside =
    "INSERT OR IGNORE INTO set_aside SELECT seq, written_at, version, kind, site_id, body, ?2, ?3"
    " FROM entries WHERE seq = ?1";
constexpr Sql kListAside =
    "SELECT seq, site_id, at, reason FROM set_aside ORDER BY seq DESC LIMIT ?";
constexpr Sql kOwner = "SELECT store FROM owner";
constexpr Sql kNoteOwner = "INSERT OR REPLACE INTO owner (only_row, store) VALUES (1, ?)";
constexpr Sql kCount = "SELECT count(*) FROM entries WHERE seq > ? AND seq <= ?";
constexpr Sql kOldest = "SELECT written_at FROM entries WHERE seq > ? ORDER BY seq LIMIT 1";

// A file that grew beyond this in an outage is made small again once it is empty.
constexpr std::uint64_t kBytesKept = std::uint64_t{16} << 20;
constexpr std::size_t kReasonBytesMax = 512;
// Of an entry that no store has: its columns and their index.
constexpr std::uint64_t kRowBytes = 64;

std::uint64_t site_of(const JournalWrite& write) {
  const auto* event = std::get_if<sideeffects::EventWrite>(&write);
  return event == nullptr ? 0 : event->site.value;
}

core::Error unusable(const std::string& directory, const std::string& why) {
  return core::Error{core::ErrorKind::Unavailable,
                     "journal in " + directory + ": " + why + "; see store.state_dir"};
}

}  // namespace

core::Result<std::unique_ptr<SqliteJournal>> SqliteJournal::open(const JournalOptions& options) {
  std::error_code failed;
  if (!fs::is_directory(options.directory, failed))
    return unusable(options.directory, "it is not a directory that can be used");
  std::unique_ptr<SqliteJournal> journal(new SqliteJournal(options));
  if (auto taken = journal->take_lock(); !taken) return taken.error();
  auto opened = journal->open_file();
  if (!opened && opened.error().kind == core::ErrorKind::Corrupt && options.may_begin_anew) {
    opened = journal->begin_anew();
  }
  if (!opened) return opened.error();
  return journal;
}

SqliteJournal::~SqliteJournal() {
  connection_.reset();
  if (lock_ >= 0) ::close(lock_);
}

// Two processes with one journal would replay each other's entries. The kernel lets go of it when we die.
core::Result<void> SqliteJournal::take_lock() {
  const std::string path = options_.directory + "/journal.lock";
  lock_ = ::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0640);
  if (lock_ < 0) return unusable(options_.directory, std::strerror(errno));
  if (::flock(lock_, LOCK_EX | LOCK_NB) != 0) {
    return unusable(options_.directory, errno == EWOULDBLOCK
                                            ? "another process uses it; each needs its own"
                                            : std::strerror(errno));
  }
  return {};
}

bool SqliteJournal::in_use(const std::string& directory) {
  const int lock = ::open((directory + "/journal.lock").c_str(), O_RDWR | O_CLOEXEC);
  if (lock < 0) return false;
  const bool free = ::flock(lock, LOCK_EX | LOCK_NB) == 0;
  const bool taken = !free && errno == EWOULDBLOCK;
  ::close(lock);
  return taken;
}

core::Result<std::string> SqliteJournal::move_aside(const std::string& why) {
  connection_.reset();
  std::error_code failed;
  const fs::path file = fs::path(options_.directory) / kJournalFile;
  fs::path aside;
  for (int number = 1; aside.empty() || fs::exists(aside, failed); ++number)
    aside = file.string() + "." + why + "-" + std::to_string(number);
  fs::rename(file, aside, failed);
  if (failed) return unusable(options_.directory, failed.message());
  // They belong to the file that was moved; beside a new one they would be taken for its own.
  fs::rename(file.string() + "-wal", aside.string() + "-wal", failed);
  fs::remove(file.string() + "-shm", failed);
  return aside.string();
}

core::Result<void> SqliteJournal::begin_anew() {
  auto moved = move_aside("damaged");
  if (!moved) return moved.error();
  if (options_.on_damaged) options_.on_damaged(*moved);
  pending_aside_.clear();
  return open_file();
}

core::Result<void> SqliteJournal::belong_to(const std::string& store) {
  const std::lock_guard lock(mutex_);
  owner_ = store;
  if (owner_noted_ == store) return {};
  const sideeffects::JournalReading held = reading();
  if (owner_noted_.empty() || held.entries + held.set_aside == 0) return {};
  auto moved = move_aside("of-another-store");
  if (!moved) return moved.error();
  foreign_ = *std::move(moved);
  return open_file();
}

core::Result<void> SqliteJournal::note_owner() {
  if (owner_.empty() || owner_noted_ == owner_) return {};
  Query query = connection_->query(kNoteOwner);
  return query.bind(std::string_view(owner_)).run();
}

core::Result<void> SqliteJournal::open_file() {
  auto opened = SqliteConnection::open({.path = options_.directory + "/" + kJournalFile,
                                        .durability = Durability::OnDisk,
                                        .cache_kib = 2048});
  if (!opened) return opened.error();
  connection_ = *std::move(opened);
  auto filled = fill_file();
  if (!filled) connection_.reset();
  return filled;
}

core::Result<void> SqliteJournal::fill_file() {
  if (auto made = connection_->execute(kSchema); !made) return made;
  if (read_through_ > 0) {
    if (auto counted = count_on(); !counted) return counted;
  }
  owner_noted_.clear();
  {
    Query query = connection_->query(kOwner);
    const auto row = query.step();
    if (!row) return row.error();
    if (*row) owner_noted_ = query.text(0);
  }
  const auto entries = count(removed_, INT64_MAX);
  if (!entries) return entries.error();
  entries_ = *entries;
  tell();
  return {};
}

// What was read of an earlier file may yet be removed by its number: this one goes on counting behind it.
core::Result<void> SqliteJournal::count_on() {
  for (const char* text :
       {"INSERT INTO sqlite_sequence (name, seq) SELECT 'entries', ?1"
        " WHERE NOT EXISTS (SELECT 1 FROM sqlite_sequence WHERE name = 'entries')",
        "UPDATE sqlite_sequence SET seq = ?1 WHERE name = 'entries' AND seq < ?1"}) {
    Query query = connection_->query(text);
    if (auto done = query.bind(static_cast<std::int64_t>(read_through_)).run(); !done) return done;
  }
  return {};
}

core::Result<void> SqliteJournal::append(std::span<const JournalWrite> writes, core::WallTime at) {
  const std::lock_guard lock(mutex_);
  if (connection_ == nullptr) {  // It was damaged, and could not be begun anew.
    if (auto opened = open_file(); !opened) return opened;
  }
  std::vector<std::string> bodies;
  bodies.reserve(writes.size());
  std::uint64_t bytes = reading().bytes;
  for (const JournalWrite& write : writes) {
    bodies.push_back(encode_journal(write));
    bytes += bodies.back().size() + kRowBytes;
  }
  if (bytes > options_.bytes_max) {
    return core::Error{core::ErrorKind::Unavailable,
                       "journal " + connection_->path() + ": it holds " +
                           std::to_string(reading().bytes) + " bytes of the " +
                           std::to_string(options_.bytes_max) +
                           " it may (store.journal_max); bring the store back"};
  }
  core::Result<void> kept = append_bodies(writes, bodies, at);
  if (!kept && kept.error().kind == core::ErrorKind::Corrupt) {
    if (auto anew = begin_anew(); !anew) return anew;
    kept = append_bodies(writes, bodies, at);
  }
  if (!kept) return kept;
  if (!owner_.empty()) owner_noted_ = owner_;
  entries_ += writes.size();
  tell();
  return {};
}

core::Result<void> SqliteJournal::append_bodies(std::span<const JournalWrite> writes,
                                                std::span<const std::string> bodies,
                                                core::WallTime at) {
  auto transaction = Transaction::write(*connection_);
  if (!transaction) return transaction.error();
  if (auto noted = note_owner(); !noted) return noted;
  for (std::size_t i = 0; i < writes.size(); ++i) {
    Query query = connection_->query(kAppend);
    query.bind(core::to_unix_ms(at)).bind(kJournalVersion).bind(journal_kind(writes[i]));
    query.bind(static_cast<std::int64_t>(site_of(writes[i]))).bind(std::string_view(bodies[i]));
    if (auto done = query.run(); !done) return done;
  }
  return transaction->commit();
}

core::Result<std::vector<JournalEntry>> SqliteJournal::read(std::size_t limit) {
  const std::lock_guard lock(mutex_);
  if (connection_ == nullptr) return unusable(options_.directory, "its file cannot be opened");
  auto page = read_page(removed_, limit);
  if (!page && page.error().kind == core::ErrorKind::Corrupt) {
    if (auto anew = begin_anew(); !anew) return anew.error();
    page = read_page(removed_, limit);
  }
  if (!page) return page;
  if (page->empty()) {
    // What was counted may have been wrong; that there is nothing is sure.
    if (std::exchange(entries_, 0) != 0) tell();
  } else {
    read_through_ = std::max(read_through_, page->back().seq);
  }
  return page;
}

core::Result<std::vector<JournalEntry>> SqliteJournal::read_after(std::uint64_t after,
                                                                  std::size_t limit) {
  const std::lock_guard lock(mutex_);
  if (connection_ == nullptr) return unusable(options_.directory, "its file cannot be opened");
  const auto newest = connection_->number(kNewest);
  if (!newest) return newest.error();
  const bool anew = static_cast<std::int64_t>(after) > newest->value_or(0);
  return read_page(anew ? 0 : after, limit);
}

core::Result<std::vector<JournalEntry>> SqliteJournal::read_page(std::uint64_t after,
                                                                 std::size_t limit) {
  std::vector<JournalEntry> entries;
  Query query = connection_->query(kRead);
  query.bind(static_cast<std::int64_t>(after)).bind(static_cast<std::int64_t>(limit));
  for (;;) {
    const auto row = query.step();
    if (!row) return row.error();
    if (!*row) return entries;
    JournalEntry& entry = entries.emplace_back();
    entry.seq = static_cast<std::uint64_t>(query.integer(0));
    if (query.integer(1) > kJournalVersion) {
      entry.problem = "a newer version of this program wrote it";
      continue;
    }
    auto write = decode_journal(query.text(2), query.text(3));
    if (write) {
      entry.write = *std::move(write);
    } else {
      entry.problem = write.error().message;
    }
  }
}

void SqliteJournal::remove(std::uint64_t seq) {
  const std::lock_guard lock(mutex_);
  if (connection_ == nullptr) return;
  const auto gone = count(removed_, seq);
  removed_ = std::max(removed_, seq);
  // What a full disk keeps now goes with a later one. Replayed once more after a restart, the store absorbs it.
  (void)forget();
  // Not counted: told too many until a read finds none. Too few would open the straight way ahead of what is left.
  if (gone) entries_ -= std::min(entries_, *gone);
  tell();
  if (entries_ == 0) shrink();
}

core::Result<void> SqliteJournal::forget() {
  auto transaction = Transaction::write(*connection_);
  if (!transaction) return transaction.error();
  for (const PendingAside& one : pending_aside_) {
    Query copy = connection_->query(kSetAside);
    copy.bind(static_cast<std::int64_t>(one.seq)).bind(std::string_view(one.reason));
    if (auto done = copy.bind(core::to_unix_ms(one.at)).run(); !done) return done;
  }
  {
    Query query = connection_->query(kRemove);
    if (auto done = query.bind(static_cast<std::int64_t>(removed_)).run(); !done) return done;
  }
  if (auto done = transaction->commit(); !done) return done;
  pending_aside_.clear();
  return {};
}

// One that the store never takes must not hold up the others, also where the disk has no room for it twice.
core::Result<void> SqliteJournal::set_aside(std::uint64_t seq, const std::string& reason,
                                            core::WallTime at) {
  const std::lock_guard lock(mutex_);
  if (connection_ == nullptr) return unusable(options_.directory, "its file cannot be opened");
  if (pending_aside_.size() >= kPendingAsideMax)
    return unusable(options_.directory, "its disk does not take what is set aside");
  pending_aside_.push_back({.seq = seq, .reason = to_utf8(reason, kReasonBytesMax), .at = at});
  removed_ = std::max(removed_, seq);
  (void)forget();
  entries_ -= std::min<std::uint64_t>(entries_, 1);
  tell();
  return {};
}

core::Result<std::vector<sideeffects::SetAside>> SqliteJournal::list_set_aside(std::size_t limit) {
  const std::lock_guard lock(mutex_);
  std::vector<sideeffects::SetAside> all;
  if (connection_ == nullptr) return all;
  Query query = connection_->query(kListAside);
  query.bind(static_cast<std::int64_t>(limit));
  for (;;) {
    const auto row = query.step();
    if (!row) return row.error();
    if (!*row) return all;
    all.push_back({.seq = static_cast<std::uint64_t>(query.integer(0)),
                   .site = core::SiteId{static_cast<std::uint64_t>(query.integer(1))},
                   .at = query.time(2),
                   .reason = std::string(query.text(3))});
  }
}

core::Result<std::uint64_t> SqliteJournal::count(std::uint64_t after, std::uint64_t through) {
  Query query = connection_->query(kCount);
  query.bind(static_cast<std::int64_t>(after));
  const auto row = query.bind(static_cast<std::int64_t>(through)).step();
  if (!row) return row.error();
  return static_cast<std::uint64_t>(query.integer(0));
}

// The way of the writes hangs on `entries`; the other numbers are for people, and when they cannot be read the old ones stay.
void SqliteJournal::tell() {
  sideeffects::JournalReading now = reading();
  now.entries = entries_;
  now.bytes_max = options_.bytes_max;
  now.oldest = core::kNoWallTime;
  {
    Query query = connection_->query(kOldest);
    const auto row = query.bind(static_cast<std::int64_t>(removed_)).step();
    if (row && *row) now.oldest = query.time(0);
  }
  constexpr std::array<const char*, 4> kTexts{"SELECT count(*) FROM set_aside", "PRAGMA page_count",
                                              "PRAGMA freelist_count", "PRAGMA page_size"};
  std::array<std::uint64_t, 4> numbers{};
  bool all = true;
  for (std::size_t i = 0; i < kTexts.size() && all; ++i) {
    const auto number = connection_->number(kTexts[i]);
    all = number.has_value();
    if (all) numbers[i] = static_cast<std::uint64_t>(number->value_or(0));
  }
  if (all) {
    now.set_aside = numbers[0] + pending_aside_.size();
    now.bytes = (numbers[1] - numbers[2]) * numbers[3];
  }
  const std::lock_guard lock(reading_mutex_);
  reading_ = now;
}

void SqliteJournal::shrink() {
  const auto pages = connection_->number("PRAGMA page_count");
  if (!pages || static_cast<std::uint64_t>(pages->value_or(0)) * 4096 < kBytesKept) return;
  (void)connection_->execute("VACUUM");
}

void SqliteJournal::look_again() {
  const std::lock_guard lock(mutex_);
  if (connection_ != nullptr) tell();
}

sideeffects::JournalReading SqliteJournal::reading() const {
  const std::lock_guard lock(reading_mutex_);
  return reading_;
}

}  // namespace watchwheel::db
