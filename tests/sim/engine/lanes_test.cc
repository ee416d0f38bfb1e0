// SPDX-License-Identifier: Apache-2.0
// The number of lanes is a matter of the machine: what is checked when does not depend on it.
#include <gtest/gtest.h>

#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "app/feeder.h"
#include "app/lane.h"
#include "checker/plan.h"
#include "core/buckets.h"
#include "db/store.h"
#include "fake_prober.h"
#include "sideeffects/shard.h"
#include "support/fake_store.h"
#include "support/temp_dir.h"

namespace watchwheel::sim {
namespace {

using namespace std::chrono_literals;

constexpr std::uint64_t kSites = 4000;

class NoLog final : public app::Log {
 public:
  void write(app::LogLevel /*level*/, std::string_view /*line*/) noexcept override {}
  [[nodiscard]] bool enabled(app::LogLevel /*level*/) const noexcept override { return false; }
};

// A third on one host, some with addresses, some paused, intervals of all kinds; all were checked before.
void fill(db::Store& store, core::WallTime checked_at) {
  std::vector<core::SiteRecord> records;
  std::vector<core::FreshnessMark> marks;
  for (std::uint64_t i = 1; i <= kSites; ++i) {
    core::SiteRecord record;
    record.id = core::SiteId{i};
    record.url = i % 3 == 0 ? "http://heavy.example/" + std::to_string(i)
                 : i % 7 == 0
                     ? "http://192.0.2.7/" + std::to_string(i)
                     : "http://s" + std::to_string(i / 4) + ".example/" + std::to_string(i);
    if (i % 5 != 0) record.interval = i % 5 == 1 ? core::Duration{10s} : core::Duration{1h};
    record.active = i % 11 != 0;
    records.push_back(record);
    marks.push_back({.site = record.id, .measured = true, .checked_at = checked_at});
  }
  ASSERT_TRUE(store.make_site_catalog().value()->upsert(records, nullptr));
  ASSERT_TRUE(store.make_freshness_sink().value()->write(marks));
}

struct OneLane {
  core::SpscRing<app::LaneMessage> inbox{512};
  core::SpscRing<core::SiteNote> notes{8};
  core::SpscRing<core::FreshnessMark> marks{kSites};
  app::ShardMailbox mailbox{kSites};
  std::unique_ptr<FakeProber> prober;
  std::unique_ptr<app::Lane> lane;
};

// When each active site is due, as so many lanes have it that the real feeder loads from the store.
std::map<std::uint64_t, core::SteadyTime> due_times(db::Store& store, std::uint32_t count,
                                                    const core::ManualClock& clock) {
  std::vector<std::unique_ptr<OneLane>> lanes;
  std::vector<app::LaneInbox> inboxes;
  for (std::uint32_t number = 0; number < count; ++number) {
    OneLane& one = *lanes.emplace_back(std::make_unique<OneLane>());
    one.prober = std::make_unique<FakeProber>(
        clock, [](std::string_view, core::SteadyTime) { return Answer{}; },
        [](std::string_view, core::Cause, core::SteadyTime) {});
    app::LaneSettings settings;
    settings.number = number;
    settings.sites_max = kSites;
    app::LanePorts ports{.inbox = &one.inbox,
                         .notes = {&one.notes},
                         .shards = {{&one.mailbox, [] {}}},
                         .marks = &one.marks};
    one.lane = std::make_unique<app::Lane>(settings, ports, clock.steady(), clock.wall());
    one.lane->attach(*one.prober);
    one.prober->report_to(*one.lane);
    inboxes.push_back({&one.inbox, [] {}});
  }
  NoLog log;
  const core::SystemClock real;
  app::Feeder feeder({{}, 5min}, store.make_site_feed().value(), std::move(inboxes), real, log);
  feeder.start();
  const core::SteadyTime give_up = real.steady() + 60s;
  const auto all_loaded = [&] {
    bool loaded = true;
    for (const auto& one : lanes) loaded = loaded && one->lane->stats().loaded.load();
    return loaded;
  };
  while (!all_loaded() && real.steady() < give_up) {
    for (const auto& one : lanes) one->lane->turn(clock.steady(), clock.wall());
    real.sleep_for(1ms);
  }
  feeder.stop();

  std::map<std::uint64_t, core::SteadyTime> due;
  for (const auto& one : lanes) {
    const scheduler::SiteTable& sites = one->lane->sites();
    EXPECT_NEAR(static_cast<double>(sites.size()), 0.91 * kSites / count, 0.06 * kSites);
    for (std::uint32_t slot = 0; slot < sites.slots_end(); ++slot) {
      const core::SiteSlot site{slot};
      if (!sites.contains(site)) continue;
      EXPECT_TRUE(due.emplace(sites.id(site).value, one->lane->scheduler().due_time(site)).second)
          << "in two lanes";
    }
  }
  return due;
}

// Goal: a restart with another number of lanes moves no phase, loses no site and doubles none. Method: the same store, loaded by
// the real feeder into 1, 2 and 5 real lanes at the same moment; then again at a later one.
TEST(Lanes, AnotherNumberOfThemKeepsEveryPhase) {
  const testing::TempDir dir;
  const auto store = db::open_store("sqlite://" + dir.file("x.db")).value();
  ASSERT_TRUE(store->migrate(false));
  core::ManualClock clock;
  fill(*store, clock.wall() - 1min);

  const auto one = due_times(*store, 1, clock);
  ASSERT_EQ(one.size(), kSites - kSites / 11);
  for (const auto& [site, due] : one) {
    ASSERT_GT(due, clock.steady());
    ASSERT_LE(due, clock.steady() + 1h);
  }
  EXPECT_EQ(due_times(*store, 2, clock), one);
  EXPECT_EQ(due_times(*store, 5, clock), one);

  // An hour is a whole number of each interval: everything is due as long from then as it was from now.
  clock.advance(1h);
  auto later = due_times(*store, 3, clock);
  for (auto& [site, due] : later) due -= 1h;
  EXPECT_EQ(later, one);
}

class NotesToBoth final : public sideeffects::NoteSink {
 public:
  explicit NotesToBoth(std::vector<OneLane*> lanes) : lanes_(std::move(lanes)) {}
  bool offer(core::SiteNote&& note) override {
    for (OneLane* one : lanes_) EXPECT_TRUE(one->notes.offer(core::SiteNote{note}));
    return true;
  }

 private:
  std::vector<OneLane*> lanes_;
};

// Goal: an event that was opened while its site changed the lane does not stay open: the note of it came before the site did, and
// what the feeder had read came before the event. Method: the site fails in the first lane, the other hears of it too early, and
// gets the site as one without an event; there it is well.
TEST(Lanes, AnEventOpenedWhileItsSiteMovedIsEndedInItsNewLane) {
  const core::ManualClock clock;
  testing::FakeEventStore store;
  OneLane first;
  OneLane second;
  std::vector<OneLane*> both{&first, &second};
  core::Mailbox<core::FactsKey, core::SiteFacts> mailbox(100);
  NotesToBoth notes(both);
  sideeffects::Shard shard({}, {}, mailbox, store, notes, clock, 7);
  for (std::uint32_t number = 0; number < 2; ++number) {
    OneLane& one = *both[number];
    one.prober = std::make_unique<FakeProber>(
        clock,
        [number](std::string_view, core::SteadyTime) {
          return Answer{number == 0 ? core::Cause::HttpStatus : core::Cause::Ok};
        },
        [](std::string_view, core::Cause, core::SteadyTime) {});
    app::LaneSettings settings;
    settings.number = number;
    settings.sites_max = 10;
    settings.admission.descriptors = 1000;
    settings.admission.memory_bytes = 1ULL << 30U;
    one.lane = std::make_unique<app::Lane>(settings,
                                           app::LanePorts{.inbox = &one.inbox,
                                                          .notes = {&one.notes},
                                                          .shards = {{&mailbox, [] {}}},
                                                          .marks = &one.marks},
                                           clock.steady(), clock.wall());
    one.lane->attach(*one.prober);
    one.prober->report_to(*one.lane);
  }
  const auto run_until = [&](const auto& enough) {
    for (int i = 0; i < 60'000 && !enough(); ++i) {
      clock.advance(10ms);
      for (OneLane* one : both) {
        core::FreshnessMark mark;
        while (one->marks.take(mark)) {
        }
        one->lane->begin_turn(clock.steady(), clock.wall());
        one->prober->turn(clock.steady());
        one->lane->turn(clock.steady(), clock.wall());
      }
      if (const auto at = shard.next_turn(); at && *at <= clock.steady())
        (void)shard.turn(clock.steady());
    }
  };
  const auto send = [&](OneLane& to, app::LaneMessage::Kind kind) {
    app::LaneMessage message;
    message.kind = kind;
    message.id = core::SiteId{1};
    message.url = "http://s.example/";
    message.interval = 60s;
    message.options = std::make_shared<const core::CheckOptions>();
    ASSERT_TRUE(to.inbox.offer(std::move(message)));
  };
  const auto is_open = [&] { return store.open_of(core::SiteId{1}).has_value(); };

  send(first, app::LaneMessage::Kind::Put);
  run_until(is_open);
  ASSERT_TRUE(is_open());
  run_until([&] { return first.notes.depth() + second.notes.depth() == 0; });
  send(first, app::LaneMessage::Kind::Leave);
  send(second, app::LaneMessage::Kind::Put);
  run_until([&] { return !is_open(); });
  EXPECT_FALSE(is_open());
  run_until([&] { return !second.lane->attention().contains(core::SiteId{1}); });
  EXPECT_FALSE(second.lane->attention().contains(core::SiteId{1}));
  EXPECT_EQ(store.events_of(core::SiteId{1}).size(), 1U);
}

// Goal: what others are asked about is the check as it is now. Method: a site fails long enough that others are asked; then its URL and
// its options are edited, and the shard hears of each at once, before the next check.
TEST(Lanes, AnEditOfATroubledSiteIsToldAtOnceWhereOthersAreAsked) {
  core::ManualClock clock;
  OneLane one;
  one.prober = std::make_unique<FakeProber>(
      clock, [](std::string_view, core::SteadyTime) { return Answer{core::Cause::HttpStatus}; },
      [](std::string_view, core::Cause, core::SteadyTime) {});
  app::LaneSettings settings;
  settings.sites_max = 10;
  settings.admission.descriptors = 1000;
  settings.admission.memory_bytes = 1ULL << 30U;
  settings.tuning.confirm.quorum = 2;
  one.lane = std::make_unique<app::Lane>(settings,
                                         app::LanePorts{.inbox = &one.inbox,
                                                        .notes = {&one.notes},
                                                        .shards = {{&one.mailbox, [] {}}},
                                                        .marks = &one.marks},
                                         clock.steady(), clock.wall());
  one.lane->attach(*one.prober);
  one.prober->report_to(*one.lane);
  const auto turn = [&] {
    core::FreshnessMark mark;
    while (one.marks.take(mark)) {
    }
    one.lane->begin_turn(clock.steady(), clock.wall());
    one.prober->turn(clock.steady());
    one.lane->turn(clock.steady(), clock.wall());
  };
  std::vector<core::SiteFacts> told;
  const auto take = [&] {
    told.clear();
    (void)one.mailbox.take(told, 10);
    return !told.empty();
  };
  const auto put = [&](const std::string& url, const core::CheckOptions& options) {
    app::LaneMessage message;
    message.kind = app::LaneMessage::Kind::Put;
    message.id = core::SiteId{1};
    message.url = url;
    message.interval = 60s;
    message.options = std::make_shared<const core::CheckOptions>(options);
    ASSERT_TRUE(one.inbox.offer(std::move(message)));
  };
  put("http://old.example/", {});
  for (int i = 0; i < 60'000 && !(take() && told.back().subject); ++i) {
    clock.advance(10ms);
    turn();
  }
  ASSERT_FALSE(told.empty());
  ASSERT_TRUE(told.back().subject);
  EXPECT_EQ(told.back().subject->url, "http://old.example/");
  put("http://new.example/", {});
  turn();
  ASSERT_TRUE(take());
  ASSERT_TRUE(told.back().subject);
  EXPECT_EQ(told.back().subject->url, "http://new.example/");
  core::CheckOptions other;
  other.keyword = {"basket"};
  put("http://new.example/", other);
  turn();
  ASSERT_TRUE(take());
  ASSERT_TRUE(told.back().subject);
  EXPECT_EQ(told.back().subject->options->keyword, other.keyword);
}

// Goal: an event that the host before us stored after we had read its bucket is ended by us. Method: the site is watched here and
// well; then its bucket is read once more, and its event is there; its next check is well again.
TEST(Lanes, AnEventThatTheFormerOwnerStoredLastIsEnded) {
  const core::ManualClock clock;
  OneLane one;
  one.prober = std::make_unique<FakeProber>(
      clock, [](std::string_view, core::SteadyTime) { return Answer{}; },
      [](std::string_view, core::Cause, core::SteadyTime) {});
  app::LaneSettings settings;
  settings.sites_max = 10;
  settings.admission.descriptors = 1000;
  settings.admission.memory_bytes = 1ULL << 30U;
  one.lane = std::make_unique<app::Lane>(settings,
                                         app::LanePorts{.inbox = &one.inbox,
                                                        .notes = {&one.notes},
                                                        .shards = {{&one.mailbox, [] {}}},
                                                        .marks = &one.marks},
                                         clock.steady(), clock.wall());
  one.lane->attach(*one.prober);
  one.prober->report_to(*one.lane);
  const auto run_for = [&](core::Duration time) {
    for (const core::SteadyTime end = clock.steady() + time; clock.steady() < end;) {
      clock.advance(10ms);
      core::FreshnessMark mark;
      while (one.marks.take(mark)) {
      }
      one.lane->begin_turn(clock.steady(), clock.wall());
      one.prober->turn(clock.steady());
      one.lane->turn(clock.steady(), clock.wall());
    }
  };
  const auto send = [&](bool taken, bool event) {
    app::LaneMessage message;
    message.kind = app::LaneMessage::Kind::Put;
    message.id = core::SiteId{1};
    message.url = "http://s.example/";
    message.interval = 10s;
    message.options = std::make_shared<const core::CheckOptions>();
    message.taken = taken;
    if (event)
      message.open_event = core::OpenEvent{.id = core::EventId{7},
                                           .state = core::SiteState::SeemsDown,
                                           .started_at = clock.wall() - 5s,
                                           .failures = 1,
                                           .cause = core::Cause::HttpTimeout};
    ASSERT_TRUE(one.inbox.offer(std::move(message)));
  };
  send(true, false);
  run_for(30s);
  ASSERT_EQ(one.mailbox.depth(), 0U);
  send(false, true);  // An edit: what it was read with may be older than what the lane knows.
  run_for(30s);
  ASSERT_EQ(one.mailbox.depth(), 0U);
  send(true, true);
  run_for(30s);
  EXPECT_EQ(one.mailbox.depth(), 1U);
  std::vector<core::SiteFacts> facts;
  (void)one.mailbox.take(facts, 10);
  ASSERT_EQ(facts.size(), 1U);
  ASSERT_EQ(facts[0].outages.size(), 1U);
  EXPECT_TRUE(facts[0].outages[0].restored);
  EXPECT_NE(facts[0].outages[0].ended_at, core::kNoWallTime);
}

// Goal: a bucket that goes to another host takes all its sites along: none is checked any more, none is shown, and nothing is told
// of them as if they had ended. Method: one lane, two buckets with an active and a paused site each; one of the buckets goes.
TEST(Lanes, WhatIsAnotherHostsLeavesWithoutAWord) {
  const core::ManualClock clock;
  core::BucketTable table(2, clock);
  std::map<std::uint32_t, std::vector<core::SiteId>> in_bucket;
  for (std::uint64_t id = 1; in_bucket[0].size() < 2 || in_bucket[1].size() < 2; ++id)
    in_bucket[table.of(core::SiteId{id}).value].push_back(core::SiteId{id});
  OneLane one;
  std::map<std::string, int> asked;
  one.prober = std::make_unique<FakeProber>(
      clock,
      [&](std::string_view url, core::SteadyTime) {
        ++asked[std::string(url)];
        return Answer{};
      },
      [](std::string_view, core::Cause, core::SteadyTime) {});
  app::LaneSettings settings;
  settings.sites_max = 10;
  settings.admission.descriptors = 1000;
  settings.admission.memory_bytes = 1ULL << 30U;
  one.lane = std::make_unique<app::Lane>(settings,
                                         app::LanePorts{.inbox = &one.inbox,
                                                        .notes = {&one.notes},
                                                        .shards = {{&one.mailbox, [] {}}},
                                                        .marks = &one.marks,
                                                        .buckets = &table},
                                         clock.steady(), clock.wall());
  one.lane->attach(*one.prober);
  one.prober->report_to(*one.lane);
  const auto run_for = [&](core::Duration time) {
    for (const core::SteadyTime end = clock.steady() + time; clock.steady() < end;) {
      clock.advance(10ms);
      core::FreshnessMark mark;
      while (one.marks.take(mark)) {
      }
      one.lane->begin_turn(clock.steady(), clock.wall());
      one.prober->turn(clock.steady());
      one.lane->turn(clock.steady(), clock.wall());
    }
  };
  const auto shown = [&](core::SiteState state) {
    return one.lane->stats().sites[static_cast<std::size_t>(state)].value();
  };
  const auto url = [](std::uint32_t bucket) { return "http://b" + std::to_string(bucket) + ".example/"; };
  for (const std::uint32_t bucket : {0U, 1U}) {
    table.watch(core::BucketNo{bucket});
    for (const bool active : {true, false}) {
      app::LaneMessage message;
      message.kind = app::LaneMessage::Kind::Put;
      message.id = in_bucket[bucket][active ? 0 : 1];
      message.url = url(bucket);
      message.interval = 10s;
      message.active = active;
      message.options = std::make_shared<const core::CheckOptions>();
      ASSERT_TRUE(one.inbox.offer(std::move(message)));
    }
  }
  run_for(60s);
  EXPECT_EQ(table.rows(core::BucketNo{0}), 1U);
  EXPECT_EQ(shown(core::SiteState::Paused), 2);
  EXPECT_EQ(shown(core::SiteState::Up), 2);

  table.watch_until(core::BucketNo{0}, clock.steady() + 1s);
  run_for(1s);
  asked.clear();
  run_for(60s);
  EXPECT_EQ(table.rows(core::BucketNo{0}), 0U);
  EXPECT_EQ(table.rows(core::BucketNo{1}), 1U);
  EXPECT_EQ(shown(core::SiteState::Paused), 1);
  EXPECT_EQ(shown(core::SiteState::Up), 1);
  EXPECT_EQ(asked, (std::map<std::string, int>{{url(1), 6}}));
  EXPECT_EQ(one.mailbox.depth(), 0U);
}

// Each plan takes 3 ms to make ready, as one with large expressions does.
class SlowToPrepare final : public checker::Prober {
 public:
  explicit SlowToPrepare(const core::ManualClock& clock) : clock_(clock) {}
  core::Result<checker::PlanRef> prepare(const core::CheckOptions& /*options*/) override {
    clock_.advance(3ms);
    return checker::PlanRef{std::make_shared<checker::ProbePlan>()};
  }
  checker::Start start(checker::ProbeToken /*token*/, std::string_view /*url*/,
                       const checker::PlanRef& /*plan*/, core::SteadyTime /*now*/) override {
    return checker::Start::Started;
  }
  void cancel_all(core::SteadyTime /*now*/) override {}
  void set_in_flight_limit(std::size_t /*limit*/) override {}
  [[nodiscard]] std::size_t in_flight() const override { return 0; }

 private:
  const core::ManualClock& clock_;
};

// Goal: edits that each bring options of their own do not add up to a long turn, and what is left is taken at once and not at the
// next idle turn. Method: a prober that is slow to prepare, on a clock that only it moves.
TEST(Lanes, ATurnTakesOnlyAsManyEditsAsItsTimeAllows) {
  constexpr std::uint64_t kEdits = 100;
  const core::ManualClock clock;
  OneLane one;
  SlowToPrepare prober(clock);
  app::LaneSettings settings;
  settings.sites_max = kSites;
  settings.clock = &clock;
  app::Lane lane(settings,
                 {.inbox = &one.inbox,
                  .notes = {&one.notes},
                  .shards = {{&one.mailbox, [] {}}},
                  .marks = &one.marks},
                 clock.steady(), clock.wall());
  lane.attach(prober);
  for (std::uint64_t i = 1; i <= kEdits; ++i) {
    app::LaneMessage put;
    put.kind = app::LaneMessage::Kind::Put;
    put.id = core::SiteId{i};
    put.url = "http://s" + std::to_string(i) + ".example/";
    put.interval = 5min;
    core::CheckOptions own;
    own.keyword = {std::to_string(i)};
    put.options = std::make_shared<const core::CheckOptions>(own);
    ASSERT_TRUE(one.inbox.offer(std::move(put)));
  }
  std::size_t turns = 0;
  while (lane.sites().size() < kEdits) {
    ASSERT_LT(++turns, 2 * kEdits);
    const core::SteadyTime begin = clock.steady();
    lane.turn(begin, clock.wall());
    EXPECT_LE(clock.steady() - begin, app::Lane::kTurnShare + 3ms);
    if (lane.sites().size() < kEdits) {
      EXPECT_EQ(lane.next_turn(clock.steady()), clock.steady());
    }
  }
}

// Time passes with every look at it.
class HurryingClock final : public core::Clock {
 public:
  [[nodiscard]] core::SteadyTime steady() const override { return now_ += 1ms; }
  [[nodiscard]] core::WallTime wall() const override { return core::WallTime{1h}; }
  void sleep_for(core::Duration /*how_long*/) const override {}

 private:
  mutable core::SteadyTime now_{1h};
};

// Goal: neither do notes add up to a long turn, as when a shard commits what half a fleet told it: what is left is taken at once.
// Method: a clock that moves on whenever it is read, so that the lane's share is spent after some of them.
TEST(Lanes, ATurnTakesOnlyAsManyNotesAsItsTimeAllows) {
  constexpr std::uint64_t kNotes = 500;
  const HurryingClock clock;
  OneLane one;
  core::SpscRing<core::SiteNote> notes{512};
  app::LaneSettings settings;
  settings.sites_max = kSites;
  settings.clock = &clock;
  app::Lane lane(settings,
                 {.inbox = &one.inbox,
                  .notes = {&notes},
                  .shards = {{&one.mailbox, [] {}}},
                  .marks = &one.marks},
                 clock.steady(), clock.wall());
  const core::ManualClock still;
  SlowToPrepare prober(still);
  lane.attach(prober);
  for (std::uint64_t i = 1; i <= kNotes; ++i) {
    core::SiteNote note;
    note.site = core::SiteId{i};
    ASSERT_TRUE(notes.offer(std::move(note)));
  }
  std::size_t turns = 0;
  for (std::size_t left = kNotes; left > 0; left = notes.depth()) {
    ASSERT_LT(++turns, kNotes);
    const core::SteadyTime now = clock.steady();
    lane.turn(now, clock.wall());
    EXPECT_GE(left - notes.depth(), 1U);
    EXPECT_LE(left - notes.depth(), 100U);
    if (notes.depth() > 0) {
      EXPECT_EQ(lane.next_turn(now), now);
    }
  }
}

}  // namespace
}  // namespace watchwheel::sim
