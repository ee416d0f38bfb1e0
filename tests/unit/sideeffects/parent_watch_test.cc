// SPDX-License-Identifier: Apache-2.0
// Goal: while a parent is down nobody is told that a child fails; what is still down when it was looked at again after that is told,
// what was only unreachable is not, and an end is never kept back. Method: the real router on an outbox in memory, parents in a map,
// a clock that is moved; and the rule alone over a grid of times.
#include "sideeffects/parent_watch.h"

#include <gtest/gtest.h>

#include "sideeffects/notice_router.h"
#include "support/fake_delivery_queue.h"

namespace watchwheel::sideeffects {
namespace {

using namespace std::chrono_literals;
using core::SiteId;
using core::SiteState;
using core::TransitionReason;

constexpr core::Duration kInterval = 2min;

class FakeParents final : public ParentStore {
 public:
  core::Result<bool> any() override {
    ++reads;
    if (away) return core::Error{core::ErrorKind::Unavailable, "away"};
    return !parents.empty();
  }
  core::Result<std::vector<SiteKin>> kin(std::span<const Failing> sites) override {
    ++reads;
    if (away) return core::Error{core::ErrorKind::Unavailable, "away"};
    std::vector<SiteKin> found;
    for (const Failing& failing : sites) {
      SiteKin one{.site = failing.site, .is_parent = false, .interval = {}, .above = {}};
      for (const auto& [child, parent] : parents) {
        one.is_parent = one.is_parent || parent == failing.site;
        const auto outage = outages.find(parent);
        if (child != failing.site || outage == outages.end()) continue;
        const core::WallTime ended = outage->second.ended_at;
        if (ended == core::kNoWallTime || ended >= failing.since)
          one.above.push_back(outage->second);
      }
      if (one.is_parent || parents.contains(failing.site)) found.push_back(std::move(one));
    }
    return found;
  }
  core::Result<std::uint64_t> below(SiteId site, std::uint64_t limit) override {
    ++reads;
    if (away) return core::Error{core::ErrorKind::Unavailable, "away"};
    std::uint64_t count = 0;
    for (const auto& [child, parent] : parents) count += parent == site ? 1U : 0U;
    return std::min(count, limit);
  }
  std::multimap<SiteId, SiteId> parents;  // Of each child.
  std::map<SiteId, ParentOutage> outages;
  [[nodiscard]] bool reachable() const override { return !known_away; }
  bool away = false;
  bool known_away = false;
  int reads = 0;
};

// Site 1 is the parent of 2 and 3; 4 depends on nobody.
struct World {
  World() { store.parents = {{SiteId{2}, SiteId{1}}, {SiteId{3}, SiteId{1}}}; }

  core::ManualClock clock;
  testing::FakeDeliveryQueue queue{clock};
  FakeParents store;
  std::vector<std::string> warnings;
  ParentWatch watch{store, clock, kInterval,
                    [this](const std::string& line) { warnings.push_back(line); }};
  std::map<std::uint64_t, Notice> events;
  NoticeRouter router{
      NoticeRouter::Settings{
          .prepare = [this](std::span<const Notice> notices) { watch.prepare(notices); },
          .hold = [this](const Notice& notice) { return watch.hold(notice); },
          .remark = [this](const Notice& notice) { return watch.note(notice); },
          .ready =
              [this] {
                watch.turn();
                return core::Result<void>{};
              }},
      queue, std::make_shared<const NotifyTargets>(NotifyTargets{target()}), clock, 7};

  static NotifyTarget target() {
    NotifyTarget target;
    target.channel.name = "ops";
    return target;
  }
  void run_for(core::Duration time) {
    for (core::Duration passed{}; passed <= time; passed += 500ms) {
      for (int i = 0; i < 1000; ++i) {
        if (router.next_turn().value_or(core::SteadyTime::max()) > clock.steady()) break;
        router.turn(clock.steady());
      }
      clock.advance(500ms);
    }
  }
  void change(std::uint64_t site, SiteState after) {
    Notice& notice = events[site];
    const bool ends_it = after == SiteState::Up;
    notice.site = SiteId{site};
    notice.event = core::EventId{site};
    notice.url = "https://s" + std::to_string(site) + ".example/";
    if (notice.started_at == core::kNoWallTime) notice.started_at = clock.wall() - 20s;
    if (after == SiteState::Down) notice.confirmed_at = clock.wall();
    if (ends_it) notice.ended_at = clock.wall();
    const SiteState before = notice.confirmed_at == core::kNoWallTime || after == SiteState::Down
                                 ? SiteState::SeemsDown
                                 : SiteState::Down;
    notice.state = after;
    notice.transition = {
        .seq = ends_it ? 3U : 2U,
        .reason = ends_it ? TransitionReason::Recovered : TransitionReason::Confirmed,
        .before = before,
        .after = after,
        .at = clock.wall(),
        .failures = 3,
        .evidence = {}};
    store.outages[notice.site] = {.parent = notice.site,
                                  .started_at = notice.started_at,
                                  .confirmed_at = notice.confirmed_at,
                                  .ended_at = notice.ended_at};
    queue.commit(notice);
  }
  // Kind and site of each message, in order.
  std::string told() {
    std::string all;
    for (const auto& row : queue.rows())
      all += row.what.kind + std::to_string(row.what.site.value) + " ";
    return all;
  }
  std::string note_of(std::size_t row) {
    return decode_message(queue.rows().at(row).what.body).value().note;
  }
};

TEST(ParentWatch, TheParentIsToldWithTheNumberOfItsChildrenAndTheyAreNot) {
  World world;
  world.change(1, SiteState::Down);
  world.run_for(2s);
  world.change(2, SiteState::Down);
  world.change(3, SiteState::Down);
  world.change(4, SiteState::Down);
  world.run_for(30min);
  EXPECT_EQ(world.told(), "down1 down4 ");
  EXPECT_EQ(world.note_of(0), "Holds the notices of 2 sites that depend on it.");
  EXPECT_EQ(world.note_of(1), "");
}

TEST(ParentWatch, WhatIsStillDownWhenItWasLookedAtAgainIsToldAndOnce) {
  World world;
  world.change(1, SiteState::Down);
  world.change(2, SiteState::Down);
  world.change(3, SiteState::Down);
  world.run_for(10min);
  world.change(1, SiteState::Up);
  world.run_for(1min);
  EXPECT_EQ(world.told(), "down1 up1 ") << "neither was looked at again";
  world.change(3, SiteState::Up);
  world.run_for(5min);
  EXPECT_EQ(world.told(), "down1 up1 down2 ") << "the one was only unreachable, the other is down";
  world.change(2, SiteState::Up);
  world.run_for(5s);
  EXPECT_EQ(world.told(), "down1 up1 down2 up2 ");
}

TEST(ParentWatch, AParentThatOnlySeemedDownHoldsAsLongAsThatIsOpen) {
  World world;
  world.change(1, SiteState::SeemsDown);
  world.change(2, SiteState::Down);
  world.run_for(10s);
  EXPECT_EQ(world.told().find("down2"), std::string::npos);
  world.change(1, SiteState::Up);
  world.run_for(20s);
  EXPECT_NE(world.told().find("down2"), std::string::npos) << world.told();
}

TEST(ParentWatch, TheEndOfWhatWasToldBeforeIsToldAtOnce) {
  World world;
  world.change(2, SiteState::Down);
  world.run_for(5s);
  world.change(1, SiteState::Down);
  world.run_for(5s);
  world.change(2, SiteState::Up);
  world.run_for(5s);
  EXPECT_EQ(world.told(), "down2 down1 up2 ");
}

TEST(ParentWatch, AStoreThatCannotBeReadHoldsForAMomentAndIsAskedLaterAndLater) {
  World world;
  world.store.away = true;
  world.change(1, SiteState::Down);
  world.change(2, SiteState::Down);
  world.run_for(9s);
  EXPECT_EQ(world.told(), "");
  world.run_for(3s);
  EXPECT_EQ(world.told(), "down1 down2 ");
  EXPECT_EQ(world.store.reads, 4) << "at the first look and a second, three and seven after it";
  EXPECT_EQ(world.watch.stats().unread.value(), 4U);
  EXPECT_EQ(world.warnings.size(), 1U);
  // What begins later waits no more, for as long as there is no answer.
  for (int i = 0; i < 60; ++i) {
    world.change(3, SiteState::Down);
    world.run_for(10s);
  }
  EXPECT_LE(world.store.reads, 4 + 2 + 600 / 30);
  EXPECT_EQ(world.warnings.size(), 1U);
  EXPECT_EQ(world.told(), "down1 down2 down3 ");
}

// Goal: one failure lets nobody out. Method: the read fails as the parent's children fail, once, and again later for each length.
TEST(ParentWatch, OneReadThatFailsLetsNoChildOut) {
  World world;
  world.change(1, SiteState::Down);
  world.run_for(5s);
  world.store.away = true;
  world.change(2, SiteState::Down);
  world.change(3, SiteState::Down);
  world.run_for(3s);
  world.store.away = false;
  world.run_for(5min);
  EXPECT_EQ(world.told(), "down1 ");
  EXPECT_GE(world.watch.stats().unread.value(), 1U);
  world.store.away = true;  // What the parent held is held for longer than what is new.
  world.run_for(70s);
  EXPECT_EQ(world.told(), "down1 ");
  world.store.away = false;
  world.run_for(2min);
  EXPECT_EQ(world.told(), "down1 ");
  world.store.away = true;  // And not for ever.
  world.run_for(5min);
  EXPECT_EQ(world.queue.rows().size(), 3U) << world.told();
  EXPECT_EQ(world.warnings.size(), 3U);
}

// What waited for an answer alone was held by no parent.
TEST(ParentWatch, WhatIsNewWaitsNoLongerBecauseItWaited) {
  World world;
  world.run_for(6s);
  world.store.away = true;
  world.change(4, SiteState::Down);
  world.run_for(13s);
  EXPECT_EQ(world.told(), "down4 ");
}

TEST(ParentWatch, WhereNobodyIsKnownToHaveParentsNothingWaitsForThem) {
  World world;
  world.store.parents.clear();
  world.change(1, SiteState::Down);
  world.run_for(2s);
  world.store.away = true;
  world.change(4, SiteState::Down);
  world.run_for(1s);
  EXPECT_EQ(world.told(), "down1 down4 ");
}

TEST(ParentWatch, AStoreThatIsKnownToBeAwayIsNotAskedAndHoldsAgainAsSoonAsItIsBack) {
  World world;
  world.store.known_away = world.store.away = true;
  world.change(1, SiteState::Down);
  world.change(2, SiteState::Down);
  world.run_for(10s);
  EXPECT_EQ(world.told(), "down1 down2 ");
  EXPECT_EQ(world.warnings.size(), 0U);
  EXPECT_EQ(world.store.reads, 0);
  world.store.known_away = world.store.away = false;
  world.change(3, SiteState::Down);
  world.run_for(10s);
  EXPECT_EQ(world.told(), "down1 down2 ");
}

TEST(ParentWatch, WhereNobodyHasParentsNoSiteIsAskedFor) {
  World world;
  world.store.parents.clear();
  for (std::uint64_t site = 1; site <= 50; ++site) world.change(site, SiteState::Down);
  world.run_for(4s);
  EXPECT_EQ(world.queue.rows().size(), 50U);
  EXPECT_LE(world.store.reads, 2);
}

// However many wait for a parent: the store is asked once a turn for all of them, and once how many there are.
TEST(ParentWatch, AThousandChildrenOfATurnAreAskedForTogether) {
  World world;
  for (std::uint64_t site = 2; site <= 1000; ++site)
    world.store.parents.emplace(SiteId{site}, SiteId{1});
  for (std::uint64_t site = 1; site <= 1000; ++site) world.change(site, SiteState::Down);
  world.store.reads = 0;
  world.router.turn(world.clock.steady());
  EXPECT_EQ(world.router.stats().held.at(1).value(), 999U);
  EXPECT_EQ(world.told(), "down1 ");
  EXPECT_LE(world.store.reads, 3) << "any, kin and the number below the parent";
}

// Goal: what is held leaves the router time for what is told. Method: thousands wait for a parent while a site that depends on nobody
// fails each second; each turn of a thousand takes a moment.
TEST(ParentWatch, WhatIsHeldLeavesTimeForTheRest) {
  LookPace pace;
  core::SteadyTime now{};
  constexpr std::uint32_t kRows = 2000;
  constexpr core::Duration kOfOne = 2ms;
  std::vector<core::SteadyTime> due(kRows, now);
  core::Duration busy{};
  std::uint64_t looks = 0;
  const core::SteadyTime start = now + 5min;  // When the first flood is over.
  while (now < start + 10min) {
    pace.turn(now);
    std::uint32_t looked = 0;
    for (core::SteadyTime& row : due) {
      if (row > now || looked == 1000) continue;
      ++looked;
      row = now + pace.after(2s, now);
    }
    now += looked == 0 ? 100ms : kOfOne * looked;
    if (now >= start) busy += kOfOne * looked;
    looks += looked;
  }
  EXPECT_LT(busy, 10min / 3);
  EXPECT_GT(looks, 5 * kRows) << "and each is looked at again, many times";
  // A few are not put off.
  LookPace few;
  few.turn(now);
  for (int i = 0; i < 10; ++i) EXPECT_LT(few.after(2s, now), 2s + 10ms);
}

TEST(ParentWatch, AnotherIntervalCountsFromTheNextLookOn) {
  World world;
  world.change(1, SiteState::Down);
  world.change(2, SiteState::Down);
  world.run_for(1min);
  world.watch.set_interval(1h);
  world.change(1, SiteState::Up);
  world.run_for(30min);
  EXPECT_EQ(world.told(), "down1 up1 ") << "it was not looked at again yet";
  world.watch.set_interval(kInterval);
  world.run_for(2min);
  EXPECT_EQ(world.told(), "down1 up1 down2 ");
}

// Whatever the times: an open outage holds, one that was over before the child began holds nothing, nothing is held for longer than
// it takes to look again, and each wait is one that the router can keep.
TEST(ParentWatch, TheRuleHoldsForAllTimes) {
  const core::WallTime now = core::from_unix_ms(1'900'000'000'000);
  int held = 0;
  int told = 0;
  for (const core::Duration began : {0s, 5s, 60s, 3600s, 864'000s}) {
    for (const core::Duration over : {-3600s, 0s, 1s, 30s, 120s, 134s, 136s, 7200s}) {
      for (const bool confirmed : {true, false}) {
        Notice child;
        child.started_at = now - began;
        const ParentOutage open{.parent = SiteId{1},
                                .started_at = now - 1s,
                                .confirmed_at = confirmed ? now - 1s : core::kNoWallTime,
                                .ended_at = core::kNoWallTime};
        const auto while_open = held_by_parents(child, {&open, 1}, kInterval, now);
        ASSERT_TRUE(while_open);
        EXPECT_GE(while_open->look_again, ParentWatch::kLookAgainMin);
        EXPECT_LE(while_open->look_again, ParentWatch::kLookAgainMax);
        EXPECT_EQ(while_open->by, 1U);
        EXPECT_EQ(while_open->until, core::kNoWallTime) << "nobody knows";
        ParentOutage past = open;
        past.ended_at = now - over;
        const auto after = held_by_parents(child, {&past, 1}, kInterval, now);
        const bool wanted = confirmed && over >= 0s && over <= began &&
                            over < kInterval + ParentWatch::kSettleSlack;
        EXPECT_EQ(after.has_value(), wanted) << began.count() << " " << over.count();
        EXPECT_GT(after.value_or(Hold{.look_again = 1s}).look_again, 0s);
        if (after) {
          EXPECT_EQ(after->until, past.ended_at + kInterval + ParentWatch::kSettleSlack);
        }
        ++(after ? held : told);
        const std::vector<ParentOutage> both{past, open};
        EXPECT_TRUE(held_by_parents(child, both, kInterval, now));
      }
    }
  }
  EXPECT_GT(held, 5);
  EXPECT_GT(told, 5);
}

// Goal: what is looked at late, as after a store that was away, is told as if it had been looked at in time. Method: a child's outage
// that is over, hours ago, before, within and after one of its parent.
TEST(ParentWatch, WhatWasOnlyUnreachableIsToldToNobodyHoweverLate) {
  const core::WallTime then = core::from_unix_ms(1'900'000'000'000);
  const core::WallTime now = then + 5h;
  ParentOutage parent{.parent = SiteId{1},
                      .started_at = then,
                      .confirmed_at = then + 20s,
                      .ended_at = then + 10min};
  const auto held = [&](core::Duration began, core::Duration ended) {
    Notice child;
    child.state = SiteState::Up;
    child.started_at = then + began - 5s;
    child.confirmed_at = then + began;
    child.ended_at = then + ended;
    return held_by_parents(child, {&parent, 1}, kInterval, now).has_value();
  };
  EXPECT_TRUE(held(10s, 9min));
  EXPECT_TRUE(held(10s, 10min + kInterval));
  EXPECT_FALSE(held(10s, 10min + kInterval + 16s))
      << "it was still down when it was looked at again";
  EXPECT_FALSE(held(-1s, 9min)) << "it was down before";
  EXPECT_FALSE(held(11min, 12min)) << "it was well in between";
  parent.confirmed_at = core::kNoWallTime;
  EXPECT_TRUE(held(10s, 9min));
  EXPECT_FALSE(held(10s, 11min)) << "what only seemed down holds nothing afterwards";
}

}  // namespace
}  // namespace watchwheel::sideeffects
