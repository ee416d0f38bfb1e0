// SPDX-License-Identifier: Apache-2.0
// Goal: what warns becomes one event, told again at each nearer step and over once it is calm; nothing is lost or said twice when
// the store is away, an answer is lost, the process is another one, or the bucket goes. Method: virtual time, and a store that does
// what the SQL does with what it is given.
#include "sideeffects/warning_keeper.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <random>
#include <set>
#include <string>
#include <vector>

namespace watchwheel::sideeffects {
namespace {

using namespace std::chrono_literals;
using core::EventKind;
using core::FreshnessMark;
using core::Presence;
using core::SiteId;
using core::WallTime;
using core::Warning;
using Act = WarningWrite::Act;

constexpr core::Duration kDay = 24h;

struct FakeWarnings final : WarningStore {
  struct Event {
    OpenWarning warning;
    std::vector<WarningWrite> transitions;
    bool over = false;
  };

  core::Result<std::vector<OpenWarning>> open(SiteId site, EventKind kind,
                                              std::size_t limit) override {
    ++readings;
    if (away) return core::Error{core::ErrorKind::Unavailable, "away"};
    std::vector<OpenWarning> all;
    for (const Event& event : events) {
      if (!event.over) all.push_back(event.warning);
    }
    const auto order = [](const OpenWarning& a, const OpenWarning& b) {
      return std::pair(a.site, core::to_string(a.kind)) <
             std::pair(b.site, core::to_string(b.kind));
    };
    std::sort(all.begin(), all.end(), order);
    std::erase_if(all, [&](const OpenWarning& one) {
      return !(std::pair(site, core::to_string(kind)) <
               std::pair(one.site, core::to_string(one.kind)));
    });
    if (all.size() > limit) all.resize(limit);
    for (OpenWarning& one : all) {
      const auto listed = presences.find(one.site);
      if (listed != presences.end()) one.presence = listed->second;
    }
    return all;
  }

  core::Result<std::vector<bool>> commit(std::span<const WarningWrite> writes) override {
    if (away) return core::Error{core::ErrorKind::Unavailable, "away"};
    if (fenced) return core::Error{core::ErrorKind::Fenced, "moved"};
    for (const WarningWrite& write : writes) {
      if (write.warning.site == poison) return core::Error{core::ErrorKind::Invalid, "poison"};
    }
    ++commits;
    std::vector<bool> done;
    for (const WarningWrite& write : writes) done.push_back(apply(write));
    if (lose_answers > 0) {
      --lose_answers;
      return core::Error{core::ErrorKind::Unknown, "lost"};
    }
    return done;
  }

  bool apply(const WarningWrite& write) {
    if (write.act == Act::Begin) {
      if (presences.contains(write.warning.site)) return false;
      for (const Event& event : events) {
        const bool same =
            event.warning.site == write.warning.site && event.warning.kind == write.warning.kind;
        if (same && (!event.over || event.warning.started_at == write.warning.started_at))
          return false;
      }
      Event event{.warning = write.warning, .transitions = {write}};
      event.warning.event = core::EventId{events.size() + 1};
      event.warning.transitions_total = 1;
      events.push_back(event);
      return true;
    }
    for (Event& event : events) {
      if (event.warning.event != write.warning.event) continue;
      if (event.over || event.warning.transitions_total != write.warning.transitions_total)
        return false;
      ++event.warning.transitions_total;
      event.transitions.push_back(write);
      if (write.act == Act::Step) event.warning.step = write.step;
      event.over = write.act == Act::End;
      return true;
    }
    return false;
  }

  std::vector<Event> events;
  std::map<SiteId, Presence> presences;
  SiteId poison;
  bool away = false;
  bool fenced = false;
  int lose_answers = 0;
  int readings = 0;
  int commits = 0;
};

struct Bench {
  Bench() { begin(); }

  // Another process with the same store.
  void begin() {
    WarningKeeper::Settings settings;
    settings.policy = policy;
    settings.epoch = [this](SiteId site) {
      return lost.contains(site) ? std::nullopt : std::optional<std::uint64_t>{lease};
    };
    settings.well_here = [this] { return well; };
    settings.wake = [this] { woken = true; };
    settings.warn = [this](const std::string& line) { log.push_back(line); };
    keeper = std::make_unique<WarningKeeper>(std::move(settings), store, clock);
  }
  // Turns whenever it wants to, for so long.
  void run_for(core::Duration length) {
    const core::SteadyTime end = clock.steady() + length;
    if (std::exchange(woken, false)) keeper->turn(clock.steady());
    while (*keeper->next_turn() <= end) {
      if (*keeper->next_turn() > clock.steady())
        clock.advance(*keeper->next_turn() - clock.steady());
      keeper->turn(clock.steady());
    }
    clock.advance(end - clock.steady());
  }
  FreshnessMark mark(std::uint64_t site, core::Duration left) const {
    FreshnessMark mark{.site = SiteId{site}, .checked_at = clock.wall()};
    mark.cert_not_after = clock.wall() + left;
    return mark;
  }
  // Each projection interval one, of what `made` says then.
  template <typename Made>
  void project(int times, Made made) {
    for (int i = 0; i < times; ++i) {
      const FreshnessMark one = made();
      keeper->note({&one, 1});
      run_for(15min);
    }
  }
  std::vector<Act> acts(std::size_t event = 0) const {
    std::vector<Act> all;
    for (const WarningWrite& write : store.events.at(event).transitions) all.push_back(write.act);
    return all;
  }

  core::ManualClock clock;
  WarningPolicy policy;
  FakeWarnings store;
  std::set<SiteId> lost;
  std::uint64_t lease = 7;
  bool well = true;
  std::vector<std::string> log;
  bool woken = false;
  std::unique_ptr<WarningKeeper> keeper;
};

TEST(WarningKeeper, ACertificateThatEndsSoonIsOneEventWithAStepEachTimeItComesNearer) {
  Bench bench;
  const WallTime end = bench.clock.wall() + 20 * kDay;
  bench.project(96 * 21, [&] { return bench.mark(1, end - bench.clock.wall()); });
  ASSERT_EQ(bench.store.events.size(), 1U);
  EXPECT_EQ(bench.acts(), (std::vector{Act::Begin, Act::Step, Act::Step, Act::Step}));
  const auto& event = bench.store.events[0];
  EXPECT_EQ(event.warning.site, SiteId{1});
  EXPECT_EQ(event.warning.kind, EventKind::TlsExpiring);
  EXPECT_EQ(event.warning.started_at, event.transitions[0].at);
  std::vector<core::Duration> steps;
  for (const WarningWrite& write : event.transitions) {
    steps.push_back(write.step);
    const core::Duration left = end - write.at;
    EXPECT_LE(left, write.step);
    EXPECT_GT(left, write.step - 20min) << "at the first look after it came so near";
    EXPECT_EQ(write.epoch, 7U);
  }
  EXPECT_EQ(steps, (std::vector<core::Duration>{14 * kDay, 7 * kDay, 3 * kDay, kDay}));
  EXPECT_EQ(event.transitions[1].detail,
            "the certificate expires in 7d (" + core::to_iso8601(end) + ")");
  EXPECT_EQ(bench.keeper->stats().begun.at(1).value(), 1U);
  EXPECT_EQ(bench.keeper->stats().stepped.at(1).value(), 3U);
  EXPECT_EQ(bench.keeper->stats().open.at(1).value(), 1);
}

TEST(WarningKeeper, ARenewedCertificateEndsItWhenItWasSeenForAWhile) {
  Bench bench;
  bench.project(2, [&] { return bench.mark(1, 5 * kDay); });
  ASSERT_EQ(bench.acts(), (std::vector{Act::Begin}));
  EXPECT_EQ(bench.store.events[0].transitions[0].step, 7 * kDay)
      << "where it stands, not each step";
  const WallTime renewed = bench.clock.wall();
  bench.project(2, [&] { return bench.mark(1, 90 * kDay); });
  EXPECT_EQ(bench.acts().size(), 1U) << "another server may still show the old one";
  bench.project(2, [&] { return bench.mark(1, 90 * kDay); });
  ASSERT_EQ(bench.acts(), (std::vector{Act::Begin, Act::End}));
  const WarningWrite& write = bench.store.events[0].transitions[1];
  EXPECT_EQ(write.ended_as, Presence::Watched);
  EXPECT_EQ(write.at, renewed + WarningKeeper::kCalm);
  // And that is that.
  bench.project(200, [&] { return bench.mark(1, 90 * kDay); });
  EXPECT_EQ(bench.store.events.size(), 1U);
}

// Goal: of several servers behind one name one has the old certificate. Whoever looks sees now this and now that; that is one
// warning, not a hundred.
TEST(WarningKeeper, ServersThatDifferAreOneWarningUntilTheyAgree) {
  Bench bench;
  std::mt19937 random(7);
  bench.project(96 * 5, [&] { return bench.mark(1, random() % 3 == 0 ? 5 * kDay : 80 * kDay); });
  EXPECT_LE(bench.store.events.size(), 2U);
  EXPECT_FALSE(bench.store.events.back().over);
  const std::size_t events = bench.store.events.size();
  bench.project(96 * 2, [&] { return bench.mark(1, 80 * kDay); });
  EXPECT_TRUE(bench.store.events.back().over);
  EXPECT_EQ(bench.store.events.size(), events);
}

TEST(WarningKeeper, WhatTellsNothingChangesNothing) {
  Bench bench;
  bench.project(1, [&] { return bench.mark(1, 5 * kDay); });
  // It is down and gets no certificate; nobody could look; both for long.
  bench.project(10, [&] {
    FreshnessMark down{.site = SiteId{1}, .checked_at = bench.clock.wall()};
    down.cause = core::Cause::ConnectTimeout;
    return down;
  });
  bench.project(10, [&] {
    return FreshnessMark{.site = SiteId{1}, .measured = false, .checked_at = bench.clock.wall()};
  });
  EXPECT_EQ(bench.acts(), (std::vector{Act::Begin}));
  // It answers, over plain HTTP: nothing of it expires any more.
  bench.project(4,
                [&] { return FreshnessMark{.site = SiteId{1}, .checked_at = bench.clock.wall()}; });
  EXPECT_EQ(bench.acts(), (std::vector{Act::Begin, Act::End}));
}

TEST(WarningKeeper, AnErrorPageWithACertificateStillTellsOfTheCertificate) {
  Bench bench;
  bench.project(1, [&] {
    FreshnessMark mark = bench.mark(1, 2 * kDay);
    mark.cause = core::Cause::HttpStatus;
    mark.warnings.add(Warning::LatencyExceeded);  // Of a failure it says nothing.
    return mark;
  });
  ASSERT_EQ(bench.store.events.size(), 1U);
  EXPECT_EQ(bench.store.events[0].warning.kind, EventKind::TlsExpiring);
  EXPECT_EQ(bench.store.events[0].warning.step, 3 * kDay);
}

TEST(WarningKeeper, SlownessHasToLast) {
  Bench bench;
  const auto slow = [&] {
    FreshnessMark mark{.site = SiteId{1}, .checked_at = bench.clock.wall()};
    mark.warnings.add(Warning::LatencyExceeded);
    mark.total = 3200ms;
    return mark;
  };
  const auto fast = [&] {
    return FreshnessMark{.site = SiteId{1}, .checked_at = bench.clock.wall()};
  };
  for (int i = 0; i < 20; ++i) {
    bench.project(2, slow);
    bench.project(1, fast);
  }
  EXPECT_TRUE(bench.store.events.empty());
  const WallTime since = bench.clock.wall();
  bench.project(3, slow);
  ASSERT_EQ(bench.store.events.size(), 1U);
  EXPECT_EQ(bench.store.events[0].warning.kind, EventKind::LatencyExceeded);
  EXPECT_EQ(bench.store.events[0].warning.started_at, since);
  EXPECT_EQ(bench.store.events[0].transitions[0].detail,
            "checks take longer than latency_warning allows (3.2s)");
  bench.project(3, fast);
  EXPECT_TRUE(bench.store.events[0].over);
}

// Two slow answers with something else, or nothing, between them are no half hour of slowness.
TEST(WarningKeeper, SlownessHasToBeSeenAllTheWhile) {
  const auto at = [](const Bench& bench, bool slow, core::Cause cause) {
    FreshnessMark mark{.site = SiteId{1}, .checked_at = bench.clock.wall(), .cause = cause};
    if (slow) mark.warnings.add(Warning::LatencyExceeded);
    mark.quiet_max = 20min;
    return mark;
  };
  using Between = std::function<void(Bench&)>;
  const std::vector<std::pair<const char*, Between>> cases{
      {"it was down", [&](Bench& bench) {
         bench.project(2, [&] { return at(bench, false, core::Cause::ConnectTimeout); });
       }},
      {"nobody looked", [](Bench& bench) { bench.run_for(30min); }},
      {"another host had it", [&](Bench& bench) {
         bench.lost.insert(SiteId{1});
         bench.project(2, [&] { return at(bench, true, core::Cause::Ok); });
         bench.lost.clear();
       }},
      {"our network was ill", [&](Bench& bench) {
         bench.well = false;
         bench.project(2, [&] { return at(bench, true, core::Cause::Ok); });
         bench.well = true;
       }}};
  for (const auto& [what, between] : cases) {
    Bench bench;
    bench.project(1, [&] { return at(bench, true, core::Cause::Ok); });
    between(bench);
    bench.project(2, [&] { return at(bench, true, core::Cause::Ok); });
    EXPECT_TRUE(bench.store.events.empty()) << what;
    bench.project(1, [&] { return at(bench, true, core::Cause::Ok); });
    EXPECT_EQ(bench.store.events.size(), 1U) << what;
  }
}

TEST(WarningKeeper, EachKindIsAnEventOfItsOwn) {
  Bench bench;
  bench.project(1, [&] {
    FreshnessMark mark = bench.mark(1, 5 * kDay);
    mark.warnings.add(Warning::TlsDeprecated);
    mark.warnings.add(Warning::RedirectDowngrade);
    mark.warnings.add(Warning::TlsExpiring);
    return mark;
  });
  std::set<EventKind> kinds;
  for (const auto& event : bench.store.events) kinds.insert(event.warning.kind);
  EXPECT_EQ(kinds, (std::set{EventKind::TlsExpiring, EventKind::TlsDeprecated,
                             EventKind::RedirectDowngrade}));
  EXPECT_EQ(bench.store.events.size(), 3U);
}

TEST(WarningKeeper, ASiteThatIsPausedOrRemovedEndsIt) {
  for (const Presence presence : {Presence::Paused, Presence::Removed}) {
    Bench bench;
    bench.project(1, [&] { return bench.mark(1, 5 * kDay); });
    bench.store.presences[SiteId{1}] = presence;
    bench.run_for(2 * WarningKeeper::kReadEach);
    ASSERT_EQ(bench.acts(), (std::vector{Act::Begin, Act::End}));
    EXPECT_EQ(bench.store.events[0].transitions[1].ended_as, presence);
    bench.run_for(1h);
    EXPECT_EQ(bench.acts().size(), 2U);
  }
}

TEST(WarningKeeper, AKindThatIsNotWantedAnyMoreEnds) {
  Bench bench;
  bench.project(1, [&] { return bench.mark(1, 5 * kDay); });
  bench.policy.kinds = {EventKind::TlsDeprecated};
  bench.keeper->set(bench.policy);
  bench.project(3, [&] { return bench.mark(1, 5 * kDay); });
  ASSERT_EQ(bench.acts(), (std::vector{Act::Begin, Act::End}));
  EXPECT_EQ(bench.store.events[0].transitions[1].ended_as, Presence::Closed);
  EXPECT_EQ(bench.store.events.size(), 1U);
}

// The certificate is as near to its end as before: nobody may hear that all is well with it.
TEST(WarningKeeper, APolicyThatBeginsLaterEndsItAndSaysThatNobodySawItOver) {
  for (const std::vector<core::Duration>& steps :
       {std::vector<core::Duration>{3 * kDay}, std::vector<core::Duration>{}}) {
    Bench bench;
    const WallTime end = bench.clock.wall() + 10 * kDay;
    bench.project(1, [&] { return bench.mark(1, end - bench.clock.wall()); });
    bench.policy.certificate = steps;
    bench.keeper->set(bench.policy);
    bench.project(5, [&] { return bench.mark(1, end - bench.clock.wall()); });
    ASSERT_EQ(bench.acts(), (std::vector{Act::Begin, Act::End}));
    EXPECT_EQ(bench.store.events[0].transitions[1].ended_as, Presence::Closed);
    EXPECT_EQ(bench.store.events.size(), 1U);
  }
}

// It is not over, and not begun anew. Method: the store tells of the pause, takes nothing for a while, and tells of the new list.
TEST(WarningKeeper, ASiteThatIsWatchedAgainBeforeTheEndWasStoredKeepsItsWarning) {
  for (const Presence presence : {Presence::Paused, Presence::Removed}) {
    Bench bench;
    bench.project(1, [&] { return bench.mark(1, 5 * kDay); });
    bench.store.presences[SiteId{1}] = presence;
    bench.store.fenced = true;
    bench.run_for(2 * WarningKeeper::kReadEach);
    ASSERT_GT(bench.keeper->stats().errors.value(), 0U) << "its end was tried";
    bench.store.presences.clear();
    bench.run_for(4 * WarningKeeper::kReadEach);
    bench.store.fenced = false;
    bench.project(4, [&] { return bench.mark(1, 5 * kDay); });
    EXPECT_EQ(bench.store.events.size(), 1U);
    EXPECT_EQ(bench.acts(), std::vector{Act::Begin});
  }
}

// A mark that was on its way when the site was paused: neither a step nor a beginning comes of it, nor does it end as one seen over.
TEST(WarningKeeper, WhatWasSeenBeforeThePauseChangesNothingAfterIt) {
  for (const core::Duration left : {2 * kDay, 90 * kDay}) {
    Bench bench;
    bench.project(1, [&] { return bench.mark(1, 5 * kDay); });
    bench.store.presences[SiteId{1}] = Presence::Paused;
    bench.run_for(WarningKeeper::kReadEach);
    const FreshnessMark late = bench.mark(1, left);
    bench.keeper->note({&late, 1});
    bench.run_for(1h);
    ASSERT_EQ(bench.acts(), (std::vector{Act::Begin, Act::End}));
    EXPECT_EQ(bench.store.events[0].transitions[1].ended_as, Presence::Paused);
    EXPECT_EQ(bench.store.events.size(), 1U);
  }
}

TEST(WarningKeeper, NoStepsIsNoWarningOfCertificates) {
  Bench bench;
  bench.policy.certificate.clear();
  bench.begin();
  bench.project(3, [&] { return bench.mark(1, -kDay); });
  EXPECT_TRUE(bench.store.events.empty());
}

TEST(WarningKeeper, AnotherProcessGoesOnWithWhatIsOpen) {
  Bench bench;
  const WallTime end = bench.clock.wall() + 10 * kDay;
  const auto nearing = [&] { return bench.mark(1, end - bench.clock.wall()); };
  for (int i = 0; i < 10; ++i) {  // Ten days, a process each.
    bench.project(96, nearing);
    bench.begin();
  }
  EXPECT_EQ(bench.store.events.size(), 1U);
  EXPECT_EQ(bench.acts(), (std::vector{Act::Begin, Act::Step, Act::Step, Act::Step}));
  bench.project(4, [&] { return bench.mark(1, 90 * kDay); });
  EXPECT_EQ(bench.acts().back(), Act::End);
}

// Nothing is begun before it is known what is open.
TEST(WarningKeeper, AStoreThatIsAwayIsWaitedForWithTheNewestThatWasSeen) {
  Bench bench;
  bench.store.away = true;
  const WallTime end = bench.clock.wall() + 7 * kDay + 20min;
  bench.project(4, [&] { return bench.mark(1, end - bench.clock.wall()); });
  EXPECT_EQ(bench.log.size(), 1U) << "said once";
  EXPECT_GT(bench.keeper->stats().errors.value(), 10U);
  bench.store.away = false;
  bench.run_for(10s);
  ASSERT_EQ(bench.acts(), (std::vector{Act::Begin}));
  EXPECT_EQ(bench.store.events[0].transitions[0].step, 7 * kDay);
}

TEST(WarningKeeper, ALostAnswerIsNeitherLostNorRepeated) {
  Bench bench;
  const WallTime end = bench.clock.wall() + 9 * kDay;
  bench.run_for(1min);
  for (const core::Duration left : std::vector<core::Duration>{8 * kDay, 6 * kDay, 2 * kDay, 12h}) {
    bench.store.lose_answers = 2;
    bench.clock.advance(end - left - bench.clock.wall());
    bench.project(2, [&] { return bench.mark(1, end - bench.clock.wall()); });
  }
  EXPECT_EQ(bench.store.events.size(), 1U);
  EXPECT_EQ(bench.acts(), (std::vector{Act::Begin, Act::Step, Act::Step, Act::Step}));
  bench.store.lose_answers = 2;
  bench.project(5, [&] { return bench.mark(1, 90 * kDay); });
  EXPECT_EQ(bench.acts().back(), Act::End);
  EXPECT_EQ(bench.store.events.size(), 1U);
}

TEST(WarningKeeper, WhatNoStoreWouldTakeHoldsUpNobodyElse) {
  Bench bench;
  bench.store.poison = SiteId{2};
  std::vector<FreshnessMark> marks;
  for (std::uint64_t site = 1; site <= 3; ++site) marks.push_back(bench.mark(site, 5 * kDay));
  bench.keeper->note(marks);
  bench.run_for(10s);
  EXPECT_EQ(bench.store.events.size(), 2U);
  EXPECT_EQ(bench.keeper->stats().dropped.value(), 1U);
  ASSERT_EQ(bench.log.size(), 1U);
  EXPECT_NE(bench.log[0].find("site=2"), std::string::npos);
}

TEST(WarningKeeper, ASiteOfAnotherHostIsLeftToIt) {
  Bench bench;
  bench.project(1, [&] { return bench.mark(1, 5 * kDay); });
  bench.lost.insert(SiteId{1});
  bench.store.presences[SiteId{1}] = Presence::Removed;
  bench.project(5, [&] { return bench.mark(1, kDay); });
  EXPECT_EQ(bench.acts().size(), 1U);
  EXPECT_EQ(bench.keeper->stats().open.at(1).value(), 0);
  // It comes back, a step further on by the other's hand.
  bench.store.events[0].warning.step = 3 * kDay;
  bench.store.events[0].warning.transitions_total = 2;
  bench.store.presences.clear();
  bench.lost.clear();
  bench.project(2, [&] { return bench.mark(1, 12h); });
  EXPECT_EQ(bench.acts(), (std::vector{Act::Begin, Act::Step}));
  EXPECT_EQ(bench.store.events[0].transitions[1].warning.transitions_total, 2U);
}

// A write that was refused is judged by whose the site is then.
TEST(WarningKeeper, AFencedWriteIsTriedAgainOrDropped) {
  Bench bench;
  bench.store.fenced = true;
  bench.project(1, [&] { return bench.mark(1, 5 * kDay); });
  EXPECT_TRUE(bench.store.events.empty());
  bench.store.fenced = false;
  bench.run_for(10s);
  EXPECT_EQ(bench.store.events.size(), 1U);
  bench.store.fenced = true;
  bench.project(1, [&] { return bench.mark(2, 5 * kDay); });
  bench.lost.insert(SiteId{2});
  bench.store.fenced = false;
  bench.run_for(10s);
  EXPECT_EQ(bench.store.events.size(), 1U);
  EXPECT_EQ(bench.keeper->stats().waiting.value(), 0);
}

// Others may have had the bucket in between, and seen it otherwise.
TEST(WarningKeeper, WhatWasSeenUnderAnEarlierLeaseIsNotWrittenUnderALaterOne) {
  Bench bench;
  bench.store.fenced = true;
  bench.project(1, [&] { return bench.mark(1, 5 * kDay); });
  bench.lease = 9;
  bench.store.fenced = false;
  bench.run_for(1min);
  EXPECT_TRUE(bench.store.events.empty());
  bench.project(1, [&] { return bench.mark(1, 5 * kDay); });
  ASSERT_EQ(bench.store.events.size(), 1U);
  EXPECT_EQ(bench.store.events[0].transitions[0].epoch, 9U);
}

// Goal: when all sites warn at once the thread can be stopped, and sees pauses, after each turn. Method: more than a turn may write.
TEST(WarningKeeper, ATurnIsBoundedWhateverWaits) {
  Bench bench;
  std::vector<FreshnessMark> marks;
  for (std::uint64_t site = 1; site <= 5000; ++site) marks.push_back(bench.mark(site, 5 * kDay));
  bench.keeper->note(marks);
  bench.keeper->turn(bench.clock.steady());
  EXPECT_EQ(bench.store.events.size(),
            WarningKeeper::kWritesMax * std::size_t{WarningKeeper::kBatchesATurn});
  EXPECT_EQ(bench.keeper->stats().waiting.value(), 5000 - 2000);
  EXPECT_EQ(bench.keeper->next_turn(), bench.clock.steady());
  bench.run_for(1s);
  EXPECT_EQ(bench.store.events.size(), 5000U);
}

// The pace of reading goes by how long it takes, and not by how long the store was away.
TEST(WarningKeeper, AStoreThatWasAwayIsReadAsOftenAsEver) {
  Bench bench;
  bench.project(1, [&] { return bench.mark(1, 5 * kDay); });
  bench.store.away = true;
  bench.run_for(1h);
  bench.store.away = false;
  bench.run_for(10min);
  bench.store.presences[SiteId{1}] = Presence::Paused;
  bench.run_for(2 * WarningKeeper::kReadEach);
  EXPECT_EQ(bench.acts(), (std::vector{Act::Begin, Act::End}));
}

// What begins second by second is read for its id, but not all of it each time.
TEST(WarningKeeper, AStreamOfBeginningsIsNotReadWithEachOfThem) {
  Bench bench;
  std::uint64_t site = 0;
  for (int second = 0; second < 120; ++second) {
    const FreshnessMark mark = bench.mark(++site, 5 * kDay);
    bench.keeper->note({&mark, 1});
    bench.run_for(1s);
  }
  EXPECT_EQ(bench.store.events.size(), 120U);
  EXPECT_LE(bench.store.readings, 65);
}

// Goal: thousands of sites, most of them well, cost a transaction for some hundred that warn, and nothing for the others.
TEST(WarningKeeper, ManyAreWrittenTogetherAndTheWellCostNothing) {
  Bench bench;
  bench.run_for(1s);
  std::vector<FreshnessMark> marks;
  for (std::uint64_t site = 1; site <= 5000; ++site)
    marks.push_back(bench.mark(site, site % 5 == 0 ? 5 * kDay : 60 * kDay));
  bench.keeper->note(marks);
  bench.run_for(30s);
  EXPECT_EQ(bench.store.events.size(), 1000U);
  EXPECT_EQ(bench.store.commits, 5);
  const int commits = bench.store.commits;
  for (int i = 0; i < 10; ++i) {
    bench.keeper->note(marks);
    bench.run_for(1min);
  }
  EXPECT_EQ(bench.store.commits, commits);
  EXPECT_EQ(bench.keeper->stats().open.at(1).value(), 1000);
  EXPECT_LE(bench.store.readings, 3 * 50);
}

// Random lives: marks, restarts, a store that comes and goes, lost answers. Laws: of one kind one is open at most; steps only come
// nearer; whoever reads the transitions has the state; at the end, with all calm, nothing is open.
TEST(WarningKeeper, RandomLivesKeepTheLaws) {
  for (unsigned seed = 1; seed <= 10; ++seed) {
    SCOPED_TRACE(seed);
    std::mt19937 random(seed);
    Bench bench;
    for (int i = 0; i < 400; ++i) {
      switch (random() % 12) {
        case 0:
          bench.begin();
          break;
        case 1:
          bench.store.away = !bench.store.away;
          break;
        case 2:
          bench.store.lose_answers = static_cast<int>(random() % 3);
          break;
        default: {
          const std::uint64_t site = 1 + random() % 3;
          FreshnessMark mark = bench.mark(site, static_cast<int>(random() % 30) * kDay - kDay);
          if (random() % 4 == 0) mark.cause = core::Cause::HttpTimeout;
          if (random() % 4 == 0) mark.warnings.add(Warning::RedirectDowngrade);
          bench.keeper->note({&mark, 1});
        }
      }
      bench.run_for(std::chrono::seconds{random() % 1800});
    }
    bench.store.away = false;
    bench.store.lose_answers = 0;
    for (int i = 0; i < 96 * 3; ++i) {
      for (std::uint64_t site = 1; site <= 3; ++site) {
        const FreshnessMark mark = bench.mark(site, 60 * kDay);
        bench.keeper->note({&mark, 1});
      }
      bench.run_for(15min);
    }
    std::map<std::pair<SiteId, EventKind>, WallTime> over_since;
    for (const auto& event : bench.store.events) {
      EXPECT_TRUE(event.over);
      EXPECT_EQ(event.transitions.size(), event.warning.transitions_total);
      EXPECT_EQ(event.transitions.front().act, Act::Begin);
      EXPECT_EQ(event.transitions.back().act, Act::End);
      WallTime last = event.warning.started_at;
      core::Duration step = event.transitions.front().step;
      for (const WarningWrite& write : event.transitions) {
        EXPECT_GE(write.at, last);
        last = write.at;
        if (write.act != Act::Step) continue;
        EXPECT_LT(write.step, step);
        step = write.step;
      }
      WallTime& before = over_since[{event.warning.site, event.warning.kind}];
      if (before != WallTime{}) {
        EXPECT_GT(event.warning.started_at, before);
      }
      before = last;
    }
    EXPECT_FALSE(bench.store.events.empty());
  }
}

}  // namespace
}  // namespace watchwheel::sideeffects
