// SPDX-License-Identifier: Apache-2.0
// Goal: what is old goes step by step, by one host, and a minute is told once. Method: virtual time and a store that remembers.
#include "sideeffects/history_keeper.h"

#include <gtest/gtest.h>

#include <map>
#include <utility>
#include <vector>

namespace watchwheel::sideeffects {
namespace {

using namespace std::chrono_literals;

class FakeHistory final : public HistoryStore {
 public:
  core::Result<HistoryPurge> purge(const HistoryRetention& retention, std::size_t limit) override {
    ++calls;
    ++purges;
    retained = retention;
    if (failing) return core::Error{core::ErrorKind::Unavailable, "away"};
    HistoryPurge purged;
    purged.of(HistoryTable::Events) = std::min(limit, old);
    old -= std::min(limit, old);
    return purged;
  }
  core::Result<void> add_minute(std::string_view node, core::WallTime at,
                                const core::ResponseHistogram& responses) override {
    EXPECT_EQ(node, "here");
    ++calls;
    if (failing) return core::Error{core::ErrorKind::Unavailable, "away"};
    minutes[at] += responses.total();
    return {};
  }
  // Each row knows the page that it was added last, as a store does.
  core::Result<void> add_pages(std::string_view node,
                               std::span<const ResponsePage> added) override {
    EXPECT_EQ(node, "here");
    ++calls;
    ++page_writes;
    if (failing || added.size() > at_once_max)
      return core::Error{core::ErrorKind::Unavailable, "away"};
    if (refusing) return core::Error{core::ErrorKind::Invalid, "no such table"};
    for (const ResponsePage& page : added) {
      if (page.number == refused_page) return core::Error{core::ErrorKind::Invalid, "not this one"};
    }
    for (const ResponsePage& page : added) {
      Row& row = pages[{page.number, page.hour}];
      if (std::exchange(row.token, page.token) == page.token) continue;
      for (const auto& site : page.sites) row.responses += site.counts;
    }
    if (std::exchange(losing_answer, false)) return core::Error{core::ErrorKind::Unknown, "lost"};
    return {};
  }
  [[nodiscard]] std::uint64_t responses() const {
    std::uint64_t all = 0;
    for (const auto& [at, row] : pages) all += row.responses.total();
    return all;
  }

  struct Row {
    std::int64_t token = 0;
    core::ResponseHistogram responses;
  };
  std::map<std::pair<std::uint64_t, core::WallTime>, Row> pages;
  int calls = 0;
  int page_writes = 0;
  std::size_t at_once_max = HistoryKeeper::kPages;  // More take longer than a call may.
  std::uint64_t refused_page = UINT64_MAX;
  bool losing_answer = false;
  bool refusing = false;
  std::size_t old = 0;
  int purges = 0;
  bool failing = false;
  HistoryRetention retained;
  std::map<core::WallTime, std::uint64_t> minutes;
};

struct Bench {
  // Turns whenever it wants to, for so long.
  void run_for(core::Duration length) {
    const core::SteadyTime end = clock.steady() + length;
    while (keeper.next_turn() && *keeper.next_turn() <= end) {
      if (*keeper.next_turn() > clock.steady()) clock.advance(*keeper.next_turn() - clock.steady());
      const int before = store.calls;
      keeper.turn(clock.steady());
      EXPECT_LE(store.calls, before + 1) << "a stop waits for a turn";
    }
    clock.advance(end - clock.steady());
  }

  void answer(std::uint64_t site) {
    core::FreshnessMark mark{.site = core::SiteId{site}, .checked_at = clock.wall()};
    mark.responses.add(100ms);
    gatherer.add(mark);
  }

  core::ManualClock clock;
  ResponseGatherer gatherer{1};
  FakeHistory store;
  bool ours = true;
  core::ResponseHistogram answered;
  HistoryKeeper keeper{{.node = "here",
                        .retention = {.events = 24h * 30},
                        .ours = [this] { return ours; },
                        .responses = [this] { return answered; },
                        .gathered = &gatherer},
                       store,
                       clock};
};

TEST(HistoryKeeper, RemovesInStepsUntilNothingIsOld) {
  Bench bench;
  bench.store.old = 3 * HistoryKeeper::kRows + 7;
  bench.run_for(1ms);
  EXPECT_EQ(bench.store.purges, 1) << "others write between the steps";
  bench.run_for(10s);
  EXPECT_EQ(bench.store.purges, 5);
  EXPECT_EQ(bench.keeper.stats().removed.at(0).value(), 3 * HistoryKeeper::kRows + 7);
  bench.run_for(1h);
  EXPECT_EQ(bench.store.purges, 5 + 6);
  EXPECT_EQ(bench.store.retained.events, 24h * 30);
}

TEST(HistoryKeeper, LeavesItToTheHostWhoseTurnItIsAndToAStoreThatIsThere) {
  Bench bench;
  bench.store.old = 10;
  bench.ours = false;
  bench.run_for(1h);
  EXPECT_EQ(bench.store.purges, 0);
  bench.ours = true;
  bench.store.failing = true;
  bench.run_for(10min + 1s);
  EXPECT_GT(bench.keeper.stats().errors.value(), 0U);
  bench.store.failing = false;
  bench.run_for(2min);
  EXPECT_EQ(bench.store.old, 0U);
  const int purges = bench.store.purges;
  bench.keeper.set({});
  bench.run_for(1h);
  EXPECT_EQ(bench.store.purges, purges) << "all is kept";
}

TEST(HistoryKeeper, TellsEachMinuteOnceAndWhatItCouldNotWithTheNext) {
  Bench bench;
  bench.run_for(1ms);
  const core::WallTime first = std::chrono::floor<std::chrono::minutes>(bench.clock.wall());
  bench.answered.counts[20] = 5;
  bench.run_for(1min);
  EXPECT_EQ(bench.store.minutes, (std::map<core::WallTime, std::uint64_t>{{first, 5}}));
  bench.run_for(3min);
  EXPECT_EQ(bench.store.minutes.size(), 1U) << "nothing answered";
  bench.store.failing = true;
  bench.answered.counts[21] = 7;
  bench.run_for(1min);
  EXPECT_EQ(bench.store.minutes.size(), 1U);
  bench.store.failing = false;
  bench.answered.counts[21] = 8;
  bench.run_for(1min);
  EXPECT_EQ(bench.store.minutes,
            (std::map<core::WallTime, std::uint64_t>{{first, 5}, {first + 5min, 8}}));
  EXPECT_EQ(bench.keeper.stats().minutes.value(), 2U);
  bench.clock.step_wall(-1h);
  bench.answered.counts[21] = 9;
  bench.run_for(2min);
  std::uint64_t all = 0;
  for (const auto& [at, count] : bench.store.minutes) all += count;
  EXPECT_EQ(all, 14U) << "whatever the clock does nothing is told twice, or lost";
}

TEST(HistoryKeeper, WritesPagesInSmallStepsAndOnceWhateverTheStoreAnswers) {
  Bench bench;
  const std::uint64_t sites = 200 * ResponsePage::kSites;
  for (std::uint64_t site = 0; site < sites; ++site) bench.answer(site);
  bench.run_for(4min);
  EXPECT_EQ(bench.store.responses(), sites);
  EXPECT_EQ(bench.store.page_writes, 4) << "of at most 64";
  EXPECT_EQ(bench.keeper.stats().pages.value(), 200U);
  bench.store.losing_answer = true;
  bench.answer(1);
  bench.run_for(5min);
  EXPECT_EQ(bench.store.responses(), sites + 1) << "repeated, counted once";
  // Away for three hours: then what was gathered meanwhile comes too.
  bench.store.failing = true;
  for (int hour = 0; hour < 3; ++hour) {
    bench.answer(1);
    bench.run_for(1h);
  }
  EXPECT_EQ(bench.store.responses(), sites + 1);
  bench.store.failing = false;
  bench.run_for(10min);
  EXPECT_EQ(bench.store.responses(), sites + 4);
  EXPECT_EQ(bench.gatherer.pages(), 0U);
}

TEST(HistoryKeeper, ASlowStoreGetsFewerPagesAtOnceAndARefusedOneIsAlone) {
  Bench bench;
  const std::uint64_t sites = 200 * ResponsePage::kSites;
  for (std::uint64_t site = 0; site < sites; ++site) bench.answer(site);
  bench.store.at_once_max = 9;
  bench.run_for(30min);
  EXPECT_EQ(bench.store.responses(), sites);
  bench.store.at_once_max = HistoryKeeper::kPages;
  bench.store.refused_page = 77;
  for (std::uint64_t site = 0; site < sites; ++site) bench.answer(site);
  bench.run_for(30min);
  EXPECT_EQ(bench.store.responses(), 2 * sites - ResponsePage::kSites);
  // It is fast again.
  for (std::uint64_t site = 0; site < sites; ++site) bench.answer(site);
  bench.store.refused_page = UINT64_MAX;
  bench.run_for(30min);
  const int before = bench.store.page_writes;
  for (std::uint64_t site = 0; site < sites; ++site) bench.answer(site);
  bench.run_for(30min);
  EXPECT_EQ(bench.store.page_writes, before + 4);
  EXPECT_EQ(bench.store.responses(), 4 * sites - ResponsePage::kSites);
}

TEST(HistoryKeeper, WritesAllThatIsLeftAtTheEnd) {
  Bench bench;
  for (std::uint64_t site = 0; site < 200 * ResponsePage::kSites; ++site) bench.answer(site);
  bench.store.failing = true;
  bench.run_for(4min);  // Some are in hand.
  EXPECT_FALSE(bench.keeper.write_rest(bench.clock.steady() + 10s));
  EXPECT_EQ(bench.keeper.pages_in_hand() + bench.gatherer.pages(), 200U) << "what is lost is told";
  bench.store.failing = false;
  EXPECT_FALSE(bench.keeper.write_rest(bench.clock.steady())) << "no time is left";
  EXPECT_TRUE(bench.keeper.write_rest(bench.clock.steady() + 10s));
  EXPECT_EQ(bench.store.responses(), 200 * ResponsePage::kSites);
  EXPECT_TRUE(bench.keeper.write_rest(bench.clock.steady()));
  // A store that refuses them for ever holds nothing up.
  bench.answer(1);
  bench.store.refusing = true;
  EXPECT_TRUE(bench.keeper.write_rest(bench.clock.steady() + 10s));
  EXPECT_EQ(bench.gatherer.pages(), 0U);
}

}  // namespace
}  // namespace watchwheel::sideeffects
