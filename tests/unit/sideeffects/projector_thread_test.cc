// SPDX-License-Identifier: Apache-2.0 Goal: the thread takes what the lanes pass on, flushes when
// stopped, and gives up at the deadline. A real thread and a real clock, but nothing waits for a
// time: each step waits for what the other thread has done.
#include "sideeffects/projector_thread.h"

#include <gtest/gtest.h>

#include <thread>

#include "support/fake_store.h"

namespace watchwheel::sideeffects {
namespace {

using core::SiteId;
using watchwheel::testing::FakeFailure;
using watchwheel::testing::FakeFreshnessSink;
using namespace std::chrono_literals;

const core::WallTime kT = core::from_unix_ms(1'700'000'000'000);

struct ProjectorBench {
  ProjectorBench()
      : projector(quick(), {&first, &second}, sink, clock, 1), thread(projector, clock) {}
  static ProjectorLimits quick() {
    ProjectorLimits limits;
    limits.period = 1ms;
    limits.poll = 1ms;
    limits.backoff = {.first = 1ms, .max = 2ms};
    return limits;
  }

  core::SystemClock clock;
  FakeFreshnessSink sink;
  MarkRing first{64};
  MarkRing second{64};
  Projector projector;
  ProjectorThread thread;
};

// A lane's side: refused marks are offered again.
void offer_all(MarkRing& ring, std::uint64_t from, std::uint64_t to) {
  for (std::uint64_t site = from; site < to; ++site) {
    core::FreshnessMark mark;
    mark.site = SiteId{site};
    mark.checked_at = kT;
    while (!ring.offer(std::move(mark))) std::this_thread::yield();
  }
}

TEST(ProjectorThread, WritesWhatTheLanesPassOn) {
  ProjectorBench bench;
  bench.sink.fail(FakeFailure::Unavailable, 3);
  bench.thread.start();
  {
    const std::jthread one([&] { offer_all(bench.first, 1, 1000); });
    const std::jthread two([&] { offer_all(bench.second, 1000, 2000); });
  }
  EXPECT_TRUE(bench.thread.stop(bench.clock.steady() + 1h));
  EXPECT_EQ(bench.sink.marks().size(), 1999U);
  EXPECT_EQ(bench.projector.stats().rows.value(), 1999U);
  EXPECT_TRUE(bench.sink.always_sorted());
}

TEST(ProjectorThread, FlushesWhatIsNotDueYetWhenItStops) {
  core::SystemClock clock;
  FakeFreshnessSink sink;
  MarkRing ring{64};
  Projector projector{{}, {&ring}, sink, clock, 1};
  ProjectorThread thread{projector, clock};
  offer_all(ring, 1, 11);
  thread.start();
  EXPECT_TRUE(thread.stop(clock.steady() + 1h));
  EXPECT_EQ(sink.marks().size(), 10U);
}

TEST(ProjectorThread, GivesUpAtTheDeadlineAndSaysSo) {
  ProjectorBench bench;
  bench.sink.set_away(true);
  offer_all(bench.first, 1, 11);
  bench.thread.start();
  EXPECT_FALSE(bench.thread.stop(bench.clock.steady() + 5ms));
  EXPECT_TRUE(bench.sink.marks().empty());
}

}  // namespace
}  // namespace watchwheel::sideeffects
