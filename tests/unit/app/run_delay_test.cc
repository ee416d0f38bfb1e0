// SPDX-License-Identifier: Apache-2.0
#include "app/run_delay.h"

#include <gtest/gtest.h>
#include <sched.h>

#include <atomic>
#include <filesystem>
#include <thread>

namespace watchwheel::app {
namespace {

using namespace std::chrono_literals;

void stay_on(int cpu) {
  cpu_set_t set;
  CPU_ZERO(&set);
  CPU_SET(static_cast<std::size_t>(cpu), &set);
  (void)sched_setaffinity(0, sizeof set, &set);
}

// Goal: a thread that shares its processor with another one that never rests is told that it waited. Method: both on one
// processor, until the kernel says so.
TEST(RunDelay, TellsHowLongAThreadWaitedForItsProcessor) {
  if (!std::filesystem::exists("/proc/thread-self/schedstat")) GTEST_SKIP() << "not accounted for";
  std::atomic<bool> over{false};
  std::atomic<int> cpu{-1};
  core::Duration waited{};
  core::Duration most{};
  std::thread asked([&] {
    cpu.store(sched_getcpu());
    stay_on(cpu.load());
    const core::SystemClock clock;
    const core::SteadyTime begin = clock.steady();
    RunDelay delay;
    while (waited < 10ms && clock.steady() - begin < 20s) waited += delay.since_last();
    most = clock.steady() - begin;
    over.store(true);
  });
  std::thread other([&] {
    while (cpu.load() < 0) std::this_thread::yield();
    stay_on(cpu.load());
    while (!over.load()) {
    }
  });
  asked.join();
  other.join();
  EXPECT_GE(waited, 10ms);
  EXPECT_LE(waited, most);
}

}  // namespace
}  // namespace watchwheel::app
