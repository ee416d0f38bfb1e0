// SPDX-License-Identifier: Apache-2.0
#include "checker/resolver_absence.h"

#include <gtest/gtest.h>

#include <map>
#include <random>
#include <string>

namespace watchwheel::checker {
namespace {

using namespace std::chrono_literals;

const core::SteadyTime kStart{1h};

TEST(AbsenceMemory, HoldsToTheSecondAndAnHourAtMost) {
  AbsenceMemory memory(1000);
  const DnsKey key{0, true, "a.example"};
  EXPECT_FALSE(memory.holds(key, kStart));
  memory.remember(key, 60s, kStart);
  EXPECT_TRUE(memory.holds(key, kStart + 59s));
  EXPECT_FALSE(memory.holds(key, kStart + 60s));
  memory.remember(key, 100h, kStart);
  EXPECT_TRUE(memory.holds(key, kStart + 3599s));
  EXPECT_FALSE(memory.holds(key, kStart + 1h));
  EXPECT_FALSE(memory.holds(key, kStart + 24h * 100));
  memory.remember({0, true, "b.example"}, 999ms, kStart);
  memory.remember({0, true, "b.example"}, 0s, kStart);
  EXPECT_FALSE(memory.holds({0, true, "b.example"}, kStart));
}

TEST(AbsenceMemory, TellsApartWhatIsNotTheSame) {
  AbsenceMemory memory(1000);
  memory.remember({0, true, "a.example"}, 60s, kStart);
  EXPECT_FALSE(memory.holds({1, true, "a.example"}, kStart));
  EXPECT_FALSE(memory.holds({0, false, "a.example"}, kStart));
  EXPECT_FALSE(memory.holds({0, true, "b.example"}, kStart));
}

TEST(AbsenceMemory, ForgetsOneAndAll) {
  AbsenceMemory memory(1000);
  memory.remember({0, true, "a.example"}, 60s, kStart);
  memory.remember({0, true, "b.example"}, 60s, kStart);
  memory.forget({0, true, "a.example"}, kStart);
  memory.forget({0, true, "c.example"}, kStart);
  EXPECT_FALSE(memory.holds({0, true, "a.example"}, kStart));
  EXPECT_TRUE(memory.holds({0, true, "b.example"}, kStart));
  memory.clear();
  EXPECT_FALSE(memory.holds({0, true, "b.example"}, kStart));
  EXPECT_EQ(memory.bytes(), AbsenceMemory(1).bytes());
}

// Goal: beside a map, whatever is remembered, forgotten and left to expire.
TEST(AbsenceMemory, IsAMapThatForgetsByItself) {
  AbsenceMemory memory(1'000'000);
  std::map<std::string, core::SteadyTime> model;
  std::mt19937 random(20261121);
  // The seconds that it keeps begin anew half-way.
  core::SteadyTime now = core::SteadyTime{} + std::chrono::seconds{(1 << 24) - 1000};
  for (int i = 0; i < 200'000; ++i) {
    const std::string name = "s" + std::to_string(random() % 20'000);
    const DnsKey key{0, true, name};
    const auto known = model.find(name);
    ASSERT_EQ(memory.holds(key, now), known != model.end() && now < known->second) << name;
    if (random() % 8 == 0) {
      memory.forget(key, now);
      model.erase(name);
    } else {
      const std::chrono::seconds keep{1 + random() % 600};
      memory.remember(key, keep, now);
      model[name] = now + keep;
    }
    if (random() % 100 == 0) now += 1s;
  }
}

TEST(AbsenceMemory, HoldsItsLimitInNamesAndBytes) {
  constexpr std::size_t kNames = 64 * AbsenceMemory::kSegments;
  AbsenceMemory memory(kNames);
  std::size_t held = 0;
  for (std::size_t i = 0; i < 2 * kNames; ++i) {
    const std::string name = "s" + std::to_string(i);
    memory.remember({0, true, name}, 600s, kStart);
  }
  for (std::size_t i = 0; i < 2 * kNames; ++i) {
    const std::string name = "s" + std::to_string(i);
    held += memory.holds({0, true, name}, kStart) ? 1U : 0U;
  }
  EXPECT_LE(held, kNames);
  EXPECT_GT(held, kNames * 9 / 10);
  EXPECT_LT(memory.bytes(), kNames * 22 + sizeof(AbsenceMemory));
  // What has expired makes room.
  for (int i = 0; i < 50; ++i) {
    const std::string name = "late" + std::to_string(i);
    memory.remember({0, true, name}, 600s, kStart + 700s);
    EXPECT_TRUE(memory.holds({0, true, name}, kStart + 700s)) << name;
  }
}

}  // namespace
}  // namespace watchwheel::checker
