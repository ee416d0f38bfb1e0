// SPDX-License-Identifier: Apache-2.0
// Goal: while a window holds nobody is told that a site fails; afterwards what is still down is told, what ended inside is not,
// and an end is never kept back. Method: the real router on an outbox in memory, windows in a vector, a clock that is moved.
#include "sideeffects/maintenance_watch.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "sideeffects/notice_router.h"
#include "support/fake_delivery_queue.h"

namespace watchwheel::sideeffects {
namespace {

using namespace std::chrono_literals;
using core::SiteState;
using core::TransitionReason;

class FakeWindows final : public MaintenanceStore {
 public:
  core::Result<std::vector<MaintenanceWindow>> list(core::WallTime /*now*/) override {
    ++reads;
    if (away) return core::Error{core::ErrorKind::Unavailable, "away"};
    return windows;
  }
  core::Result<MaintenanceId> add(const MaintenanceWindow& window) override {
    windows.push_back(window);
    return window.id;
  }
  core::Result<void> remove(MaintenanceId id) override {
    std::erase_if(windows, [&](const MaintenanceWindow& w) { return w.id == id; });
    return {};
  }
  std::vector<MaintenanceWindow> windows;
  bool away = false;
  int reads = 0;
};

struct World {
  core::ManualClock clock;
  testing::FakeDeliveryQueue queue{clock};
  FakeWindows store;
  std::vector<std::string> warnings;
  MaintenanceWatch watch{store, clock,
                         [this](const std::string& line) { warnings.push_back(line); }};
  std::map<std::uint64_t, Notice> events;
  NoticeRouter router{
      NoticeRouter::Settings{.hold = [this](const Notice& notice) { return watch.hold(notice); },
                             .ready = [this] { return watch.ready(); }},
      queue, std::make_shared<const NotifyTargets>(NotifyTargets{target()}), clock, 7};

  static NotifyTarget target() {
    NotifyTarget target;
    target.channel.name = "ops";
    return target;
  }
  // From now on, of the sites tagged "eu".
  void window_for(core::Duration length) {
    MaintenanceWindow window;
    window.id = MaintenanceId{1};
    window.tags = {"eu"};
    window.starts_at = clock.wall();
    window.ends_at = clock.wall() + length;
    store.windows = {window};
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
    notice.site = core::SiteId{site};
    notice.event = core::EventId{site};
    notice.url = "https://s" + std::to_string(site) + ".example/";
    notice.tags = {"eu"};
    if (notice.started_at == core::kNoWallTime) notice.started_at = clock.wall() - 20s;
    if (!ends_it) notice.confirmed_at = clock.wall();
    if (ends_it) notice.ended_at = clock.wall();
    notice.state = after;
    notice.transition = {
        .seq = ends_it ? 3U : 2U,
        .reason = ends_it ? TransitionReason::Recovered : TransitionReason::Confirmed,
        .before = ends_it ? SiteState::Down : SiteState::SeemsDown,
        .after = after,
        .at = clock.wall(),
        .failures = 3,
        .evidence = {}};
    queue.commit(notice);
  }
  std::string told() {
    std::string kinds;
    for (const auto& row : queue.rows()) kinds += row.what.kind + " ";
    return kinds;
  }
};

TEST(MaintenanceWatch, WhatIsStillDownAfterTheWindowIsToldThenAndOnce) {
  World world;
  world.window_for(30min);
  world.change(1, SiteState::Down);
  world.run_for(29min);
  EXPECT_EQ(world.told(), "");
  world.run_for(2min);
  EXPECT_EQ(world.told(), "down ");
  world.change(1, SiteState::Up);
  world.run_for(5s);
  EXPECT_EQ(world.told(), "down up ");
}

TEST(MaintenanceWatch, WhatEndedInsideTheWindowIsNotTold) {
  World world;
  world.window_for(30min);
  world.change(1, SiteState::Down);
  world.run_for(10min);
  world.change(1, SiteState::Up);
  world.run_for(40min);
  EXPECT_EQ(world.told(), "");
  EXPECT_EQ(world.queue.notices(), 0U);
}

TEST(MaintenanceWatch, TheEndOfWhatWasToldBeforeTheWindowIsToldInsideIt) {
  World world;
  world.change(1, SiteState::Down);
  world.run_for(10s);
  world.window_for(30min);
  world.run_for(10s);
  world.change(1, SiteState::Up);
  world.run_for(10s);
  EXPECT_EQ(world.told(), "down up ");
}

TEST(MaintenanceWatch, AWindowThatIsRemovedNoLongerHolds) {
  World world;
  world.window_for(24h);
  world.change(1, SiteState::Down);
  world.run_for(10min);
  EXPECT_EQ(world.told(), "");
  world.store.windows.clear();
  world.run_for(MaintenanceWatch::kLookAgainMax + MaintenanceWatch::kReadEach + 2s);
  EXPECT_EQ(world.told(), "down ");
}

TEST(MaintenanceWatch, SitesItDoesNotCoverAreToldAtOnce) {
  World world;
  world.window_for(30min);
  world.store.windows[0].tags = {"us"};
  world.change(1, SiteState::Down);
  world.run_for(5s);
  EXPECT_EQ(world.told(), "down ");
}

// A wall clock that is set forward over the end of a window ends it, and back into it makes it hold.
TEST(MaintenanceWatch, GoesByTheWallClockWhicheverWayItIsSet) {
  World world;
  world.window_for(30min);
  Notice notice;
  notice.site = core::SiteId{1};
  notice.tags = {"eu"};
  EXPECT_TRUE(world.watch.hold(notice));
  world.clock.step_wall(31min);
  EXPECT_FALSE(world.watch.hold(notice));
  world.clock.step_wall(-10min);
  EXPECT_TRUE(world.watch.hold(notice));
}

// Goal: an outage that begins and ends before the windows could be read for the first time is told when they are, and not dropped.
TEST(MaintenanceWatch, NothingIsDroppedBeforeTheWindowsAreKnown) {
  World world;
  world.store.away = true;
  world.change(1, SiteState::Down);
  world.change(1, SiteState::Up);
  world.run_for(1min);
  EXPECT_EQ(world.told(), "");
  EXPECT_EQ(world.queue.notices(), 2U);
  world.store.away = false;
  world.run_for(10s);
  EXPECT_EQ(world.told(), "down up ");
}

TEST(MaintenanceWatch, AStoreThatIsAwayChangesNothingAndIsToldOnce) {
  World world;
  Notice notice;
  notice.site = core::SiteId{1};
  notice.tags = {"eu"};
  world.store.away = true;
  ASSERT_TRUE(world.watch.hold(notice)) << "nobody is woken before it is known who is not to be";
  EXPECT_EQ(world.watch.hold(notice)->reason, HoldReason::MaintenanceUnread);
  world.store.away = false;
  world.window_for(30min);
  world.clock.advance(MaintenanceWatch::kReadEach);
  EXPECT_EQ(world.watch.hold(notice)->reason, HoldReason::Maintenance);
  world.store.away = true;
  for (int i = 0; i < 100; ++i) {
    world.clock.advance(1s);
    EXPECT_TRUE(world.watch.hold(notice));
  }
  EXPECT_EQ(world.warnings.size(), 2U);
  EXPECT_LE(world.store.reads, 25);
}

}  // namespace
}  // namespace watchwheel::sideeffects
