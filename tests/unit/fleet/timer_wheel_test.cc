// SPDX-License-Identifier: Apache-2.0
#include "fleet/timer_wheel.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <random>

namespace watchwheel::fleet {
namespace {

using std::chrono::microseconds;
using std::chrono::milliseconds;

const Time kStart{std::chrono::seconds(77)};

std::vector<std::uint32_t> advanced(TimerWheel& wheel, Time now) {
  std::vector<std::uint32_t> fired;
  wheel.advance(now, fired);
  return fired;
}

TEST(FleetTimerWheel, FiresAtTheTickAndNotBefore) {
  TimerWheel wheel(4, kStart);
  wheel.arm(1, kStart + microseconds(5300));
  EXPECT_EQ(wheel.next(), kStart + milliseconds(6));
  EXPECT_TRUE(advanced(wheel, kStart + microseconds(5999)).empty());
  EXPECT_EQ(advanced(wheel, kStart + milliseconds(6)), std::vector<std::uint32_t>{1});
  EXPECT_EQ(wheel.next(), Time::max());
}

TEST(FleetTimerWheel, PastIsTheNextTickAndFarIsTheHorizon) {
  TimerWheel wheel(4, kStart);
  EXPECT_TRUE(advanced(wheel, kStart + milliseconds(100)).empty());
  wheel.arm(0, kStart);
  wheel.arm(1, kStart + std::chrono::hours(1));
  EXPECT_EQ(wheel.next(), kStart + milliseconds(101));
  EXPECT_EQ(advanced(wheel, kStart + milliseconds(101)), std::vector<std::uint32_t>{0});
  EXPECT_EQ(wheel.next(), kStart + milliseconds(100 + TimerWheel::kSlots - 1));
  wheel.disarm(1);
  wheel.disarm(1);
  EXPECT_EQ(wheel.armed(), 0U);
}

// Goal: the wheel does what a sorted map does. Method: random arms, disarms and steps in time.
TEST(FleetTimerWheel, AgreesWithASortedMap) {
  constexpr std::uint32_t kTimers = 64;
  std::mt19937 engine(20240607);
  const auto below = [&engine](std::uint32_t limit) {
    return std::uniform_int_distribution<std::uint32_t>(0, limit - 1)(engine);
  };
  TimerWheel wheel(kTimers, kStart);
  std::map<std::uint32_t, std::int64_t> due;  // By timer, in milliseconds.
  std::int64_t now = 0;
  for (int step = 0; step < 20'000; ++step) {
    const std::uint32_t timer = below(kTimers);
    switch (below(3)) {
      case 0: {
        const std::int64_t wait = 1 + below(below(2) == 0 ? 50 : 30'000);
        wheel.arm(timer, kStart + milliseconds(now + wait));
        due[timer] = now + wait;
        break;
      }
      case 1:
        wheel.disarm(timer);
        due.erase(timer);
        break;
      default: {
        now += below(below(8) == 0 ? 40'000 : 20);
        auto fired = advanced(wheel, kStart + milliseconds(now));
        std::sort(fired.begin(), fired.end());
        std::vector<std::uint32_t> expected;
        for (const auto& [number, when] : due) {
          if (when <= now) expected.push_back(number);
        }
        for (const std::uint32_t number : expected) due.erase(number);
        ASSERT_EQ(fired, expected) << "at step " << step;
      }
    }
    ASSERT_EQ(wheel.armed(), due.size());
    auto soonest = Time::max();
    for (const auto& entry : due) soonest = std::min(soonest, kStart + milliseconds(entry.second));
    ASSERT_EQ(wheel.next(), soonest);
  }
}

}  // namespace
}  // namespace watchwheel::fleet
