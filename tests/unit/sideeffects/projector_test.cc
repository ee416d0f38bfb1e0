// SPDX-License-Identifier: Apache-2.0
#include "sideeffects/projector.h"

#include <gtest/gtest.h>

#include <numeric>
#include <vector>

#include "support/fake_store.h"

namespace watchwheel::sideeffects {
namespace {

using core::FreshnessMark;
using core::SiteId;
using watchwheel::testing::FakeFailure;
using watchwheel::testing::FakeFreshnessSink;
using namespace std::chrono_literals;

const core::WallTime kT = core::from_unix_ms(1'700'000'000'000);

struct Bench {
  explicit Bench(ProjectorLimits limits = {})
      : projector(limits, {&first, &second}, sink, clock, 3, &gatherer) {}

  bool mark(MarkRing& ring, std::uint64_t site, core::Duration checked = {}) {
    FreshnessMark m;
    m.site = SiteId{site};
    m.checked_at = kT + checked;
    return ring.offer(std::move(m));
  }
  std::size_t turn_after(core::Duration wait) {
    clock.advance(wait);
    return projector.turn(clock.steady());
  }

  core::ManualClock clock;
  MarkRing first{5000};
  MarkRing second{5000};
  FakeFreshnessSink sink;
  ResponseGatherer gatherer{1};
  Projector projector;
};

TEST(Projector, WritesWhatThereIsAtLeastEverySecond) {
  Bench bench;
  EXPECT_TRUE(bench.projector.idle());
  bench.mark(bench.first, 9);
  bench.mark(bench.second, 4);
  bench.mark(bench.first, 2);
  EXPECT_FALSE(bench.projector.idle());
  EXPECT_EQ(bench.turn_after(0s), 0U);
  EXPECT_EQ(bench.turn_after(999ms), 0U);
  EXPECT_EQ(bench.turn_after(1ms), 3U);
  EXPECT_EQ(bench.sink.batches(), (std::vector<std::size_t>{3})) << "both lanes in one batch";
  EXPECT_TRUE(bench.sink.always_sorted());
  EXPECT_EQ(bench.projector.stats().rows.value(), 3U);
  EXPECT_TRUE(bench.projector.idle());
}

TEST(Projector, WritesFullBatchesAtOnce) {
  Bench bench;
  for (std::uint64_t site = 1; site <= 2500; ++site) bench.mark(bench.first, 5000 - site);
  EXPECT_EQ(bench.turn_after(0s), 2000U);
  EXPECT_EQ(bench.turn_after(1s), 500U);
  EXPECT_EQ(bench.sink.batches(), (std::vector<std::size_t>{1000, 1000, 500}));
  EXPECT_TRUE(bench.sink.always_sorted());
}

TEST(Projector, TheNewestMarkOfASiteWins) {
  Bench bench;
  for (int i = 1; i <= 5; ++i) bench.mark(bench.first, 7, i * 10s);
  EXPECT_EQ(bench.turn_after(0s), 0U);
  EXPECT_EQ(bench.turn_after(1s), 1U);
  EXPECT_EQ(bench.sink.marks().at(SiteId{7}).checked_at, kT + 50s);
  EXPECT_EQ(bench.projector.stats().coalesced.value(), 4U);
}

TEST(Projector, ResponseTimesOfEachMarkAreGatheredAndNotWrittenWithIt) {
  Bench bench;
  bench.sink.set_away(true);
  core::ResponseHistogram both;
  for (const auto took : {100ms, 300ms}) {
    FreshnessMark m;
    m.site = SiteId{7};
    m.checked_at = kT + took;
    m.responses.add(took);
    both += m.responses;
    EXPECT_TRUE(bench.first.offer(std::move(m)));
  }
  EXPECT_EQ(bench.turn_after(0s), 0U);
  bench.sink.set_away(false);
  EXPECT_EQ(bench.turn_after(1s), 1U);
  EXPECT_TRUE(bench.sink.marks().at(SiteId{7}).responses.empty());
  const auto pages = bench.gatherer.take(kT, 10, true);
  ASSERT_EQ(pages.size(), 1U);
  core::ResponseHistogram told;
  for (const auto& site : pages[0].sites) told += site.counts;
  EXPECT_EQ(told, both) << "of the replaced one too";
}

TEST(Projector, ANewerMarkDoesNotPutOffTheWrite) {
  Bench bench;
  bench.mark(bench.first, 7);
  bench.turn_after(0s);
  bench.mark(bench.first, 7, 1s);
  EXPECT_EQ(bench.turn_after(600ms), 0U);
  EXPECT_EQ(bench.turn_after(400ms), 1U);
}

TEST(Projector, TriesTheWholeBatchAgainWhileNewerMarksCoalesce) {
  for (const FakeFailure failure : {FakeFailure::Unavailable, FakeFailure::UnknownBefore,
                                    FakeFailure::UnknownAfter, FakeFailure::Corrupt}) {
    Bench bench;
    bench.sink.fail(failure, 2);
    bench.mark(bench.first, 1);
    bench.mark(bench.first, 2);
    bench.turn_after(0s);
    EXPECT_EQ(bench.turn_after(1s), 0U);
    EXPECT_EQ(bench.sink.writes(), 1U);
    bench.mark(bench.first, 1, 5s);
    bench.mark(bench.first, 1, 6s);
    EXPECT_EQ(bench.turn_after(1ms), 0U);
    EXPECT_EQ(bench.sink.writes(), 1U) << "not before its time";
    EXPECT_EQ(bench.turn_after(100ms), 0U);
    EXPECT_NEAR(bench.projector.stats().lag_s.value(), 1.101, 1e-9);
    EXPECT_EQ(bench.projector.stats().pending.value(), 3);
    EXPECT_EQ(bench.turn_after(200ms), 2U);
    EXPECT_EQ(bench.projector.stats().errors.value(), 2U);
    EXPECT_EQ(bench.turn_after(1s), 1U);
    EXPECT_EQ(bench.sink.marks().at(SiteId{1}).checked_at, kT + 6s);
    EXPECT_EQ(bench.projector.stats().lag_s.value(), 0);
  }
}

TEST(Projector, LeavesTheRingsAloneWhenItIsFull) {
  Bench bench{{.pending_max = 10, .batch_max = 10}};
  bench.sink.set_away(true);
  for (std::uint64_t site = 1; site <= 100; ++site) {
    ASSERT_TRUE(bench.mark(bench.first, site));
    ASSERT_TRUE(bench.mark(bench.second, 1000 + site));
  }
  for (int i = 0; i < 20; ++i) bench.turn_after(5s);
  EXPECT_EQ(bench.projector.stats().pending.value(), 20) << "the batch in hand and ten more";
  EXPECT_EQ(bench.first.depth() + bench.second.depth(), 180U);
  EXPECT_EQ(bench.first.depth(), bench.second.depth()) << "each lane gets its share";
  bench.sink.set_away(false);
  for (int i = 0; i < 40; ++i) bench.turn_after(5s);
  EXPECT_EQ(bench.sink.marks().size(), 200U);
  EXPECT_TRUE(bench.projector.idle());
}

// With more marks than can be written, writing by site would leave the last sites waiting for ever.
TEST(Projector, WritesTheOldestFirstSoThatNoneStarves) {
  Bench bench{{.pending_max = 100, .batch_max = 2}};
  bench.sink.set_away(true);
  for (std::uint64_t site = 50; site > 40; --site) bench.mark(bench.first, site);
  bench.turn_after(0s);
  bench.mark(bench.first, 1);
  bench.mark(bench.first, 2);
  bench.sink.set_away(false);
  for (std::uint64_t site = 1; site <= 2; ++site) bench.sink.set_poison(SiteId{site}, true);
  bench.turn_after(5s);
  // What is refused came last: everything before it is written by then.
  EXPECT_EQ(bench.sink.marks().size(), 10U);
  EXPECT_EQ(bench.sink.batches(), (std::vector<std::size_t>{2, 2, 2, 2, 2}));
  EXPECT_TRUE(bench.sink.always_sorted());
}

TEST(Projector, DropsAMarkThatIsRefusedAloneAndWritesTheRest) {
  Bench bench;
  bench.sink.set_poison(SiteId{33}, true);
  for (std::uint64_t site = 1; site <= 100; ++site) bench.mark(bench.first, site);
  bench.turn_after(0s);
  EXPECT_EQ(bench.turn_after(1s), 99U);
  EXPECT_EQ(bench.projector.stats().dropped.value(), 1U);
  EXPECT_EQ(bench.projector.stats().errors.value(), 8U) << "halving: 100 50 25 12 6 3 2 1";
  EXPECT_TRUE(bench.projector.idle());
}

TEST(Projector, FlushWritesEverythingNow) {
  Bench bench;
  bench.mark(bench.first, 1);
  bench.turn_after(0s);
  bench.mark(bench.second, 2);
  bench.projector.flush();
  EXPECT_EQ(bench.turn_after(0s), 2U);
  EXPECT_TRUE(bench.projector.idle());
}

TEST(Projector, SaysWhenItIsNeededNext) {
  Bench bench;
  bench.turn_after(0s);
  EXPECT_EQ(bench.projector.next_turn(), bench.clock.steady() + 100ms);
  bench.mark(bench.first, 1);
  bench.projector.flush();
  EXPECT_EQ(bench.projector.next_turn(), bench.clock.steady()) << "at once";
  bench.sink.set_away(true);
  bench.turn_after(0s);
  EXPECT_GE(bench.projector.next_turn(), bench.clock.steady() + 50ms) << "when the backoff is over";
  EXPECT_LE(bench.projector.next_turn(), bench.clock.steady() + 100ms);
}

}  // namespace
}  // namespace watchwheel::sideeffects
