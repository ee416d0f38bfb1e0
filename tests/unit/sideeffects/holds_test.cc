// SPDX-License-Identifier: Apache-2.0
// Goal: of all that holds a notice the first one says so, what is over hands on to the next, and what is down in the end is told.
// Method: the router with all three on an outbox in memory; a clock that is moved.
#include "sideeffects/holds.h"

#include <gtest/gtest.h>

#include <map>
#include <memory>

#include "support/fake_delivery_queue.h"

namespace watchwheel::sideeffects {
namespace {

using namespace std::chrono_literals;
using core::SiteId;
using core::SiteState;
using core::TransitionReason;

constexpr SiteId kChild{2};
constexpr SiteId kParent{1};

struct Windows final : MaintenanceStore {
  core::Result<std::vector<MaintenanceWindow>> list(core::WallTime /*now*/) override { return all; }
  core::Result<MaintenanceId> add(const MaintenanceWindow& window) override {
    all.push_back(window);
    return window.id;
  }
  core::Result<void> remove(MaintenanceId /*id*/) override { return {}; }
  std::vector<MaintenanceWindow> all;
};

struct Parents final : ParentStore {
  core::Result<bool> any() override { return true; }
  core::Result<std::vector<SiteKin>> kin(std::span<const Failing> sites) override {
    std::vector<SiteKin> kin;
    for (const Failing& failing : sites) {
      if (failing.site == kChild)
        kin.push_back({.site = kChild, .is_parent = false, .interval = {}, .above = above});
    }
    return kin;
  }
  core::Result<std::uint64_t> below(SiteId /*parent*/, std::uint64_t /*limit*/) override {
    return std::uint64_t{1};
  }
  std::vector<ParentOutage> above;
};

struct World final : FlappingStore {
  core::ManualClock clock;
  testing::FakeDeliveryQueue queue{clock};
  Windows windows;
  Parents parents;
  std::vector<core::WallTime> changed;
  SiteState state = SiteState::Up;
  Notice event;
  Holds holds{{.flapping = {}, .interval = 1min, .warn = [](const std::string&) {}},
              {.windows = windows, .parents = &parents, .flapping = this},
              clock};
  NoticeRouter router{[this] {
                        NoticeRouter::Settings settings;
                        holds.join(settings);
                        return settings;
                      }(),
                      queue, std::make_shared<const NotifyTargets>(NotifyTargets{target()}), clock,
                      7};

  static NotifyTarget target() {
    NotifyTarget target;
    target.channel.name = "ops";
    target.warnings = true;
    return target;
  }
  core::Result<std::vector<FlappingSite>> flapping() override {
    std::vector<FlappingSite> all;
    for (const Notice& wake : queue.wakes()) {
      if (const auto since = parse_flapping_memo(wake.memo))
        all.push_back({.site = wake.site, .event = wake.event, .since = *since});
    }
    return all;
  }
  core::Result<std::vector<SiteChanges>> changes(std::span<const SiteId> sites, core::Duration,
                                                 core::WallTime) override {
    std::vector<SiteChanges> all;
    for (const SiteId site : sites)
      all.push_back(
          {.site = site, .interval = {}, .changes = changed, .told = changed, .state = state});
    return all;
  }
  void run_for(core::Duration time) {
    for (core::Duration passed{}; passed < time; passed += 1s) {
      for (int i = 0; i < 1000; ++i) {
        if (router.next_turn().value_or(core::SteadyTime::max()) > clock.steady()) break;
        router.turn(clock.steady());
      }
      clock.advance(1s);
    }
  }
  void change(SiteState after) {
    const bool down = after == SiteState::Down;
    if (down) {
      const core::EventId next{event.event.value + 1};
      event = {};
      event.event = next;
      event.site = kChild;
      event.started_at = clock.wall() - 20s;
      event.confirmed_at = clock.wall();
    } else {
      event.ended_at = clock.wall();
    }
    event.state = state = after;
    event.transition = {.seq = down ? 2U : 3U,
                        .reason = down ? TransitionReason::Confirmed : TransitionReason::Recovered,
                        .before = down ? SiteState::SeemsDown : SiteState::Down,
                        .after = after,
                        .at = clock.wall(),
                        .failures = 3,
                        .evidence = {}};
    changed.push_back(clock.wall());
    queue.commit(event);
  }
  void swing(int times, core::Duration each) {
    for (int i = 0; i < times; ++i) {
      change(SiteState::Down);
      run_for(each);
      change(SiteState::Up);
      run_for(each);
    }
  }
  void announce(core::Duration length) {
    MaintenanceWindow window;
    window.id = MaintenanceId{1};
    window.starts_at = clock.wall();
    window.ends_at = clock.wall() + length;
    window.sites = {kChild};
    windows.all = {window};
  }
  void parent_down() { parents.above = {{.parent = kParent, .confirmed_at = clock.wall()}}; }
  void parent_up() { parents.above[0].ended_at = clock.wall(); }
  std::optional<HeldBack> held() {
    for (const Notice& wake : queue.wakes()) {
      if (const auto one = parse_hold_memo(wake.memo)) return one;
    }
    return std::nullopt;
  }
  // Why the newest outage is held. "": it is not.
  std::string held_by() {
    const auto one = held();
    return one ? std::string(to_string(one->reason)) : "";
  }
  std::size_t times(const std::string& kind) {
    std::size_t count = 0;
    for (const auto& row : queue.rows()) count += row.what.kind == kind ? 1U : 0U;
    return count;
  }
};

TEST(Holds, TheFirstThatHoldsSaysSoAndHandsOnToTheNext) {
  World world;
  world.swing(8, 1min);
  ASSERT_EQ(world.times("flapping"), 1U);
  const std::size_t told = world.times("down");
  world.parent_down();
  world.announce(3min);
  world.run_for(6s);  // They are read anew.
  world.change(SiteState::Down);
  world.run_for(2min);
  EXPECT_EQ(world.held_by(), "maintenance");
  const HeldBack first = world.held().value();
  EXPECT_EQ(first.by, 1U);
  EXPECT_EQ(first.until, world.windows.all[0].ends_at);
  EXPECT_EQ(first.since, world.event.confirmed_at);
  world.run_for(2min);
  EXPECT_EQ(world.held_by(), "parent");
  EXPECT_EQ(world.held()->by, kParent.value);
  EXPECT_EQ(world.held()->since, first.since) << "of the first that held it";
  EXPECT_EQ(world.held()->until, core::kNoWallTime);
  world.parent_up();
  world.run_for(5min);
  EXPECT_NE(world.held_by(), "parent");
  world.run_for(30min);
  EXPECT_EQ(world.times("flapping_over"), 1U);
  EXPECT_EQ(world.held_by(), "");
  EXPECT_EQ(world.times("down"), told + 1) << "what is down in the end is told";
  world.change(SiteState::Up);
  world.run_for(1min);
  EXPECT_EQ(world.times("up"), told + 1);
}

// Nobody is told that it flaps because of what was announced, or of what it stands behind.
TEST(Holds, FlappingBeginsWhileNothingElseHolds) {
  for (const bool window : {true, false}) {
    World world;
    window ? world.announce(1h) : world.parent_down();
    world.swing(10, 1min);
    EXPECT_TRUE(world.queue.rows().empty());
    EXPECT_EQ(world.holds.flapping().begun.value(), 0U);
  }
}

// Of what ends on a date neither a parent nor flapping is the reason.
TEST(Holds, AWarningIsHeldByMaintenanceAlone) {
  World world;
  world.swing(8, 1min);
  ASSERT_EQ(world.times("flapping"), 1U);
  world.parent_down();
  const auto warn = [&](std::uint64_t event) {
    Notice warning;
    warning.event = core::EventId{event};
    warning.site = kChild;
    warning.kind = core::EventKind::TlsExpiring;
    warning.step = 24h;
    warning.state = SiteState::Unknown;
    warning.started_at = world.clock.wall();
    warning.transition.seq = 1;
    warning.transition.step = warning.step;
    world.queue.commit(warning);
    world.run_for(10s);
  };
  warn(900);
  EXPECT_EQ(world.times("warning"), 1U);
  world.announce(3min);
  world.run_for(10s);  // It is read anew.
  warn(901);
  EXPECT_EQ(world.times("warning"), 1U);
  world.run_for(5min);
  EXPECT_EQ(world.times("warning"), 2U);
}

// A reload of the interval reaches those that reckon in it.
TEST(Holds, AnotherIntervalReachesParentsAndFlapping) {
  World world;
  world.swing(6, 20min);
  EXPECT_EQ(world.holds.flapping().begun.value(), 0U) << "by the minute that is rare";
  world.holds.set_interval(20min);
  world.swing(6, 20min);
  EXPECT_EQ(world.holds.flapping().begun.value(), 1U);

  World behind;
  behind.parent_down();
  behind.change(SiteState::Down);
  behind.run_for(10s);
  behind.holds.set_interval(1h);
  behind.parent_up();
  behind.run_for(50min);
  EXPECT_EQ(behind.held_by(), "parent");
  behind.run_for(12min);
  EXPECT_EQ(behind.times("down"), 1U);
}

TEST(Holds, WhatIsKeptOfOneIsReadAgain) {
  const core::WallTime since = core::from_unix_ms(1'800'000'000'123);
  for (std::size_t reason = 0; reason < kHoldReasonCount; ++reason) {
    for (const core::WallTime until : {core::kNoWallTime, since + 1h}) {
      const Hold hold{
          .reason = static_cast<HoldReason>(reason), .look_again = 1s, .by = 7, .until = until};
      const std::string memo = hold_memo(hold, since);
      const HeldBack kept{.reason = hold.reason, .by = 7, .since = since, .until = until};
      EXPECT_EQ(parse_hold_memo(memo), kept) << memo;
      EXPECT_EQ(parse_hold_memo("warning:604800000:" + memo), kept) << memo;
      EXPECT_FALSE(parse_hold_memo("x" + memo));
      EXPECT_FALSE(parse_hold_memo(memo + ":1"));
    }
  }
  for (const char* memo :
       {"", "digest", "remind:ops", "flapping:1", "warning:1", "hold:", "hold:parent",
        "hold:moon:1:2:3", "hold:parent:1:2", "hold:parent:1:2:", "hold:parent:-1:2:3",
        "hold:parent:1:x:3", "hold:parent:9999999999999999:2:3",
        "hold:parent:1:2:99999999999999999999"})
    EXPECT_FALSE(parse_hold_memo(memo)) << memo;
}

TEST(Holds, WithoutParentsAndFlappingOnlyWindowsHold) {
  core::ManualClock clock;
  Windows windows;
  Holds holds({}, {.windows = windows}, clock);
  NoticeRouter::Settings settings;
  holds.join(settings);
  ASSERT_TRUE(settings.ready());
  settings.prepare({});
  EXPECT_EQ(settings.flapping, nullptr);
  Notice notice;
  notice.site = kChild;
  EXPECT_FALSE(settings.hold(notice));
  EXPECT_EQ(settings.remark(notice), "");
  holds.set_interval(1h);
  EXPECT_EQ(holds.flapping().sites.value(), 0);
}

}  // namespace
}  // namespace watchwheel::sideeffects
