// SPDX-License-Identifier: Apache-2.0
// Goal: what was committed is told once, whatever the store does, and mass outages in few messages. Method: an outbox in memory and
// a clock that stands still until it is moved.
#include "sideeffects/notice_router.h"

#include <gtest/gtest.h>

#include <set>

#include "support/fake_delivery_queue.h"

namespace watchwheel::sideeffects {
namespace {

using namespace std::chrono_literals;
using core::SiteState;
using core::TransitionReason;
using testing::FakeDeliveryQueue;

NotifyTarget target_of(const std::string& name) {
  NotifyTarget target;
  target.channel.name = name;
  return target;
}

struct World {
  core::ManualClock clock;
  FakeDeliveryQueue queue{clock};
  std::vector<std::string> warnings;
  int calls = 0;
  std::unique_ptr<NoticeRouter> router;

  explicit World(const NotifyTargets& targets) { start(targets); }
  void start(const NotifyTargets& targets) {
    router = std::make_unique<NoticeRouter>(
        NoticeRouter::Settings{
            .delivered = [this] { ++calls; },
            .warn = [this](const std::string& line) { warnings.push_back(line); }},
        queue, std::make_shared<const NotifyTargets>(targets), clock, 7);
  }
  void settle() {
    for (int i = 0; i < 10'000; ++i) {
      if (router->next_turn().value_or(core::SteadyTime::max()) > clock.steady()) return;
      router->turn(clock.steady());
    }
    FAIL() << "it never comes to rest";
  }
  void run_for(core::Duration time, core::Duration step = 100ms) {
    for (core::Duration passed{}; passed < time; passed += step) {
      settle();
      clock.advance(step);
    }
    settle();
  }
  void down(std::uint64_t site, std::uint64_t group = 0) {
    Notice notice;
    notice.site = core::SiteId{site};
    notice.event = core::EventId{site};
    notice.started_at = clock.wall() - 20s;
    notice.confirmed_at = clock.wall();
    notice.state = SiteState::Down;
    notice.url = "https://s" + std::to_string(site) + ".example/";
    notice.group = group;
    notice.group_started_at = group == 0 ? core::kNoWallTime : clock.wall() - 20s;
    notice.transition = {.seq = 2,
                         .reason = TransitionReason::Confirmed,
                         .before = SiteState::SeemsDown,
                         .after = SiteState::Down,
                         .at = clock.wall(),
                         .failures = 3,
                         .evidence = {}};
    events[site] = notice;
    queue.commit(notice);
  }
  void up(std::uint64_t site) {
    Notice notice = events.at(site);
    notice.state = SiteState::Up;
    notice.ended_at = clock.wall();
    notice.transition = {.seq = 3,
                         .reason = TransitionReason::Recovered,
                         .before = SiteState::Down,
                         .after = SiteState::Up,
                         .at = clock.wall(),
                         .failures = 3,
                         .evidence = {}};
    queue.commit(notice);
  }
  std::vector<Message> messages() {
    std::vector<Message> all;
    for (const auto& row : queue.rows()) {
      auto message = decode_message(row.what.body);
      EXPECT_TRUE(message);
      if (message) all.push_back(*std::move(message));
    }
    return all;
  }
  std::map<std::uint64_t, Notice> events;
};

TEST(NoticeRouter, TellsEachChangeOnceInItsOrder) {
  World world({target_of("ops")});
  for (std::uint64_t site = 1; site <= 30; ++site) world.down(site);
  world.run_for(2s);
  for (std::uint64_t site = 1; site <= 30; ++site) world.up(site);
  world.run_for(2s);
  EXPECT_EQ(world.queue.notices(), 0U);
  std::map<std::uint64_t, std::string> told;
  for (const auto& row : world.queue.rows()) told[row.what.line] += row.what.kind + " ";
  EXPECT_EQ(told.size(), 30U);
  for (const auto& [line, kinds] : told) EXPECT_EQ(kinds, "down up ") << line;
  EXPECT_GT(world.calls, 0);
  EXPECT_EQ(world.router->stats().notices.value(), 60U);
}

TEST(NoticeRouter, BothChangesOfAnOutageThatWasOverBeforeWeLookedAreTold) {
  World world({target_of("ops")});
  world.down(1);
  world.up(1);
  world.run_for(2s);
  const auto messages = world.messages();
  ASSERT_EQ(messages.size(), 2U);
  EXPECT_EQ(messages[0].kind, MessageKind::Down);
  EXPECT_EQ(messages[1].kind, MessageKind::Up);
}

TEST(NoticeRouter, StoreThatIsAwayOrLosesItsAnswerLosesAndDoublesNothing) {
  World world({target_of("ops")});
  world.queue.set_away(true);
  world.down(1);
  world.run_for(30s);
  EXPECT_EQ(world.queue.notices(), 1U);
  EXPECT_EQ(world.warnings.size(), 1U);
  world.queue.set_away(false);
  world.queue.lose_answer();
  world.run_for(20s);
  EXPECT_EQ(world.queue.notices(), 0U);
  EXPECT_EQ(world.queue.rows().size(), 1U);
}

TEST(NoticeRouter, NoticeThatCannotBeStoredKeepsNoOtherBack) {
  World world({target_of("ops")});
  world.queue.refuse_bodies_with("s3.example");
  for (std::uint64_t site = 1; site <= 5; ++site) world.down(site);
  world.run_for(3s);
  EXPECT_EQ(world.queue.notices(), 0U);
  EXPECT_EQ(world.queue.rows().size(), 4U);
  EXPECT_EQ(world.router->stats().unstorable.value(), 1U);
}

// Goal: a certificate of 300 sites, each of which is looked at in its own moment of a quarter of an hour, is told in few messages that
// name each once, the first at once; so is that it was renewed; and one that stands alone waits for nobody but for moments.
TEST(NoticeRouter, AWarningOfManySitesIsFewMessagesThatNameEachOnce) {
  NotifyTarget target = target_of("ops");
  target.warnings = true;
  World world({target});
  const auto warn = [&](std::uint64_t site) {
    Notice notice;
    notice.site = core::SiteId{site};
    notice.event = core::EventId{site};
    notice.kind = core::EventKind::TlsExpiring;
    notice.step = 24h * 14;
    notice.started_at = world.clock.wall();
    notice.state = SiteState::Unknown;
    notice.transition = {.seq = 1,
                         .reason = TransitionReason::Opened,
                         .before = SiteState::Up,
                         .after = SiteState::Up,
                         .at = world.clock.wall(),
                         .failures = 0,
                         .evidence = {}};
    notice.transition.step = notice.step;
    world.events[site] = notice;
    world.queue.commit(notice);
  };
  const auto over = [&](std::uint64_t site) {
    Notice notice = world.events.at(site);
    notice.state = SiteState::Up;
    notice.ended_at = world.clock.wall();
    notice.transition.seq = 2;
    notice.transition.reason = TransitionReason::Recovered;
    world.queue.commit(notice);
  };
  const auto named = [&](MessageKind kind) {
    std::multiset<std::uint64_t> sites;
    for (const Message& message : world.messages()) {
      if (message.kind != kind) continue;
      for (const MessageSite& site : message.sites) sites.insert(site.site.value);
    }
    return sites;
  };
  for (std::uint64_t site = 1; site <= 300; ++site) {
    warn(site);
    world.run_for(3s);
    if (site == 3) {
      EXPECT_EQ(named(MessageKind::Warning).size(), 2U) << "after moments";
    }
  }
  world.run_for(6min, 1s);
  std::multiset<std::uint64_t> all;
  for (std::uint64_t site = 1; site <= 300; ++site) all.insert(site);
  EXPECT_EQ(named(MessageKind::Warning), all);
  EXPECT_LE(world.messages().size(), 5U);

  const std::size_t before = world.messages().size();
  for (std::uint64_t site = 1; site <= 300; ++site) {
    over(site);
    world.run_for(3s);
  }
  world.run_for(6min, 1s);
  EXPECT_EQ(named(MessageKind::WarningOver), all);
  EXPECT_LE(world.messages().size() - before, 5U);
  EXPECT_EQ(world.queue.notices(), 0U);
  world.run_for(1h, 10s);
  warn(500);
  world.run_for(6s);
  EXPECT_EQ(named(MessageKind::Warning).count(500), 1U);
}

TEST(NoticeRouter, MassOutageIsFewMessagesThatNameEachSiteOnce) {
  World world({target_of("ops")});
  std::uint64_t site = 0;
  for (int tick = 0; tick < 600; ++tick) {  // Ten sites a second for a minute.
    world.down(++site, 3);
    world.run_for(100ms);
  }
  world.run_for(1min);
  std::map<std::uint64_t, int> named;
  const auto messages = world.messages();
  for (const Message& message : messages) {
    for (const MessageSite& one : message.sites) ++named[one.site.value];
  }
  EXPECT_EQ(named.size(), 600U);
  for (const auto& [id, times] : named) EXPECT_EQ(times, 1) << id;
  EXPECT_GE(messages.size(), 3U);
  EXPECT_LE(messages.size(), 4U);  // After 5 s, and each half minute.

  for (std::uint64_t id = 1; id <= site; ++id) world.up(id);
  world.run_for(1min);
  std::size_t ups = 0;
  std::size_t up_messages = 0;
  for (const Message& message : world.messages()) {
    if (message.kind != MessageKind::Up) continue;
    ++up_messages;
    ups += message.sites.size();
  }
  EXPECT_EQ(ups, 600U);
  EXPECT_EQ(up_messages, 1U);
}

TEST(NoticeRouter, ThousandsAtOnceAreToldWithoutFurtherWaits) {
  World world({target_of("ops")});
  for (std::uint64_t site = 1; site <= 4000; ++site) world.down(site, 3);
  world.run_for(6s);
  std::set<std::uint64_t> named;
  for (const Message& message : world.messages()) {
    for (const MessageSite& one : message.sites) named.insert(one.site.value);
  }
  EXPECT_EQ(named.size(), 4000U);
  EXPECT_LE(world.messages().size(), 8U);
}

// Goal: a mass outage is few messages to each, however many are told. Method: so many targets that one site told to each of them
// would fill a turn with a hundred.
TEST(NoticeRouter, ManyTargetsAreToldOfAMassOutageInAsFewMessages) {
  NotifyTargets targets;
  for (int i = 0; i < 50; ++i) targets.push_back(target_of("t" + std::to_string(i)));
  World world(targets);
  for (std::uint64_t site = 1; site <= 600; ++site) world.down(site, 3);
  world.run_for(7s);
  const auto of_one = world.queue.rows_of("t7");
  std::size_t named = 0;
  for (const auto& row : of_one) named += row.what.events.size();
  EXPECT_EQ(named, 600U);
  EXPECT_LE(of_one.size(), 2U);
}

// And what is told one by one is told in turns that a store can bear.
TEST(NoticeRouter, ManyTargetsMakeSmallTurnsOfSingleOutages) {
  NotifyTargets targets;
  for (int i = 0; i < 200; ++i) targets.push_back(target_of("t" + std::to_string(i)));
  World world(targets);
  for (std::uint64_t site = 1; site <= 40; ++site) world.down(site);
  world.router->turn(world.clock.steady());
  EXPECT_EQ(world.queue.rows().size(), NoticeRouter::kDeliveriesMax);
  world.run_for(2s);
  EXPECT_EQ(world.queue.rows().size(), 8000U);
}

TEST(NoticeRouter, RestartInTheMiddleOfAMassOutageTellsEachSiteOnce) {
  World world({target_of("ops")});
  for (std::uint64_t site = 1; site <= 50; ++site) {
    world.down(site, 3);
    world.run_for(200ms);
    if (site % 7 == 0) world.start({target_of("ops")});
  }
  world.run_for(1min);
  std::map<std::uint64_t, int> named;
  for (const Message& message : world.messages()) {
    for (const MessageSite& one : message.sites) ++named[one.site.value];
  }
  EXPECT_EQ(named.size(), 50U);
  for (const auto& [id, times] : named) EXPECT_EQ(times, 1) << id;
}

TEST(NoticeRouter, SiteOfAMassOutageThatComesBackAtOnceIsToldBothInOrder) {
  World world({target_of("ops")});
  world.down(1, 3);
  world.run_for(1s);
  world.up(1);
  world.run_for(1min);
  const auto messages = world.messages();
  ASSERT_EQ(messages.size(), 2U);
  EXPECT_EQ(messages[0].kind, MessageKind::Down);
  EXPECT_EQ(messages[1].kind, MessageKind::Up);
}

TEST(NoticeRouter, RemindsWhileItIsDownAndNoLonger) {
  NotifyTarget target = target_of("ops");
  target.remind = 10min;
  World world({target});
  world.down(1);
  // The receiver has each at once.
  for (int minute = 0; minute < 35; ++minute) {
    world.run_for(1min, 1s);
    auto claimed = world.queue.claim(std::vector<Want>{{.target = "ops", .room = 9}}, 1min, {});
    for (const Delivery& one : claimed->deliveries) {
      const std::vector<Finish> done{{.id = one.id,
                                      .token = one.token,
                                      .verdict = Delivered{},
                                      .http_status = 200,
                                      .took = {},
                                      .detail = {}}};
      EXPECT_TRUE(world.queue.finish(done));
    }
  }
  world.up(1);
  world.run_for(30min, 1s);
  std::string kinds;
  for (const auto& row : world.queue.rows()) kinds += row.what.kind + " ";
  EXPECT_EQ(kinds, "down reminder reminder reminder up ");
}

TEST(NoticeRouter, TargetsOfAReloadHoldFromTheNextTurn) {
  World world({});
  world.down(1);
  world.run_for(1s);
  EXPECT_EQ(world.queue.notices(), 0U);
  EXPECT_TRUE(world.queue.rows().empty());
  world.router->set_targets(std::make_shared<const NotifyTargets>(NotifyTargets{target_of("new")}));
  world.down(2);
  world.up(1);  // Never told, so its end is not either.
  world.run_for(2s);
  ASSERT_EQ(world.queue.rows().size(), 1U);
  EXPECT_EQ(world.queue.rows()[0].what.target, "new");
  EXPECT_EQ(world.queue.rows()[0].what.site, core::SiteId{2});
}

}  // namespace
}  // namespace watchwheel::sideeffects
