// SPDX-License-Identifier: Apache-2.0
// Goal: that a site flaps is told once and that it is steady once, nothing that was told stays without its end, what is down at the
// end is told, and all of it through restarts and lost answers. Method: the router on an outbox in memory; a clock that is moved.
#include "sideeffects/flapping_watch.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <functional>
#include <map>
#include <memory>
#include <random>

#include "sideeffects/notice_router.h"
#include "support/fake_delivery_queue.h"

namespace watchwheel::sideeffects {
namespace {

using namespace std::chrono_literals;
using core::SiteState;
using core::TransitionReason;
using testing::FakeDeliveryQueue;

constexpr core::SiteId kSite{7};

NotifyTarget target_of(const std::string& name) {
  NotifyTarget target;
  target.channel.name = name;
  return target;
}

// Of one site that is asked each minute.
struct World final : FlappingStore {
  core::ManualClock clock;
  FakeDeliveryQueue queue{clock};
  NotifyTargets targets;
  bool away = false;
  bool known_away = false;  // As far as the outbox was asked.
  std::function<void()> on_take = [] {};
  int lost = 0;  // So many answers to who flaps.
  bool maintenance = false;
  std::vector<std::string> warnings;
  std::unique_ptr<FlappingWatch> watch;
  std::unique_ptr<NoticeRouter> router;
  std::vector<std::pair<core::EventId, core::WallTime>> changed;
  SiteState state = SiteState::Up;
  std::uint64_t events = 0;
  Notice event;

  explicit World(NotifyTargets who = {target_of("ops")}) : targets(std::move(who)) { restart(); }
  void restart() {
    router.reset();
    watch = std::make_unique<FlappingWatch>(
        FlappingWatch::Settings{
            .policy = {},
            .interval = 1min,
            .warn = [this](const std::string& line) { warnings.push_back(line); }},
        *this, clock);
    NoticeRouter::Settings settings;
    settings.flapping = watch.get();
    settings.mine = [this](core::SiteId) {
      on_take();
      return true;
    };
    settings.hold = [this](const Notice&) {
      return maintenance
                 ? std::optional<Hold>{{.reason = HoldReason::Maintenance, .look_again = 10s}}
                 : std::nullopt;
    };
    router = std::make_unique<NoticeRouter>(
        std::move(settings), queue, std::make_shared<const NotifyTargets>(targets), clock, 7);
  }

  core::Result<std::vector<FlappingSite>> flapping() override {
    if (away || known_away) return core::Error{core::ErrorKind::Unavailable, "away"};
    if (lost > 0 && lost-- > 0) return core::Error{core::ErrorKind::Unknown, "no answer came"};
    std::vector<FlappingSite> all;
    for (const Notice& wake : queue.wakes()) {
      if (const auto since = parse_flapping_memo(wake.memo))
        all.push_back({.site = wake.site, .event = wake.event, .since = *since});
    }
    return all;
  }
  core::Result<std::vector<SiteChanges>> changes(std::span<const core::SiteId> sites,
                                                 core::Duration, core::WallTime) override {
    if (away || known_away) return core::Error{core::ErrorKind::Unavailable, "away"};
    std::vector<SiteChanges> all;
    for (const core::SiteId site : sites) {
      all.push_back({.site = site, .interval = {}, .changes = {}, .told = {}, .state = state});
      for (const auto& [of, at] : changed) {
        all.back().changes.push_back(at);
        if (was_told(of)) all.back().told.push_back(at);
      }
    }
    return all;
  }
  bool was_told(core::EventId of) const {
    const auto rows = queue.rows();
    return std::any_of(rows.begin(), rows.end(), [&](const auto& row) {
      const auto& about = row.what.events;
      return !row.what.kind.starts_with("flapping") &&
             std::find(about.begin(), about.end(), of) != about.end();
    });
  }

  void run_for(core::Duration time, core::Duration step = 1s) {
    for (core::Duration passed{}; passed < time; passed += step) {
      for (int i = 0; i < 1000; ++i) {
        if (router->next_turn().value_or(core::SteadyTime::max()) > clock.steady()) break;
        router->turn(clock.steady());
      }
      clock.advance(step);
    }
  }
  void commit(TransitionReason reason, SiteState before, SiteState after) {
    event.transition = {.seq = ++event.transition.seq,
                        .reason = reason,
                        .before = before,
                        .after = after,
                        .at = clock.wall(),
                        .failures = 3,
                        .evidence = {}};
    state = after;
    queue.commit(event);
  }
  void down(std::uint64_t group = 0) {
    event = {};
    event.group = group;
    event.site = kSite;
    event.event = core::EventId{++events};
    event.started_at = clock.wall() - 20s;
    event.confirmed_at = clock.wall();
    event.state = SiteState::Down;
    event.url = "https://s.example/";
    changed.emplace_back(event.event, clock.wall());
    commit(TransitionReason::Confirmed, SiteState::SeemsDown, SiteState::Down);
  }
  void up() { over(TransitionReason::Recovered, SiteState::Up); }
  void over(TransitionReason reason, SiteState after) {
    event.state = SiteState::Up;
    event.ended_at = clock.wall();
    changed.emplace_back(event.event, clock.wall());
    commit(reason, SiteState::Down, after);
  }
  // A minute down, a minute up.
  void swing(int times) {
    for (int i = 0; i < times; ++i) {
      down();
      run_for(1min);
      up();
      run_for(1min);
    }
  }
  std::string told(const std::string& target = "ops") {
    std::string words;
    for (const auto& row : queue.rows()) {
      if (row.what.target == target) words += row.what.kind + " ";
    }
    return words;
  }
  Message last() { return *decode_message(queue.rows().back().what.body); }
};

const std::string kUntil = "down up down up down up down up flapping ";

TEST(FlappingWatch, IsToldOnceAndItsEndOnceAndNothingBetween) {
  World world;
  world.swing(20);
  // The nine newest weigh more than half of the twenty: four outages are told one by one, and no fifth.
  EXPECT_EQ(world.told(), kUntil);
  EXPECT_EQ(world.watch->stats().sites.value(), 1);
  world.run_for(30min);
  EXPECT_EQ(world.told(), kUntil + "flapping_over ");
  EXPECT_EQ(world.last().sites.at(0).after, SiteState::Up);
  EXPECT_EQ(world.watch->stats().sites.value(), 0);
  EXPECT_EQ(world.watch->stats().begun.value(), 1U);
  EXPECT_EQ(world.watch->stats().ended.value(), 1U);
  EXPECT_EQ(world.queue.notices(), 0U) << "nothing is left behind";
  world.swing(1);
  EXPECT_EQ(world.told(), kUntil + "flapping_over down up ");
}

// What lasts for four looks is no flap: nobody waits for the end of flapping to hear that a site is down for good, restart or not.
TEST(FlappingWatch, FlapsThenStaysDown) {
  for (const bool restart : {false, true}) {
    World world;
    world.swing(8);
    world.down();
    if (restart) world.restart();
    world.run_for(3min + 50s);
    EXPECT_EQ(world.told(), kUntil);
    world.run_for(20s);
    EXPECT_EQ(world.told(), kUntil + "down ");
    world.run_for(30min);
    EXPECT_EQ(world.told(), kUntil + "down flapping_over ");
    EXPECT_EQ(world.last().sites.at(0).after, SiteState::Down);
    EXPECT_EQ(world.last().sites.at(0).reason, TransitionReason::Confirmed);
    world.up();
    world.run_for(1min);
    EXPECT_EQ(world.told(), kUntil + "down flapping_over up ");
  }
}

TEST(FlappingWatch, AnOutageThatLastsIsToldWithItsEndThoughFlappingGoesOn) {
  World world;
  world.swing(8);
  world.down();
  world.run_for(5min);
  world.up();
  world.run_for(1min);
  world.swing(3);
  EXPECT_EQ(world.told(), kUntil + "down up ");
  EXPECT_EQ(world.watch->stats().sites.value(), 1);
}

TEST(FlappingWatch, WhatBeganIsWhatEndsAndIsNoOutage) {
  World world;
  world.swing(8);
  world.run_for(30min);
  std::map<std::string, std::string> conditions;
  for (const auto& row : world.queue.rows())
    conditions[condition_key(decode_message(row.what.body)->sites.at(0))] += row.what.kind + " ";
  EXPECT_EQ(conditions.size(), 5U);
  for (const auto& [key, kinds] : conditions)
    EXPECT_TRUE(kinds == "down up " || kinds == "flapping flapping_over ") << kinds;
}

TEST(FlappingWatch, GoesOnThroughARestart) {
  World world;
  world.swing(6);
  world.restart();
  world.swing(3);
  world.restart();
  world.down();
  world.run_for(30min);
  EXPECT_EQ(world.told(), kUntil + "down flapping_over ");
}

// A new process knows of nobody that flaps: before it does, what begins is not told.
TEST(FlappingWatch, GoesOnThroughARestartThatHasNoAnswerAtFirst) {
  World world;
  world.swing(6);
  world.restart();
  world.lost = 5;
  world.swing(1);
  EXPECT_EQ(world.told(), kUntil);
  EXPECT_EQ(world.lost, 0);
  world.restart();
  world.away = true;
  world.down();
  world.run_for(1min);
  EXPECT_EQ(world.told(), kUntil + "down ") << "whoever waits for a store that is away may wait long";
}

// Of a database server nothing is asked until the first look at the outbox has shown that it is there: by then whoever flaps must be known.
TEST(FlappingWatch, GoesOnThroughARestartThatKnowsOfTheStoreWithTheFirstNotice) {
  for (const int lost : {0, 1}) {
    World world;
    world.swing(6);
    world.known_away = true;
    world.lost = lost;
    world.restart();
    world.run_for(5s);
    world.down();
    world.on_take = [&] { world.known_away = false; };
    world.run_for(1min);
    world.up();
    world.run_for(1min);
    EXPECT_EQ(world.told(), kUntil) << lost;
    EXPECT_EQ(world.lost, 0);
    EXPECT_EQ(world.warnings.size(), static_cast<std::size_t>(lost));
  }
}

TEST(FlappingWatch, LostAnswersTellNothingTwice) {
  World world;
  for (int i = 0; i < 10; ++i) {
    world.queue.lose_answer();
    world.down();
    world.run_for(1min);
    world.queue.lose_answer();
    world.up();
    world.run_for(1min);
  }
  for (int i = 0; i < 30; ++i) {
    world.queue.lose_answer();
    world.run_for(1min);
  }
  EXPECT_EQ(world.told(), kUntil + "flapping_over ");
}

TEST(FlappingWatch, IsForThoseWhoWouldBeToldOfItsOutages) {
  NotifyTarget others = target_of("others");
  others.tags = {"not-this-one"};
  NotifyTarget pager = target_of("pager");
  pager.severity = Severity::Critical;
  World world({target_of("ops"), others, pager});
  world.swing(8);
  world.run_for(30min);
  EXPECT_EQ(world.told("others"), "");
  EXPECT_EQ(world.told("ops"), kUntil + "flapping_over ");
  EXPECT_EQ(world.told("pager"), kUntil + "flapping_over ");
}

// Told anew, an outage at a time, while it cannot be known; who was known to flap goes on.
TEST(FlappingWatch, StoreThatIsAwayBeginsAndEndsNothing) {
  World world;
  world.away = true;
  world.swing(6);
  EXPECT_EQ(world.told(), "down up down up down up down up down up down up ");
  EXPECT_EQ(world.warnings.size(), 1U);
  world.away = false;
  world.run_for(1min);
  world.swing(1);
  const std::string before = world.told();
  EXPECT_TRUE(before.ends_with("flapping ")) << before;
  world.away = true;
  world.down();
  world.run_for(30min);
  EXPECT_EQ(world.told(), before + "down ") << "nobody knows whether it is steady";
  world.away = false;
  world.run_for(3min);
  EXPECT_EQ(world.told(), before + "down flapping_over ");
}

TEST(FlappingWatch, MaintenanceIsNoTimeToBegin) {
  World world;
  world.maintenance = true;
  world.swing(10);
  EXPECT_EQ(world.told(), "");
  world.maintenance = false;
  world.run_for(30min);
  EXPECT_EQ(world.told(), "");
}

// What was announced, and nobody heard of, makes no flapping of the first outage after it.
TEST(FlappingWatch, OutagesThatNobodyWasToldOfAreNoChangesBefore) {
  World world;
  world.maintenance = true;
  world.swing(5);
  world.maintenance = false;
  world.run_for(5min);
  world.swing(1);
  EXPECT_EQ(world.told(), "down up ");
  EXPECT_EQ(world.watch->stats().sites.value(), 0);
}

// A mass outage is told in digests; flapping has none.
TEST(FlappingWatch, DoesNotBeginInAMassOutage) {
  World world;
  for (int i = 0; i < 8; ++i) {
    world.down(3);
    world.run_for(1min);
    world.up();
    world.run_for(1min);
  }
  EXPECT_EQ(world.told().find("flapping"), std::string::npos) << world.told();
  world.down();
  world.run_for(1s);
  EXPECT_TRUE(world.told().ends_with("flapping ")) << world.told();
}

// People that end an outage by hand do not make the site flap.
TEST(FlappingWatch, DoesNotBeginBecauseSomebodyPausesTheSite) {
  for (const SiteState after : {SiteState::Paused, SiteState::Unknown}) {
    World world;
    world.swing(4);
    world.away = true;
    world.down();
    world.run_for(1min);
    world.away = false;
    world.over(TransitionReason::Operator, after);
    world.run_for(30min);
    EXPECT_EQ(world.told(), "down up down up down up down up down up ");
  }
}

TEST(FlappingWatch, IsForThoseWhoAreToldWhatOnlySeems) {
  NotifyTarget early = target_of("early");
  early.states = {SiteState::SeemsDown, SiteState::Up};
  World world({target_of("ops"), early});
  world.swing(8);
  world.run_for(30min);
  EXPECT_EQ(world.told("early"), "flapping flapping_over ");
}

TEST(FlappingWatch, APausedSiteIsNotCalledUp) {
  World world;
  world.swing(6);
  world.state = SiteState::Paused;
  world.run_for(30min);
  EXPECT_TRUE(world.told().ends_with("flapping flapping_over ")) << world.told();
  EXPECT_EQ(world.last().sites.at(0).after, SiteState::Paused);
  EXPECT_EQ(world.last().sites.at(0).reason, TransitionReason::Operator);
}

// Laws over random lives: told beginnings have their ends, nothing is told of an outage but in this order, at most one flapping at a
// time, and when all has come to rest what is down is known as down.
TEST(FlappingWatch, LawsHoldInRandomLives) {
  std::uint64_t flapped = 0;
  for (std::uint64_t seed = 1; seed <= 12; ++seed) {
    std::mt19937_64 random(seed);
    World world;
    bool is_down = false;
    for (int i = 0; i < 60; ++i) {
      if (random() % 10 == 0) world.restart();
      if (random() % 10 == 0) world.queue.lose_answer();
      is_down ? world.up() : world.down();
      is_down = !is_down;
      world.run_for(std::chrono::seconds{10 + random() % (random() % 8 == 0 ? 2000 : 150)});
    }
    world.run_for(40min, 5s);
    std::map<std::uint64_t, std::string> of_event;
    std::string flapping;
    std::string known = "up ";
    for (const auto& row : world.queue.rows()) {
      if (row.what.kind.starts_with("flapping")) {
        flapping += row.what.kind + " ";
        continue;
      }
      of_event[row.what.events.at(0).value] += row.what.kind + " ";
      known = row.what.kind + " ";
    }
    for (const auto& [event, kinds] : of_event) {
      const bool open = is_down && event == world.events;
      EXPECT_EQ(kinds, open ? "down " : "down up ") << "seed " << seed;
    }
    EXPECT_EQ(known, is_down ? "down " : "up ") << "seed " << seed;
    for (; flapping.starts_with("flapping flapping_over "); ++flapped) flapping.erase(0, 23);
    EXPECT_EQ(flapping, "") << "seed " << seed;
  }
  EXPECT_GE(flapped, 12U) << "these lives are too steady to show anything";
}

TEST(FlappingMemo, IsReadAsItIsWrittenAndNothingElseIs) {
  const core::WallTime since = core::from_unix_ms(1'700'000'000'123);
  EXPECT_EQ(parse_flapping_memo(flapping_memo(since)), since);
  for (const char* bad : {"", "flapping:", "flapping:x", "flapping:-1", "flapping:1x", "digest",
                          "flapping:9999999999999999999"})
    EXPECT_FALSE(parse_flapping_memo(bad)) << bad;
}

}  // namespace
}  // namespace watchwheel::sideeffects
