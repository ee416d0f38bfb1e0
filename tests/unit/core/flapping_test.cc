// SPDX-License-Identifier: Apache-2.0
// Goal: flapping computed from the times of changes is what it is when somebody keeps the last states one by one. Method: a naive
// model that walks through each second and keeps a list of looks; random lives of sites, each by a seed that failures print.
#include "core/flapping.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <deque>
#include <random>
#include <vector>

namespace watchwheel::core {
namespace {

using namespace std::chrono_literals;

WallTime at(std::int64_t seconds) {
  return WallTime{std::chrono::seconds{seconds}};
}

// Keeps the last looks as they pass by.
class Naive {
 public:
  explicit Naive(std::int64_t look_s) : look_s_(look_s) {}
  void second(std::int64_t now, bool change) {
    if (looks_.empty() || now % look_s_ == 0) looks_.push_front(false);
    if (looks_.size() > 20) looks_.pop_back();
    looks_.front() = looks_.front() || change;
  }
  [[nodiscard]] double percent() const {
    double sum = 0;
    for (std::size_t ago = 0; ago < looks_.size(); ++ago)
      sum += looks_[ago] ? 1.2 - 0.4 * static_cast<double>(ago) / 19 : 0;
    return sum / 20 * 100;
  }

 private:
  std::int64_t look_s_;
  std::deque<bool> looks_;
};

TEST(Flapping, IsTheShareThatKeepingTheLastStatesGives) {
  for (std::uint64_t seed = 1; seed <= 30; ++seed) {
    std::mt19937_64 random(seed);
    const auto below = [&](std::uint64_t n) { return static_cast<std::int64_t>(random() % n); };
    const std::int64_t look_s = 1 + below(90);
    const FlapPolicy policy{.low = static_cast<std::uint32_t>(below(40)),
                            .high = static_cast<std::uint32_t>(40 + below(60))};
    Naive naive(look_s);
    std::vector<WallTime> changes;
    bool does = false;
    std::uint64_t every = 1 + random() % 200;
    for (std::int64_t now = 1'000'000; now < 1'000'000 + 40 * look_s; ++now) {
      if (below(200) == 0) every = 1 + random() % 200;
      const bool change = random() % every == 0;
      naive.second(now, change);
      if (change) changes.push_back(at(now));
      std::shuffle(changes.begin(), changes.end(), random);
      const std::int64_t share = flap_share(changes, at(now), std::chrono::seconds{look_s});
      const double percent = static_cast<double>(share) * 100 / kFlapWhole;
      ASSERT_NEAR(percent, naive.percent(), 1e-9) << "seed " << seed << " at " << now;
      does = flaps(share, does, policy);
      if (percent > policy.high + 1e-9) {
        ASSERT_TRUE(does) << seed;
      }
      if (percent < policy.low - 1e-9) {
        ASSERT_FALSE(does) << seed;
      }
    }
  }
}

TEST(Flapping, IsSteadyExactlyFromWhenItSays) {
  for (std::uint64_t seed = 1; seed <= 300; ++seed) {
    std::mt19937_64 random(seed);
    const auto below = [&](std::uint64_t n) { return static_cast<std::int64_t>(random() % n); };
    const std::chrono::seconds look{1 + below(30)};
    const FlapPolicy policy{.low = static_cast<std::uint32_t>(below(60)), .high = 60};
    const std::int64_t now = 1'000'000 + below(1000);
    std::vector<WallTime> changes;
    for (std::int64_t n = below(40); n > 0; --n)
      changes.push_back(at(now - below(static_cast<std::uint64_t>(30 * look.count()))));
    const WallTime steady = steady_at(changes, at(now), look, policy);
    ASSERT_LE(steady, at(now) + flap_memory(look)) << seed;
    std::int64_t before = kFlapWhole;
    for (std::int64_t s = now; s < now + 25 * look.count(); ++s) {
      const std::int64_t share = flap_share(changes, at(s), look);
      ASSERT_LE(share, before) << "it only falls; seed " << seed;
      before = share;
      ASSERT_EQ(flaps(share, true, policy), at(s) < steady) << "seed " << seed << " at " << s;
    }
  }
}

TEST(Flapping, AlternatingAlwaysIsAllOfItAndTheMarksAreTheirOwnSide) {
  std::vector<WallTime> changes;
  for (std::int64_t i = 0; i < 30; ++i) changes.push_back(at(1'000'000 - 60 * i));
  EXPECT_EQ(flap_share(changes, at(1'000'000), 60s), kFlapWhole);
  EXPECT_EQ(flap_share({}, at(1'000'000), 60s), 0);
  const FlapPolicy policy;
  EXPECT_FALSE(flaps(kFlapWhole / 2, false, policy)) << "not above";
  EXPECT_TRUE(flaps(kFlapWhole / 2 + 1, false, policy));
  EXPECT_TRUE(flaps(kFlapWhole / 4, true, policy)) << "not below";
  EXPECT_FALSE(flaps(kFlapWhole / 4 - 1, true, policy));
  EXPECT_FALSE(flaps(0, true, {.low = 0, .high = 50})) << "nothing is left";
  EXPECT_FALSE(flaps(kFlapWhole, false, {.low = 25, .high = 100})) << "100: never";
}

TEST(Flapping, ManyChangesOfOneLookCountOnce) {
  const std::vector<WallTime> one{at(1'000'020)};
  const std::vector<WallTime> many{at(1'000'020), at(1'000'021), at(1'000'050), at(1'000'200)};
  EXPECT_EQ(flap_share(one, at(1'000'055), 60s), flap_share(many, at(1'000'055), 60s));
  EXPECT_EQ(flap_share(one, at(1'000'055), 60s) * 20, kFlapWhole * 12 / 10);
}

}  // namespace
}  // namespace watchwheel::core
