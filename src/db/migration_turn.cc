// SPDX-License-Identifier: Apache-2.0
#include "db/migration_turn.h"

#include <pthread.h>
#include <unistd.h>

#include <random>
#include <utility>

namespace watchwheel::db {
namespace {

constexpr const char* kTable =
    "CREATE TABLE IF NOT EXISTS schema_turn (only_row TINYINT NOT NULL PRIMARY KEY, holder "
    "VARCHAR(64) NOT NULL,"
    " beat BIGINT NOT NULL) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin";
constexpr Sql kInsert = "INSERT IGNORE INTO schema_turn (only_row, holder, beat) VALUES (1, ?, 0)";
constexpr Sql kLook = "SELECT holder, beat FROM schema_turn WHERE only_row = 1";
constexpr Sql kInherit =
    "UPDATE schema_turn SET holder = ?, beat = beat + 1 WHERE only_row = 1 AND holder = ? AND beat "
    "= ?";
constexpr Sql kCountUp = "UPDATE schema_turn SET beat = beat + 1 WHERE only_row = 1 AND holder = ?";
constexpr Sql kGiveBack = "DELETE FROM schema_turn WHERE only_row = 1 AND holder = ?";
constexpr std::chrono::milliseconds kPoll{200};

// Nobody else's, and tells an administrator where to look.
std::string own_name() {
  std::string host(64, '\0');
  if (gethostname(host.data(), host.size() - 1) != 0) host = "?";
  host.resize(std::min<std::size_t>(host.find('\0'), 32));
  std::random_device random;
  return host + " " + std::to_string(getpid()) + " " + std::to_string(random());
}

}  // namespace

MigrationTurn::MigrationTurn(std::unique_ptr<Connection> session, Pace pace, std::string name)
    : session_(std::move(session)), pace_(pace), name_(std::move(name)) {}

core::Result<std::unique_ptr<MigrationTurn>> MigrationTurn::take(
    std::unique_ptr<Connection> session, Pace pace) {
  std::unique_ptr<MigrationTurn> turn(new MigrationTurn(std::move(session), pace, own_name()));
  if (auto waited = turn->wait_for_it(); !waited) return waited.error();
  turn->start();
  return turn;
}

core::Result<void> MigrationTurn::wait_for_it() {
  Watch watch;
  int unheard = 0;
  while (true) {
    const core::Result<bool> taken = poll(watch);
    if (taken && *taken) return {};
    if (!taken && taken.error().kind != core::ErrorKind::Unavailable &&
        taken.error().kind != core::ErrorKind::Unknown)
      return taken.error();
    unheard = taken ? 0 : unheard + 1;
    if (!taken && unheard >= pace_.unheard_polls) return taken.error();
    // A server that answers and will not make the table refuses us.
    if (!taken && !watch.has_table && session_->number("SELECT 1")) return taken.error();
    if (!taken) watch.silent = 0;
    pause();
  }
}

// True: it is ours.
core::Result<bool> MigrationTurn::poll(Watch& watch) {
  if (!watch.has_table) {
    if (auto made = session_->apply_schema(kTable); !made) return made.error();
    watch.has_table = true;
  }
  const core::Result<bool> taken = insert();
  if (!taken || *taken) return taken;
  const core::Result<Seen> seen = look();
  if (!seen) return seen.error();
  if (seen->holder == name_) return true;  // The answer to our own insert was lost.
  watch.silent = *seen == watch.last ? watch.silent + 1 : 0;
  watch.last = *seen;
  if (watch.silent < pace_.silent_polls || watch.last.beat < 0) return false;
  return inherit(watch.last);
}

// Here and not at the server, which may not answer.
void MigrationTurn::pause() {
  std::unique_lock lock(mutex_);
  wake_.wait_for(lock, kPoll, [this] { return stopping_; });
}

core::Result<MigrationTurn::Seen> MigrationTurn::look() {
  Query query = session_->query(kLook);
  core::Result<bool> row = query.step();
  if (!row) return row.error();
  if (!*row) return Seen{};  // Given back in this moment.
  return Seen{.holder = std::string(query.text(0)), .beat = query.integer(1)};
}

core::Result<bool> MigrationTurn::changed(Query& query) {
  if (core::Result<void> done = query.run(); !done) return done.error();
  return session_->rows_changed() != 0;
}

core::Result<bool> MigrationTurn::insert() {
  return retried(*session_, [&]() -> core::Result<bool> {
    Query query = session_->query(kInsert);
    query.bind(std::string_view(name_));
    return changed(query);
  });
}

core::Result<bool> MigrationTurn::inherit(const Seen& from) {
  return retried(*session_, [&]() -> core::Result<bool> {
    Query query = session_->query(kInherit);
    query.bind(std::string_view(name_)).bind(std::string_view(from.holder)).bind(from.beat);
    return changed(query);
  });
}

void MigrationTurn::start() {
  held_ = true;
  thread_ = std::thread([this] { count_up(); });
}

void MigrationTurn::count_up() noexcept {
  pthread_setname_np(pthread_self(), "migration-turn");
  std::unique_lock lock(mutex_);
  while (held_ && !wake_.wait_for(lock, pace_.beat, [this] { return stopping_; })) {
    lock.unlock();
    {
      Query query = session_->query(kCountUp);
      query.bind(std::string_view(name_));
      // An error is no loss: while nobody else can write either, nobody takes it.
      if (const core::Result<bool> counted = changed(query); counted && !*counted) held_ = false;
    }
    lock.lock();
  }
}

MigrationTurn::~MigrationTurn() {
  if (!thread_.joinable()) return;
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  wake_.notify_one();
  thread_.join();
  if (!held_) return;
  // What cannot be given back is inherited after a silence.
  (void)retried(*session_, [&]() -> core::Result<bool> {
    Query query = session_->query(kGiveBack);
    query.bind(std::string_view(name_));
    return changed(query);
  });
}

}  // namespace watchwheel::db
