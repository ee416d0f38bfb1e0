// SPDX-License-Identifier: Apache-2.0
// Goal: while the store is away people are told from this host's file, once and in order, with the ids the store would have given, and
// nothing is told again when it is back; whenever the process dies. Method: a store and a notices file, both SQLite, the real router
// between them, a sender that takes everything, and a switch for the store. Nothing waits.
#include "sideeffects/away_notices.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <map>
#include <memory>
#include <random>
#include <set>
#include <span>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include "app/local_notices.h"
#include "db/sql_delivery_queue.h"
#include "db/sql_event_store.h"
#include "db/sql_maintenance_store.h"
#include "db/sql_notice_mirror.h"
#include "db/sql_outbox.h"
#include "db/sqlite.h"
#include "db/sqlite_store.h"
#include "sideeffects/notice_router.h"
#include "support/fake_journal.h"
#include "support/temp_dir.h"

namespace watchwheel::app {
namespace {

using namespace std::chrono_literals;
using core::SiteState;
using core::TransitionReason;
using sideeffects::EventWrite;
using sideeffects::Finish;
using sideeffects::NoticePhase;
using sideeffects::NotifyTargets;

sideeffects::NotifyTarget target_of(const std::string& name, std::vector<std::string> tags = {}) {
  sideeffects::NotifyTarget target;
  target.channel.name = name;
  target.tags = std::move(tags);
  return target;
}

template <typename T>
std::unique_ptr<T> must(core::Result<std::unique_ptr<T>> made) {
  EXPECT_TRUE(made) << made.error().message;
  return *std::move(made);
}

std::unique_ptr<db::SqliteConnection> open(const std::string& path) {
  return must(db::SqliteConnection::open({.path = path}));
}

// A store's outbox and queue, with a plug.
class Plugged final : public sideeffects::Outbox, public sideeffects::DeliveryQueue {
 public:
  Plugged(const std::string& path, const bool& away)
      : outbox_(open(path)), queue_(open(path)), away_(away) {}
  static core::Error gone() { return {core::ErrorKind::Unavailable, "away"}; }
  core::Result<std::vector<sideeffects::Notice>> take(
      std::size_t limit, const std::function<bool(core::SiteId)>& mine) override {
    if (away_) return gone();
    return outbox_.take(limit, mine);
  }
  core::Result<sideeffects::Settling> settle(std::span<const sideeffects::NoticeId> notices,
                                             std::span<const sideeffects::NewDelivery> deliveries,
                                             std::span<const sideeffects::NewWake> wakes) override {
    if (away_) return gone();
    return outbox_.settle(notices, deliveries, wakes);
  }
  core::Result<Level> level() override {
    if (away_) return gone();
    return outbox_.level();
  }
  core::Result<sideeffects::Claimed> claim(std::span<const sideeffects::Want> wants,
                                           core::Duration lease,
                                           const sideeffects::Claimer& claimer) override {
    if (away_) return gone();
    return queue_.claim(wants, lease, claimer);
  }
  core::Result<std::vector<sideeffects::DeliveryId>> finish(
      std::span<const Finish> finished) override {
    if (away_) return gone();
    return queue_.finish(finished);
  }
  core::Result<std::vector<sideeffects::DeliveryId>> extend(std::span<const sideeffects::Held> held,
                                                            core::Duration lease) override {
    return queue_.extend(held, lease);
  }
  core::Result<std::uint64_t> release_former(const sideeffects::Claimer& claimer) override {
    if (away_) return gone();
    return queue_.release_former(claimer);
  }
  core::Result<std::uint64_t> bury_waiting(std::string_view target, sideeffects::DeathReason reason,
                                           std::size_t limit) override {
    return queue_.bury_waiting(target, reason, limit);
  }
  core::Result<std::uint64_t> bury_older(std::string_view target, sideeffects::DeathReason reason,
                                         core::Duration age, std::size_t limit) override {
    return queue_.bury_older(target, reason, age, limit);
  }
  core::Result<void> note_targets(std::span<const std::string> targets) override {
    return queue_.note_targets(targets);
  }
  core::Result<std::vector<sideeffects::TargetLevel>> levels() override { return queue_.levels(); }
  core::Result<std::uint64_t> purge(const sideeffects::DeliveryRetention& retention,
                                    std::size_t limit) override {
    return queue_.purge(retention, limit);
  }

 private:
  db::SqlOutbox outbox_;
  db::SqlDeliveryQueue queue_;
  const bool& away_;
};

class NoLog final : public Log {
 public:
  void write(LogLevel, std::string_view) noexcept override {}
  [[nodiscard]] bool enabled(LogLevel) const noexcept override { return false; }
};

struct Sent {
  std::string target, kind, id;
  std::uint64_t site = 0;
  std::string began;  // Of its first outage.
};

class Host {
 public:
  explicit Host(NotifyTargets targets = {target_of("ops")}) : targets_(std::move(targets)) {
    const auto store = must(db::SqliteStore::open(store_file()));
    EXPECT_TRUE(store->migrate(false));
    events_ = std::make_unique<db::SqlEventStore>(open(store_file()));
    sql(store_file(),
        "INSERT INTO sites (id, url, url_hash, name, tags, created_at, updated_at, change_seq)"
        " WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 20)"
        " SELECT i, 'http://s' || i || '/', 0, 's' || i, '[\"t' || (i % 2) || '\"]', 1, 1, i FROM "
        "n");
    begin();
    sql(notices_file(),
        "INSERT INTO known_sites SELECT i, 'http://s' || i || '/', 's' || i,"
        " '[\"t' || (i % 2) || '\"]' FROM (WITH RECURSIVE n (i) AS (SELECT 1 UNION"
        " ALL SELECT i + 1 FROM n WHERE i < 20) SELECT i FROM n)");
  }
  std::string store_file() const { return dir_.file("store.db"); }
  std::string notices_file() const { return dir_.file("notices.db"); }
  void wait(core::Duration time) { clock_.advance(time); }
  static void sql(const std::string& file, const std::string& text) {
    const auto done = open(file)->execute(text);
    EXPECT_TRUE(done) << done.error().message;
  }
  std::int64_t number(const std::string& text) const {
    return open(store_file())->number(text.c_str()).value().value_or(0);
  }

  // As after a SIGKILL: what was in memory is gone. `store`: it is there.
  void begin(bool store = true) {
    end();
    ASSERT_TRUE(db::prepare_notices_file(notices_file(), store ? "one" : ""));
    shared_ = std::make_unique<sideeffects::AwayShared>();
    plugged_ = std::make_unique<Plugged>(store_file(), away_);
    here_outbox_ = std::make_unique<db::SqlOutbox>(open(notices_file()));
    here_queue_ = std::make_unique<db::SqlDeliveryQueue>(open(notices_file()));
    finish_ = std::make_unique<db::SqlMirrorFinish>(open(notices_file()));
    recent_ = std::make_unique<db::SqlRecentWrites>(open(notices_file()));
    mirror_ = must(db::SqlNoticeMirror::open(notices_file(), store ? open(store_file()) : nullptr));
    sideeffects::AwayOutbox::Settings settings;
    settings.away = [this] {
      clock_.advance(slow_);
      return away_ || !kept_.empty();
    };
    journal_.on_read_after([this] { clock_.advance(slow_); });
    settings.alone = [this] { return alone_; };
    outbox_ = std::make_unique<sideeffects::AwayOutbox>(settings, store ? plugged_.get() : nullptr,
                                                        *here_outbox_, *mirror_, *recent_, journal_,
                                                        *shared_, clock_);
    queue_ = std::make_unique<sideeffects::AwayQueue>(store ? plugged_.get() : nullptr,
                                                      *here_queue_, *finish_, *shared_);
    router_ = std::make_unique<sideeffects::NoticeRouter>(
        sideeffects::NoticeRouter::Settings{}, *outbox_,
        std::make_shared<const NotifyTargets>(targets_), clock_, 7);
    claimer_ = {.node = "n", .run = ++runs_};
    released_ = false;
  }
  void end() {
    router_.reset();
    queue_.reset();
    outbox_.reset();
    mirror_.reset();
    recent_.reset();
    finish_.reset();
    here_queue_.reset();
    here_outbox_.reset();
    plugged_.reset();
  }

  // ---- What happens to sites.
  void down(std::uint64_t site, core::WallTime group = core::kNoWallTime) {
    open_[site] = {.started = clock_.wall(), .group = group};
    clock_.advance(1s);
    change(site, 1, TransitionReason::Opened, SiteState::Up, SiteState::SeemsDown);
    confirm(site);
  }
  void opened(std::uint64_t site) {
    open_[site] = {.started = clock_.wall(), .group = core::kNoWallTime};
    clock_.advance(1s);
    change(site, 1, TransitionReason::Opened, SiteState::Up, SiteState::SeemsDown);
  }
  void confirm(std::uint64_t site) {
    change(site, 2, TransitionReason::Confirmed, SiteState::SeemsDown, SiteState::Down);
  }
  void up(std::uint64_t site) {
    change(site, 3, TransitionReason::Recovered, SiteState::Down, SiteState::Up);
    open_.erase(site);
  }
  [[nodiscard]] bool is_open(std::uint64_t site) const { return open_.contains(site); }
  void go_away() { away_ = true; }
  // The replayer's work.
  void come_back() {
    away_ = false;
    for (const EventWrite& write : kept_) {
      EXPECT_TRUE(events_->commit({&write, 1}));
      if (outbox_) outbox_->note({&write, 1});
    }
    journal_.remove(UINT64_MAX);
    kept_.clear();
  }

  // ---- Router and worker.
  void route(int turns = 8) {
    for (int i = 0; i < turns; ++i) {
      clock_.advance(2s);
      router_->turn(clock_.steady());
    }
  }
  std::vector<sideeffects::Delivery> claim() {
    if (!released_) released_ = queue_->release_former(claimer_).has_value();
    std::vector<sideeffects::Want> wants;
    for (const auto& target : targets_) wants.push_back({.target = target.name(), .room = 20});
    auto claimed = queue_->claim(wants, 60s, claimer_);
    if (!claimed) return {};
    return std::move(claimed->deliveries);
  }
  static std::vector<Finish> taken(const std::vector<sideeffects::Delivery>& deliveries) {
    std::vector<Finish> finished;
    for (const auto& one : deliveries)
      finished.push_back({.id = one.id, .token = one.token, .verdict = sideeffects::Delivered{}});
    return finished;
  }
  void deliver(const std::vector<sideeffects::Delivery>& deliveries) {
    for (const auto& one : deliveries) {
      const auto message = sideeffects::decode_message(one.body);
      EXPECT_TRUE(message) << one.body;
      sent.push_back({one.target, one.kind, one.message_id, one.site.value,
                      core::to_iso8601(message->sites.front().started_at)});
    }
    if (deliveries.empty()) return;
    EXPECT_TRUE(queue_->finish(taken(deliveries)));
  }
  // The file is full, or damaged; or is not any more.
  void refuse_writes(bool refuse) {
    for (const char* table :
         {"deliveries", "delivery_tellings", "outbox", "events", "mirror_meta"}) {
      for (const char* what : {"INSERT", "UPDATE", "DELETE"}) {
        const std::string name = std::string("refuse_") + table + what;
        sql(notices_file(), refuse ? "CREATE TRIGGER " + name + " BEFORE " + what + " ON " + table +
                                         " BEGIN SELECT RAISE(ABORT, 'full'); END"
                                   : "DROP TRIGGER " + name);
      }
    }
  }
  void send() {
    for (int i = 0; i < 6; ++i) deliver(claim());
  }
  void work() {
    route();
    send();
    route(3);
    send();
  }
  // "ops down 1, ops up 1".
  std::string told() const {
    std::string text;
    for (const Sent& one : sent)
      text +=
          (text.empty() ? "" : ", ") + one.target + " " + one.kind + " " + std::to_string(one.site);
    return text;
  }
  NoticePhase phase() const { return shared_->phase(); }
  const sideeffects::AwayShared& shared() const { return *shared_; }
  sideeffects::DeliveryQueue& queue() { return *queue_; }
  // What a page of the journal takes, and a step on the way back.
  void set_slow(core::Duration each) { slow_ = each; }
  void set_alone(bool alone) { alone_ = alone; }
  const sideeffects::AwayStats& stats() const { return shared_->stats(); }

  std::vector<Sent> sent;

 private:
  struct Open {
    core::WallTime started, group;
    core::WallTime confirmed = core::kNoWallTime;
  };
  void change(std::uint64_t site, std::uint32_t seq, TransitionReason reason, SiteState before,
              SiteState after) {
    Open& open = open_.at(site);
    EventWrite write;
    write.site = core::SiteId{site};
    write.started_at = open.started;
    write.state = after;
    if (seq == 2) open.confirmed = clock_.wall();
    write.confirmed_at = open.confirmed;
    if (after == SiteState::Up) write.ended_at = clock_.wall();
    write.failures = seq;
    write.transitions_total = seq;
    write.group = open.group;
    write.transitions.push_back({.seq = seq,
                                 .reason = reason,
                                 .before = before,
                                 .after = after,
                                 .at = clock_.wall(),
                                 .failures = seq,
                                 .evidence = {}});
    if (away_ || !kept_.empty()) {
      const sideeffects::JournalWrite entry = write;
      EXPECT_TRUE(journal_.append({&entry, 1}, clock_.wall()));
      kept_.push_back(write);
    } else {
      EXPECT_TRUE(events_->commit({&write, 1}));
      if (outbox_) outbox_->note({&write, 1});
    }
    clock_.advance(10ms);
  }

  testing::TempDir dir_;
  core::ManualClock clock_;
  NotifyTargets targets_;
  bool away_ = false;
  bool alone_ = true;
  core::Duration slow_{};
  bool released_ = false;
  std::uint64_t runs_ = 0;
  sideeffects::Claimer claimer_;
  testing::FakeJournal journal_;
  std::vector<EventWrite> kept_;
  std::map<std::uint64_t, Open> open_;
  std::unique_ptr<db::SqlEventStore> events_;
  std::unique_ptr<sideeffects::AwayShared> shared_;
  std::unique_ptr<Plugged> plugged_;
  std::unique_ptr<db::SqlOutbox> here_outbox_;
  std::unique_ptr<db::SqlDeliveryQueue> here_queue_;
  std::unique_ptr<db::SqlMirrorFinish> finish_;
  std::unique_ptr<db::SqlRecentWrites> recent_;
  std::unique_ptr<db::SqlNoticeMirror> mirror_;
  std::unique_ptr<sideeffects::AwayOutbox> outbox_;
  std::unique_ptr<sideeffects::AwayQueue> queue_;
  std::unique_ptr<sideeffects::NoticeRouter> router_;
};

TEST(AwayNotices, WhatWasToldBeforeIsEndedMeanwhileAndWhatBeganMeanwhileIsEndedAfterwards) {
  Host host;
  host.down(1);
  host.work();
  EXPECT_EQ(host.told(), "ops down 1");
  host.go_away();
  host.up(1);
  host.down(2);
  host.work();
  EXPECT_EQ(host.phase(), NoticePhase::Away);
  EXPECT_EQ(host.told(), "ops down 1, ops up 1, ops down 2");
  host.come_back();
  host.work();
  EXPECT_EQ(host.phase(), NoticePhase::Straight);
  EXPECT_EQ(host.told(), "ops down 1, ops up 1, ops down 2");
  EXPECT_EQ(host.stats().handed_over.value(), 2U);
  host.up(2);
  host.work();
  EXPECT_EQ(host.told(), "ops down 1, ops up 1, ops down 2, ops up 2");
  // The store has the whole story, and nothing is left to be told.
  EXPECT_EQ(host.number("SELECT count(*) FROM delivery_tellings WHERE state = 'told'"), 4);
  EXPECT_EQ(host.number("SELECT count(*) FROM deliveries_done WHERE outcome = 'delivered'"), 4);
  EXPECT_EQ(host.number("SELECT count(*) FROM outbox"), 0);
  EXPECT_EQ(host.number("SELECT max(event_id) < 100 FROM delivery_tellings"), 1);
}

TEST(AwayNotices, MessagesHaveTheIdsThatTheStoreWouldHaveGiven) {
  Host there;
  Host here;
  for (Host* host : {&there, &here}) {
    host->down(1);
    host->work();
    if (host == &here) host->go_away();
    host->up(1);
    host->down(2);
    host->work();
    host->up(2);
    host->work();
  }
  ASSERT_EQ(there.told(), here.told());
  ASSERT_EQ(there.sent.size(), 4U);
  for (std::size_t i = 0; i < 4; ++i) EXPECT_EQ(there.sent[i].id, here.sent[i].id) << i;
}

TEST(AwayNotices, WhatWaitedInTheStoreIsToldInOrderAndNotAgain) {
  Host host;
  host.down(1);
  host.route();  // Decided, and not sent.
  host.go_away();
  host.up(1);
  host.work();
  EXPECT_EQ(host.told(), "ops down 1, ops up 1");
  host.come_back();
  host.work();
  host.work();
  EXPECT_EQ(host.told(), "ops down 1, ops up 1");
  EXPECT_EQ(host.number("SELECT count(*) FROM deliveries"), 0);
}

TEST(AwayNotices, WhatWasUnderWayWhenTheStoreWentIsNotSentTwice) {
  Host host;
  host.down(1);
  host.route();
  const auto under_way = host.claim();
  ASSERT_EQ(under_way.size(), 1U);
  host.go_away();
  host.down(2);
  host.work();
  EXPECT_EQ(host.told(), "ops down 2");  // Its twin is left alone.
  host.come_back();
  host.work();
  EXPECT_EQ(host.phase(), NoticePhase::Returning);  // It waits for what is under way.
  host.deliver(under_way);
  host.work();
  EXPECT_EQ(host.phase(), NoticePhase::Straight);
  EXPECT_EQ(host.told(), "ops down 2, ops down 1");
}

TEST(AwayNotices, WhatWasCommittedAndNotRoutedIsToldMeanwhile) {
  Host host;
  host.work();
  host.down(1);
  host.go_away();
  host.work();
  EXPECT_EQ(host.told(), "ops down 1");
  host.come_back();
  host.work();
  EXPECT_EQ(host.told(), "ops down 1");
}

TEST(AwayNotices, AProcessThatBeginsWhileTheStoreIsAwayGoesOn) {
  Host host;
  host.down(1);
  host.work();
  host.go_away();
  host.down(2);
  host.route();
  host.up(1);
  host.begin(false);
  host.work();
  EXPECT_EQ(host.told(), "ops down 1, ops down 2, ops up 1");
  host.begin(false);
  host.work();
  host.come_back();
  host.begin();
  host.work();
  EXPECT_EQ(host.told(), "ops down 1, ops down 2, ops up 1");
  EXPECT_EQ(host.phase(), NoticePhase::Straight);
}

TEST(AwayNotices, OfWhatIsNotKnownThoseAreToldTheEndWhoWouldHaveBeenToldTheBeginning) {
  Host host({target_of("all"), target_of("odd", {"t1"}), target_of("even", {"t0"})});
  host.down(1);
  host.opened(2);
  host.work();
  host.end();
  for (const char* end : {"", "-wal", "-shm"}) std::filesystem::remove(host.notices_file() + end);
  host.begin();
  Host::sql(host.notices_file(),
            "INSERT INTO known_sites VALUES (1, 'http://s1/', '', '[\"t1\"]'),"
            " (2, 'http://s2/', '', '[\"t0\"]')");
  host.sent.clear();
  host.go_away();
  host.up(1);
  host.confirm(2);
  host.work();
  std::multiset<std::string> told;
  for (const Sent& one : host.sent)
    told.insert(one.target + " " + one.kind + " " + std::to_string(one.site));
  EXPECT_EQ(told,
            (std::multiset<std::string>{"all up 1", "odd up 1", "all down 2", "even down 2"}));
  EXPECT_EQ(host.stats().presumed.value(), 2U);
  host.come_back();
  host.work();
  EXPECT_EQ(host.sent.size(), 4U) << host.told();
}

// Goal: a beginning that was committed, not routed, and is not known here any more is the store's to tell when it is back. Method: what
// was noted of it is lost, as of the oldest in a mass outage; one target hears of beginnings alone, so that none can be presumed.
TEST(AwayNotices, ABeginningThatIsLeftToTheStoreIsToldThere) {
  NotifyTargets targets{target_of("ops"), target_of("begins")};
  targets.back().states = {SiteState::Down};
  Host host(targets);
  host.work();
  host.down(1);
  host.down(2);
  Host::sql(host.notices_file(), "DELETE FROM recent");
  host.go_away();
  host.up(1);
  host.work();
  EXPECT_EQ(host.told(), "ops up 1");  // Presumed.
  host.come_back();
  host.work();
  host.work();
  std::multiset<std::string> told;
  for (const Sent& one : host.sent)
    told.insert(one.target + " " + one.kind + " " + std::to_string(one.site));
  EXPECT_EQ(told, (std::multiset<std::string>{"ops up 1", "begins down 1", "begins down 2",
                                              "ops down 2"}));
  EXPECT_EQ(host.number("SELECT count(*) FROM outbox"), 0);
}

// Goal: nobody is left with an outage that never ends. Method: a beginning as before; the one target is not told the end here, for its
// tag cannot be known.
TEST(AwayNotices, WhoHearsABeginningFromTheStoreHearsTheEndThere) {
  Host host({target_of("ops"), target_of("odd", {"t1"})});
  host.work();
  host.down(1);
  Host::sql(host.notices_file(), "DELETE FROM recent; DELETE FROM known_sites");
  host.go_away();
  host.up(1);
  host.work();
  EXPECT_EQ(host.told(), "ops up 1");  // Presumed.
  host.come_back();
  host.work();
  host.work();
  EXPECT_EQ(host.told(), "ops up 1, odd down 1, odd up 1");
  EXPECT_EQ(host.number("SELECT count(*) FROM outbox"), 0);
}

TEST(AwayNotices, AMassOutageIsOneMessageHereToo) {
  Host host;
  const core::WallTime group = core::from_unix_ms(1'699'999'999'000);
  host.down(1);
  host.work();
  host.go_away();
  for (std::uint64_t site = 2; site < 8; ++site) host.down(site, group);
  host.work();
  EXPECT_EQ(host.told(), "ops down 1");  // It waits for more of them.
  host.begin(false);
  Host::sql(host.notices_file(), "UPDATE outbox_wakes SET due_at = 1");
  host.work();
  EXPECT_EQ(host.told(), "ops down 1, ops down_group 0");
  host.come_back();
  host.begin();
  for (std::uint64_t site = 2; site < 8; ++site) host.up(site);
  host.work();
  Host::sql(host.store_file(), "UPDATE outbox_wakes SET due_at = 1");
  host.work();
  EXPECT_EQ(host.told(), "ops down 1, ops down_group 0, ops up_group 0");
  EXPECT_EQ(host.number("SELECT count(DISTINCT line) FROM delivery_tellings t JOIN outage_groups g"
                        " JOIN deliveries d ON d.id = t.delivery_id"),
            0);
}

TEST(AwayNotices, RemindersGoOnAndAreNotToldTwice) {
  NotifyTargets targets{target_of("ops")};
  targets.front().remind = 1h;
  Host host(targets);
  host.down(1);
  host.work();
  host.go_away();
  host.down(2);
  host.work();
  Host::sql(host.notices_file(), "UPDATE outbox_wakes SET due_at = 1");
  host.work();
  EXPECT_EQ(host.told(), "ops down 1, ops down 2, ops reminder 1, ops reminder 2");
  host.come_back();
  host.work();
  // One for each, an hour from now; the one that the store had was told here.
  EXPECT_EQ(host.number("SELECT count(*) FROM outbox_wakes"), 2);
  EXPECT_EQ(host.number("SELECT count(DISTINCT event_id) FROM outbox_wakes"), 2);
  Host::sql(host.store_file(), "UPDATE outbox_wakes SET due_at = 1");
  host.work();
  EXPECT_EQ(host.sent.size(), 6U) << host.told();
}

TEST(AwayNotices, AHandoverThatIsDoneAgainHandsNothingOverTwice) {
  Host host;
  host.down(1);
  host.work();
  host.go_away();
  host.up(1);
  host.down(2);
  host.work();
  host.down(3);
  host.route();  // Not sent: it becomes the store's to send.
  host.end();
  const std::string kept = host.notices_file() + ".kept";
  std::filesystem::copy_file(host.notices_file(), kept);
  host.come_back();
  host.begin();
  host.route(1);  // Handed over; nothing was sent since.
  EXPECT_EQ(host.phase(), NoticePhase::Straight);
  host.end();
  for (const char* end : {"", "-wal", "-shm"}) std::filesystem::remove(host.notices_file() + end);
  std::filesystem::rename(kept, host.notices_file());
  host.begin();
  host.work();
  EXPECT_EQ(host.told(), "ops down 1, ops up 1, ops down 2, ops down 3");
  EXPECT_EQ(host.number("SELECT count(*) FROM delivery_tellings"), 4);
  EXPECT_EQ(host.number("SELECT count(*) FROM outbox"), 0);
}

TEST(AwayNotices, AmongSeveralHostsNoticesWaitForTheStore) {
  Host host;
  host.set_alone(false);
  host.work();
  host.go_away();
  host.down(1);
  host.work();
  EXPECT_EQ(host.told(), "");
  EXPECT_EQ(host.phase(), NoticePhase::Straight);
  host.come_back();
  host.work();
  host.work();
  EXPECT_EQ(host.told(), "ops down 1");
}

TEST(AwayNotices, AFileThatCannotBeReadHoldsUpNobody) {
  Host host;
  host.down(1);
  host.work();
  Host::sql(host.notices_file(), "DROP TABLE delivery_tellings; DROP TABLE mirror_meta");
  host.down(2);
  host.work();
  host.work();
  host.up(1);
  host.work();
  EXPECT_EQ(host.told(), "ops down 1, ops down 2, ops up 1");
  EXPECT_GT(host.stats().errors.value(), 0U);
}

// Goal: a file that is full, or damaged, while the store is away holds nobody up for longer than that. Method: of two deliveries under
// way one is the store's and one the file's; the file refuses writes from then on until after the way back.
TEST(AwayNotices, AFileThatTakesNoWritesDoesNotHoldTheWayBack) {
  Host host;
  host.down(1);
  host.route();
  const auto of_store = host.claim();
  host.go_away();
  host.down(2);
  host.route();
  const auto of_file = host.claim();
  ASSERT_EQ(of_store.size() + of_file.size(), 2U);
  host.refuse_writes(true);
  host.down(3);
  for (const auto& some : {of_store, of_file})
    EXPECT_FALSE(host.queue().finish(Host::taken(some)));  // The file may take it in a moment.
  host.come_back();
  host.route();
  EXPECT_EQ(host.phase(), NoticePhase::Returning);
  host.deliver(of_store);
  host.deliver(of_file);
  host.work();
  EXPECT_EQ(host.phase(), NoticePhase::Straight);
  EXPECT_GT(host.stats().errors.value(), 0U);
  // The second was sent; nobody could note it.
  EXPECT_EQ(host.told(), "ops down 1, ops down 2, ops down 2, ops down 3");
  EXPECT_EQ(host.sent[1].id, host.sent[2].id);

  // What was left in the file is no business of the next time.
  host.refuse_writes(false);
  host.sent.clear();
  host.up(1);
  host.work();
  host.go_away();
  host.up(2);
  host.work();
  EXPECT_EQ(host.phase(), NoticePhase::Away);
  host.come_back();
  host.up(3);
  host.work();
  EXPECT_EQ(host.phase(), NoticePhase::Straight);
  EXPECT_EQ(host.told(), "ops up 1, ops up 2, ops up 3");
  EXPECT_EQ(host.number("SELECT count(*) FROM deliveries"), 0);
}

// Goal: a long journal and a slow way back take many turns of the router, not a long one; who is read of is told meanwhile, and nothing
// is left out. Method: a page, and a step, take 300 ms.
TEST(AwayNotices, ATurnOfTheRouterIsShortHoweverMuchThereIs) {
  Host host;
  host.work();
  host.go_away();
  std::int64_t entries = 0;
  for (int i = 0; i < 10; ++i) {
    for (std::uint64_t site = 1; site <= 20; ++site) {
      host.down(site);
      host.up(site);
      entries += 3;
    }
  }
  host.set_slow(300ms);
  const auto read = [&] {
    return open(host.notices_file())
        ->number("SELECT value FROM mirror_meta WHERE key = 'journal_read'")
        .value()
        .value_or(0);
  };
  host.route(1);
  EXPECT_EQ(read(), 200);
  host.route(1);
  EXPECT_EQ(read(), 400);
  host.deliver(host.claim());
  EXPECT_FALSE(host.sent.empty());
  host.route(1);
  EXPECT_EQ(read(), entries);
  while (host.sent.size() < 400) {
    const std::size_t before = host.sent.size();
    host.work();
    ASSERT_GT(host.sent.size(), before);
  }
  host.come_back();
  host.route(1);
  EXPECT_EQ(host.phase(), NoticePhase::Returning);
  for (int i = 0; i < 20 && host.phase() != NoticePhase::Straight; ++i) host.route(1);
  EXPECT_EQ(host.phase(), NoticePhase::Straight);
  EXPECT_EQ(host.stats().handed_over.value(), 400U);
  host.work();
  EXPECT_EQ(host.sent.size(), 400U);
  EXPECT_EQ(host.number("SELECT count(*) FROM delivery_tellings WHERE state = 'told'"), 400);
  EXPECT_EQ(host.number("SELECT count(*) FROM outbox"), 0);
}

// Goal: names do not pile up of sites that are long gone, and of those that are there none is lost. Method: the store purges two of 20.
TEST(AwayNotices, NamesOfSitesThatTheStoreHasForgottenAreForgotten) {
  Host host;
  Host::sql(host.store_file(),
            "UPDATE sites SET deleted_at = 1 WHERE id IN (3, 7, 9);"
            "DELETE FROM sites WHERE id IN (3, 7)");
  host.down(1);
  host.work();
  const auto names = [&](const char* where) {
    return open(host.notices_file())
        ->number((std::string("SELECT count(*) FROM known_sites") + where).c_str())
        .value();
  };
  EXPECT_EQ(names(""), 18);
  EXPECT_EQ(names(" WHERE id IN (3, 7)"), 0);
  host.go_away();
  host.down(9);
  host.work();
  EXPECT_EQ(host.told(), "ops down 1, ops down 9");
}

// Goal: a daemon that dies while it notes the windows knows those of before. Method: the second of the new ones is refused.
TEST(AwayNotices, WindowsAreReplacedAllOrNone) {
  Host host;
  db::SqlMaintenanceStore windows(open(host.notices_file()));
  std::vector<sideeffects::MaintenanceWindow> some(3);
  for (std::size_t i = 0; i < some.size(); ++i) {
    some[i].title = std::string(1, static_cast<char>('a' + i));
    some[i].all_sites = true;
    some[i].starts_at = core::from_unix_ms(1000);
    some[i].ends_at = core::from_unix_ms(2000);
    some[i].created_at = core::from_unix_ms(500);
  }
  const auto titles = [&] {
    std::string text;
    const auto all = windows.list(core::kNoWallTime);
    for (const auto& window : *all) {
      text += window.title;
      EXPECT_EQ(window.created_at, some.front().created_at);
    }
    return text;
  };
  ASSERT_TRUE(windows.replace(std::span(some).first(2)));
  EXPECT_EQ(titles(), "ab");
  Host::sql(host.notices_file(),
            "CREATE TRIGGER refuse BEFORE INSERT ON maintenance_windows WHEN"
            " NEW.title = 'c' BEGIN SELECT RAISE(ABORT, 'full'); END");
  EXPECT_FALSE(windows.replace(some));
  EXPECT_EQ(titles(), "ab");
  ASSERT_TRUE(windows.replace(std::span(some).subspan(1, 1)));
  EXPECT_EQ(titles(), "b");
}

// Goal: what a process knew of other hosts counts for an hour after it ended, and as long as it runs. Method: the file as a daemon
// reads it that begins while the store is away; what was noted grows older in it.
TEST(AwayNotices, ThatAHostWasAloneIsOldAfterAnHour) {
  Host host;
  const auto was_alone = [&] {
    return must(db::SqlNoticeMirror::open(host.notices_file(), nullptr))->was_alone().value();
  };
  const auto age = [&](int minutes) {
    Host::sql(host.notices_file(), "UPDATE mirror_meta SET value = value - " +
                                       std::to_string(minutes * 60'000) + " WHERE key = 'alone_at'");
  };
  EXPECT_FALSE(was_alone());
  host.work();
  EXPECT_TRUE(was_alone());
  age(50);
  EXPECT_TRUE(was_alone());
  age(20);
  EXPECT_FALSE(was_alone());
  age(-140);
  EXPECT_FALSE(was_alone()) << "a clock that was set says nothing";
  host.go_away();
  host.down(1);
  for (const bool store : {true, false}) {  // Then by a daemon that waits for the store.
    host.begin(store);
    host.route(1);
    age(120);
    host.wait(1min);
    host.route(1);
    EXPECT_EQ(host.phase(), NoticePhase::Away);
    EXPECT_TRUE(was_alone()) << store;
  }
  host.come_back();
  host.begin();
  host.work();
  // That there are others now is not forgotten because the file refuses it for a while.
  host.set_alone(false);
  host.refuse_writes(true);
  host.route(1);
  EXPECT_TRUE(was_alone());
  host.refuse_writes(false);
  host.route(1);
  EXPECT_FALSE(was_alone());
}

// Goal: a start that the store refuses is tried again, and one that the file refuses goes on without. Method: the one is gone, the
// other no file.
TEST(AwayNotices, WhatTheStoreRefusesAtAStartIsNotTheFiles) {
  testing::TempDir dir;
  const core::ManualClock clock;
  NoLog log;
  testing::FakeJournal journal;
  const LocalNotices::Settings settings{.directory = dir.file("state"), .journal = &journal};
  ASSERT_TRUE(std::filesystem::create_directories(settings.directory));
  const auto store = must(db::SqliteStore::open(dir.file("store.db")));
  ASSERT_TRUE(store->migrate(false));
  std::filesystem::create_directories(settings.directory + "/notices.db/full");
  for (db::Store* const some : {static_cast<db::Store*>(nullptr), static_cast<db::Store*>(store.get())}) {
    const auto without_file = LocalNotices::make(settings, some, clock, log);
    ASSERT_FALSE(without_file);
    EXPECT_EQ(without_file.error().kind, core::ErrorKind::Invalid) << without_file.error().message;
  }
  std::filesystem::remove_all(settings.directory + "/notices.db");
  ASSERT_TRUE(LocalNotices::make(settings, nullptr, clock, log));
  std::filesystem::remove(dir.file("store.db"));
  std::filesystem::create_directory(dir.file("store.db"));
  const auto without_store = LocalNotices::make(settings, store.get(), clock, log);
  ASSERT_FALSE(without_store);
  EXPECT_EQ(without_store.error().kind, core::ErrorKind::Unavailable);
}

// Each question would wait for a session of a store that is away, on the router's thread.
class CountedParents final : public sideeffects::ParentStore {
 public:
  explicit CountedParents(int& asked) : asked_(asked) {}
  core::Result<bool> any() override { return ++asked_ > 0; }
  core::Result<std::vector<sideeffects::SiteKin>> kin(
      std::span<const sideeffects::Failing> /*sites*/) override {
    ++asked_;
    return std::vector<sideeffects::SiteKin>{};
  }
  core::Result<std::uint64_t> below(core::SiteId /*parent*/, std::uint64_t /*limit*/) override {
    return static_cast<std::uint64_t>(++asked_);
  }

 private:
  int& asked_;
};

TEST(AwayNotices, ParentsAreAskedForOnlyWhileTheStoreIsThere) {
  Host host;
  int asked = 0;
  StoresParents parents(std::make_unique<CountedParents>(asked), host.shared());
  const StoresParents nobodys(nullptr, host.shared());
  const auto ask = [&] {
    const core::SiteId site{1};
    const std::size_t answers =
        (parents.any() ? 1U : 0U) + (parents.kin({}) ? 1U : 0U) + (parents.below(site, 1) ? 1U : 0U);
    EXPECT_EQ(answers, parents.reachable() ? 3U : 0U);
    return std::exchange(asked, 0);
  };
  EXPECT_EQ(ask(), 0);  // It is not known yet what an earlier process left.
  host.work();
  EXPECT_EQ(ask(), 3);
  EXPECT_FALSE(nobodys.reachable());
  host.go_away();
  host.down(1);
  host.route();
  ASSERT_EQ(host.phase(), NoticePhase::Away);
  EXPECT_EQ(ask(), 0);
  const auto under_way = host.claim();
  host.come_back();
  host.route();
  ASSERT_EQ(host.phase(), NoticePhase::Returning);
  EXPECT_EQ(ask(), 0);
  host.deliver(under_way);
  host.route();
  ASSERT_EQ(host.phase(), NoticePhase::Straight);
  EXPECT_EQ(ask(), 3);
}

// Whatever happens in whatever order: of each outage each target hears down and up, in order, once for each id; a message is sent
// again only by a process that began after the one that had it under way died.
TEST(AwayNotices, InAnyOrderOfThingsEachIsToldOnce) {
  for (unsigned seed = 1; seed <= 5; ++seed) {
    Host host({target_of("ops"), target_of("boss", {"t1"})});
    std::mt19937 random(seed);
    bool away = false;
    for (int step = 0; step < 60; ++step) {
      const std::uint64_t site = 1 + random() % 5;
      switch (random() % 9) {
        case 0:
        case 1:
        case 2:
          host.is_open(site) ? host.up(site) : host.down(site);
          break;
        case 3:
          if (away) host.come_back();
          if (!away) host.go_away();
          away = !away;
          break;
        case 4:
          host.send();  // Before it was looked at whose it is.
          break;
        case 5:
          host.begin(!away);
          break;
        case 6:
          host.route(1);
          break;
        default:
          host.work();
      }
    }
    if (away) host.come_back();
    host.begin();
    for (std::uint64_t site = 1; site <= 5; ++site) {
      if (host.is_open(site)) host.up(site);
    }
    for (int i = 0; i < 4; ++i) host.work();
    std::set<std::string> ids;
    std::map<std::tuple<std::string, std::uint64_t, std::string>, std::string> outages;
    for (const Sent& one : host.sent) {
      EXPECT_TRUE(ids.insert(one.id).second) << "seed " << seed << ": " << host.told();
      outages[{one.target, one.site, one.began}] += one.kind + " ";
    }
    for (const auto& [key, kinds] : outages)
      EXPECT_EQ(kinds, "down up ") << "seed " << seed << " " << std::get<0>(key) << " "
                                   << std::get<1>(key) << ": " << host.told();
    const std::int64_t count = host.number("SELECT count(*) FROM events WHERE confirmed_at > 0");
    std::int64_t told = 0;
    for (const Sent& one : host.sent) told += one.target == "ops" ? 1 : 0;
    EXPECT_EQ(told, 2 * count) << "seed " << seed << ": " << host.told();
    EXPECT_EQ(host.number("SELECT count(*) FROM outbox"), 0) << "seed " << seed;
    EXPECT_EQ(host.number("SELECT count(*) FROM deliveries"), 0) << "seed " << seed;
  }
}

}  // namespace
}  // namespace watchwheel::app
