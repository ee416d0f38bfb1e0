// SPDX-License-Identifier: Apache-2.0
// More asked of a core than it can do: how much is done then, and what is told of the sites.
#include <gtest/gtest.h>

#include <cstdio>

#include "costed_world.h"

namespace watchwheel::sim {
namespace {

using core::Cause;
using namespace std::chrono_literals;

struct Load {
  double times;  // What is asked, in shares of what the core can do.
  double done_per_second = 0;
  std::uint64_t told_down = 0;
  std::uint64_t overload = 0;
  std::size_t in_flight = 0;
  double longest_turn_ms = 0;
};

CostedSettings settings_of(double times) {
  CostedSettings settings;
  settings.sites = static_cast<std::uint32_t>(times * settings.costs.checks_per_second() *
                                              core::to_seconds(settings.interval));
  return settings;
}

Load measure(double times, const CostedSettings& settings) {
  CostedWorld world(settings);
  world.run_for(60s);
  const std::uint64_t before = world.done();
  world.forget_longest_turn();
  world.run_for(60s);
  Load load{.times = times};
  load.done_per_second = static_cast<double>(world.done() - before) / 60;
  load.told_down = world.results(Cause::HttpTimeout);
  load.overload = world.results(Cause::LocalOverload);
  load.in_flight = world.in_flight();
  load.longest_turn_ms = core::to_ms(world.longest_turn());
  std::printf(
      "%4.1f x: %7.0f a second done, %6llu timeouts told, %6llu local_overload, "
      "%6zu in flight, longest turn %5.1f ms\n",
      times, load.done_per_second, static_cast<unsigned long long>(load.told_down),
      static_cast<unsigned long long>(load.overload), load.in_flight, load.longest_turn_ms);
  return load;
}

// Goal: asked for more than it can do, a core does as much as it can, and calls no healthy site down. Method: every start and
// every event costs time; all sites are healthy.
TEST(Overload, TheDoneRateStaysAtTheKneeWhateverIsAsked) {
  const double capacity = Costs{}.checks_per_second();
  double best = 0;
  for (const double times : {0.8, 1.0, 1.5, 3.0}) {
    const Load load = measure(times, settings_of(times));
    best = std::max(best, load.done_per_second);
    EXPECT_EQ(load.told_down, 0U) << times;
    EXPECT_GE(load.done_per_second, 0.9 * std::min(times, 1.0) * capacity) << times;
    EXPECT_GE(load.done_per_second, 0.9 * std::min(best, times * capacity)) << times;
    EXPECT_LT(load.longest_turn_ms, 100) << times;
  }
}

// The negative control: without the rule the same fleet collapses, so this test could tell.
TEST(Overload, WithoutAnswersFirstTheDoneRateCollapses) {
  CostedSettings settings = settings_of(3);
  settings.answers_first = false;
  const Load load = measure(3, settings);
  EXPECT_LT(load.done_per_second, 0.5 * Costs{}.checks_per_second());
}

// Goal: sites that really do not answer are told so, also at the knee and beyond it: honesty is no excuse for silence.
TEST(Overload, SilentSitesAreToldAlsoBeyondTheKnee) {
  for (const double times : {0.8, 1.5}) {
    CostedSettings settings = settings_of(times);
    settings.silent_every = 20;
    CostedWorld world(settings);
    world.run_for(120s);
    const double rate = static_cast<double>(world.results(Cause::HttpTimeout)) / 120;
    const double share = rate / (static_cast<double>(world.done()) / 120);
    std::printf("%4.1f x: %5.1f %% of results are timeouts, %llu local_overload\n", times,
                share * 100, static_cast<unsigned long long>(world.results(Cause::LocalOverload)));
    EXPECT_NEAR(share, 0.05, 0.02) << times;
  }
}

// Goal: after an overload everything is on time again, soon.
TEST(Overload, IsOverSoonAfterTheLoadDrops) {
  CostedSettings settings = settings_of(0.7);
  CostedWorld world(settings);
  world.run_for(40s);
  world.set_cost_factor(3);
  world.run_for(60s);
  EXPECT_GT(core::to_seconds(world.lane().scheduler().oldest_queued(core::SteadyTime{1h} + 100s)),
            5);
  world.set_cost_factor(1);
  world.run_for(settings.interval * 3);
  // Those who caught up together come together again, a little faster than they are required.
  EXPECT_LE(world.lane().scheduler().oldest_queued(core::SteadyTime{1h} + 100s + settings.interval * 3),
            500ms);
  EXPECT_EQ(world.results(Cause::HttpTimeout), 0U);
}

// Goal: a process that is stopped for two minutes calls nobody down: what waits in the sockets is read first, and what timed out
// is ours.
TEST(Overload, AStoppedProcessCallsNobodyDown) {
  CostedWorld world(settings_of(0.7));
  world.run_for(30s);
  ASSERT_GT(world.in_flight(), 50U);
  world.stop_for(120s);
  world.run_for(60s);
  EXPECT_EQ(world.results(Cause::HttpTimeout), 0U);
  EXPECT_EQ(world.lane().scheduler().queued(), 0U);
}

}  // namespace
}  // namespace watchwheel::sim
