// SPDX-License-Identifier: Apache-2.0
// What docs/reference/promise.md promises, held against the engine: the shortest outage that is always detected, how long it takes
// from the first failing check to `down`, and from there to the first attempt of a notice.
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <iostream>
#include <random>

#include "incident_world.h"
#include "world.h"

namespace watchwheel::sim {
namespace {

using core::Cause;
using core::Duration;
using core::Saw;
using core::SteadyTime;
using sideeffects::MessageKind;
using sideeffects::SendOutcome;
using namespace std::chrono_literals;

std::vector<std::uint64_t> seeds(std::size_t count) {
  if (const char* one = std::getenv("WATCHWHEEL_SEED")) return {std::strtoull(one, nullptr, 10)};
  std::vector<std::uint64_t> all;
  for (std::uint64_t seed = 1; seed <= count; ++seed) all.push_back(seed);
  return all;
}

// How late a check starts and a decision is taken in a process that has room: the lane looks at least each tenth of a second.
constexpr Duration kLate = 200ms;

// The formulas of docs/reference/promise.md, by their names there.
struct Promise {
  Duration interval, timeout, hold;
  core::ConfirmPolicy confirm;

  [[nodiscard]] Duration recheck() const {
    return std::min<Duration>(confirm.retry_interval * 11 / 10, interval);
  }
  [[nodiscard]] Duration answer() const { return timeout + hold; }
  [[nodiscard]] Duration verify() const {
    return confirm.verified() ? confirm.verify_timeout : Duration{};
  }
  // From the start of the first failing check until it is down.
  [[nodiscard]] Duration confirmation() const {
    const int checks = static_cast<int>(confirm.failures);
    return checks * (answer() + kLate) + (checks - 1) * (recheck() + kLate) + verify();
  }
  // The shortest outage that is always detected.
  [[nodiscard]] Duration shortest() const {
    const int checks = static_cast<int>(confirm.failures);
    return interval + kLate + (checks - 1) * (answer() + recheck() + 2 * kLate) + timeout;
  }
};

// From the commit of `down` to the first attempt: the router and the worker are called, and what is left are their turns.
constexpr Duration kNotice = 100ms;

enum class How { Refused, Status, Silent, Slow, Mixed };

struct Outage {
  SteadyTime from, until;
  How how = How::Refused;
};

// One site's outages and what a check that begins then sees. One that is not answered before the outage ends is answered well.
struct Site {
  std::vector<Outage> outages;

  [[nodiscard]] Answer answer(SteadyTime now, Duration timeout, std::mt19937_64& random) const {
    for (const Outage& outage : outages) {
      if (now < outage.from || now >= outage.until) continue;
      Answer answer = failure(outage.how, timeout, random);
      if (now + answer.after > outage.until)
        answer = {Cause::Ok, std::min<Duration>(outage.until + 50ms - now, timeout)};
      return answer;
    }
    return {Cause::Ok, 1ms * static_cast<int>(1 + random() % 300)};
  }
  static Answer failure(How how, Duration timeout, std::mt19937_64& random) {
    if (how == How::Mixed) how = static_cast<How>(random() % 4);
    if (how == How::Refused) return {Cause::ConnectRefused, 5ms};
    if (how == How::Status) return {Cause::HttpStatus, 80ms};
    if (how == How::Silent) return {Cause::HttpTimeout, timeout};
    return {Cause::BodyTruncated, timeout * static_cast<int>(random() % 1000) / 1000};
  }
};

struct Drawn {
  Promise promise;
  std::size_t verifiers = 0;
};

Drawn draw(std::mt19937_64& random) {
  const auto pick = [&](int least, int most) {
    return least + static_cast<int>(random() % static_cast<std::uint64_t>(most - least + 1));
  };
  Drawn drawn;
  Promise& p = drawn.promise;
  p.interval = 1s * pick(5, 60);
  p.timeout = std::min<Duration>(100ms * pick(5, 80), p.interval - 2s);
  p.hold = pick(0, 2) == 0 ? 100ms * pick(1, 15) : 0ms;
  p.confirm.failures = static_cast<std::uint32_t>(pick(1, 4));
  p.confirm.successes = static_cast<std::uint32_t>(pick(1, 2));
  p.confirm.retry_interval = 1s * pick(1, 15);
  drawn.verifiers = static_cast<std::size_t>(pick(0, 2));
  p.confirm.quorum =
      drawn.verifiers > 0
          ? static_cast<std::uint32_t>(pick(1, 1 + static_cast<int>(drawn.verifiers)))
          : 1;
  p.confirm.verify_timeout = 1s * pick(1, 10);
  return drawn;
}

sideeffects::NotifyTargets one_target() {
  sideeffects::NotifyTarget target;
  target.channel.name = "ops";
  target.channel.url = "https://ops.test/";
  return {target};
}

void hold_to(std::uint64_t seed) {
  constexpr std::size_t kSites = 8;
  constexpr int kRounds = 3;
  std::mt19937_64 random(seed);
  const Drawn drawn = draw(random);
  const Promise& promise = drawn.promise;
  std::vector<Site> sites(kSites + 1);

  IncidentSettings settings;
  settings.sites.resize(kSites);
  settings.interval = promise.interval;
  settings.timeout = promise.timeout;
  settings.confirm = promise.confirm;
  settings.verifiers = drawn.verifiers;
  settings.targets = one_target();
  settings.gate = promise.hold > Duration{};
  settings.seed = seed;
  const auto site_of = [](std::string_view url) {
    return static_cast<std::size_t>(std::stoul(std::string(url.substr(8))));
  };
  IncidentWorld world(
      settings,
      [&](std::string_view url, SteadyTime now) {
        return sites[site_of(url)].answer(now, promise.timeout, random);
      },
      [&](std::size_t, std::string_view, SteadyTime) {
        // Nobody sees it up; and an answer may come too late.
        constexpr Saw kWords[] = {Saw::Down, Saw::Down, Saw::Silent, Saw::Overloaded, Saw::Error};
        return VerifierWord{kWords[random() % 5], 100ms * static_cast<int>(random() % 120)};
      },
      [](const sideeffects::Attempt&, SteadyTime) { return ReceiverWord{}; });
  world.set_hold(promise.hold);

  // The last site is well all the time.
  const Duration round = promise.shortest() * 2 + promise.interval * 2 + 10s;
  for (std::size_t site = 1; site < kSites; ++site) {
    for (int i = 0; i < kRounds; ++i) {
      const SteadyTime from =
          world.now() + 5s + round * i + 1ms * static_cast<int>(random() % 10'000);
      const Duration length = promise.shortest() * static_cast<int>(10 + random() % 130) / 100;
      sites[site].outages.push_back({from, from + length, static_cast<How>(random() % 5)});
    }
  }
  world.run_for(round * kRounds + promise.confirmation() + 30s);

  const std::vector<db::Incident> incidents = world.incidents();
  std::size_t detected = 0;
  for (std::size_t site = 1; site <= kSites; ++site) {
    const auto& checked = world.checked(site);
    for (const Outage& outage : sites[site].outages) {
      const std::string which = "site " + std::to_string(site) + ", outage of " +
                                std::to_string(core::to_seconds(outage.until - outage.from)) +
                                " s of at least " +
                                std::to_string(core::to_seconds(promise.shortest()));
      const auto first = std::find_if(checked.begin(), checked.end(), [&](const Checked& c) {
        return c.began >= outage.from && core::outcome_of(c.cause) == core::Outcome::Down;
      });
      const bool failed = first != checked.end() && first->began < outage.until;
      const auto event =
          std::find_if(incidents.begin(), incidents.end(), [&](const db::Incident& i) {
            return failed && i.site.value == site &&
                   core::to_unix_ms(i.started_at) == core::to_unix_ms(first->wall);
          });
      const bool confirmed = event != incidents.end() && event->confirmed_at != core::kNoWallTime;
      if (outage.until - outage.from > promise.shortest()) {
        EXPECT_TRUE(confirmed) << which;
      }
      if (!confirmed) continue;
      ++detected;
      const auto down =
          std::find_if(world.committed().begin(), world.committed().end(), [&](const Committed& c) {
            return c.site.value == site && c.started_at == event->started_at &&
                   c.transition.after == core::SiteState::Down;
          });
      ASSERT_NE(down, world.committed().end()) << which;
      EXPECT_LE(core::to_seconds(down->at - first->began), core::to_seconds(promise.confirmation()))
          << which;
      const auto told = std::find_if(world.sent().begin(), world.sent().end(), [&](const Sent& s) {
        return s.message.kind == MessageKind::Down && s.message.sites.front().event == event->id;
      });
      ASSERT_NE(told, world.sent().end()) << which;
      EXPECT_LE(core::to_seconds(told->at - down->at), core::to_seconds(kNotice)) << which;
    }
  }
  EXPECT_GT(detected, 0U);
  // Whoever is told of failed as often as it takes, and the one that is well is never told of.
  for (const Sent& sent : world.sent()) {
    const std::uint64_t site = sent.message.sites.front().site.value;
    EXPECT_NE(site, kSites);
    const auto& checked = world.checked(site);
    const auto failures = std::count_if(checked.begin(), checked.end(), [&](const Checked& c) {
      return core::outcome_of(c.cause) == core::Outcome::Down && c.ended <= sent.at;
    });
    EXPECT_GE(static_cast<std::uint32_t>(failures), promise.confirm.failures);
  }
}

// Goal: every outage that is longer than the formula is detected, `down` and its notice come within theirs, and nobody is told of who
// never failed. Method: settings, outages of any length, phase and kind, and verifiers that agree or say nothing, from printed seeds.
TEST(Promise, EveryOutageLongerThanTheFormulaIsToldInTime) {
  for (const std::uint64_t seed : seeds(40)) {
    SCOPED_TRACE("WATCHWHEEL_SEED=" + std::to_string(seed));
    hold_to(seed);
    if (HasFailure()) {
      std::cout << "WATCHWHEEL_SEED=" << seed << "\n";
      return;
    }
  }
}

// Goal: while the vantage is well a failure waits for its word no longer than the formula says, in a fleet of any size.
TEST(Promise, AFailureWaitsForTheVantageForThreeSecondsAtMost) {
  for (const std::uint32_t sites : {1U, 4U, 12U, 60U, 400U}) {
    SteadyTime failed = core::kNoSteadyTime;
    WorldSettings settings{.sites = sites, .interval = 60s, .confirm = {}};
    settings.failure_share = 0.25;
    bool failing = false;
    World world(settings, [&](std::string_view url, SteadyTime now) {
      const std::string address = "198.51." + std::to_string(World::site_of(url) % 250) + ".1";
      if (!failing || World::site_of(url) != 1) return Answer{Cause::Ok, 20ms, address};
      if (failed == core::kNoSteadyTime) failed = now;
      return Answer{Cause::ConnectRefused, 5ms, address};
    });
    world.run_for(3min);
    failing = true;
    for (int i = 0; i < 1300 && world.store.events().empty(); ++i) world.run_for(50ms);
    ASSERT_EQ(world.store.events().size(), 1U) << sites << " sites";
    EXPECT_LE(core::to_seconds(world.clock.steady() - failed), 3.0 + 0.2) << sites << " sites";
  }
}

}  // namespace
}  // namespace watchwheel::sim
