// SPDX-License-Identifier: Apache-2.0
// Goal: how fast sites answered reaches the store once, for its hour, whatever the store does; all of it when a daemon ends, and
// all but the last quarter of an hour when it is killed. Method: the simulated engine, and the history's keeper in the same time.
#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <utility>

#include "sideeffects/history_keeper.h"
#include "world.h"

namespace watchwheel::sim {
namespace {

using namespace std::chrono_literals;
using sideeffects::HistoryKeeper;
using sideeffects::ResponsePage;

constexpr std::uint32_t kSites = 150;  // Two pages.

// Each row knows the page that it was added last, as a store does.
class PageStore final : public sideeffects::HistoryStore {
 public:
  core::Result<sideeffects::HistoryPurge> purge(const sideeffects::HistoryRetention& /*retention*/,
                                                std::size_t /*limit*/) override {
    return sideeffects::HistoryPurge{};
  }
  core::Result<void> add_minute(std::string_view /*node*/, core::WallTime /*started_at*/,
                                const core::ResponseHistogram& /*responses*/) override {
    return {};
  }
  core::Result<void> add_pages(std::string_view /*node*/,
                               std::span<const ResponsePage> pages) override {
    ++writes;
    if (away) return core::Error{core::ErrorKind::Unavailable, "away"};
    for (const ResponsePage& page : pages) {
      if (std::exchange(tokens_[{page.number, page.hour}], page.token) == page.token) continue;
      for (const auto& site : page.sites) {
        core::ResponseHistogram counts;
        counts += site.counts;
        by_site[page.number * ResponsePage::kSites + site.offset] += counts.total();
        by_hour[page.hour] += counts.total();
      }
    }
    // Every third answer is lost.
    if (writes % 3 == 0) return core::Error{core::ErrorKind::Unknown, "lost"};
    return {};
  }

  bool away = false;
  int writes = 0;
  std::map<std::uint64_t, std::uint64_t> by_site;
  std::map<core::WallTime, std::uint64_t> by_hour;

 private:
  std::map<std::pair<std::uint64_t, core::WallTime>, std::int64_t> tokens_;
};

struct Daemon {
  void run_for(core::Duration length) {
    for (const core::SteadyTime end = world.clock.steady() + length; world.clock.steady() < end;) {
      world.run_for(1s);
      if (*keeper.next_turn() <= world.clock.steady()) keeper.turn(world.clock.steady());
    }
  }
  [[nodiscard]] std::uint64_t earned(std::uint64_t site) {
    const auto& results = world.results(site);
    return static_cast<std::uint64_t>(std::count(results.begin(), results.end(), core::Cause::Ok));
  }
  [[nodiscard]] std::uint64_t earned() {
    std::uint64_t all = 0;
    for (std::uint64_t site = 1; site <= kSites; ++site) all += earned(site);
    return all;
  }
  [[nodiscard]] std::uint64_t stored() const {
    std::uint64_t all = 0;
    for (const auto& [site, count] : store.by_site) all += count;
    return all;
  }

  World world{{.sites = kSites, .interval = 60s, .confirm = {}, .in_flight_max = 0},
              [](std::string_view url, core::SteadyTime at) {
                const auto passed = at.time_since_epoch() / 1ms;
                const auto site = static_cast<std::int64_t>(World::site_of(url));
                return Answer{.cause = site % 50 == 7 && passed / 600'000 % 3 == 1
                                           ? core::Cause::HttpStatus
                                           : core::Cause::Ok,
                              .after = (20 + passed / 1000 * site % 400) * 1ms};
              }};
  PageStore store;
  HistoryKeeper keeper{{.node = "", .gathered = &world.gatherer}, store, world.clock};
};

TEST(SimulatedResponses, AllOfThemAreStoredOnceWhenADaemonEnds) {
  Daemon daemon;
  daemon.run_for(100min);
  daemon.store.away = true;
  daemon.run_for(150min);
  daemon.store.away = false;
  daemon.run_for(50min);
  daemon.world.settle();
  daemon.world.lane().tell_rest(
      [&](const core::FreshnessMark& mark) { daemon.world.gatherer.add(mark); });
  for (int tries = 0; tries < 20; ++tries) {
    if (daemon.keeper.write_rest(daemon.world.clock.steady() + 10s)) break;
  }
  for (std::uint64_t site = 1; site <= kSites; ++site)
    EXPECT_EQ(daemon.store.by_site[site], daemon.earned(site)) << site;
  // An hour of 150 sites is 9,000 answers; a mark tells of up to a quarter of an hour, so the border between two is that wide.
  std::size_t whole = 0;
  for (const auto& [hour, count] : daemon.store.by_hour) {
    EXPECT_LT(count, 3 * 11'250U);
    whole += count > 6'500 && count < 11'250 ? 1U : 0U;
  }
  EXPECT_GE(whole, 1U);
  EXPECT_GE(daemon.store.by_hour.size(), 3U);
}

TEST(SimulatedResponses, AKillCostsWhatNoMarkHadToldAndAFewSeconds) {
  Daemon daemon;
  daemon.run_for(140min);
  const std::uint64_t earned = daemon.earned();
  EXPECT_LE(daemon.stored(), earned);
  EXPECT_GE(daemon.stored(), earned - kSites * 17U);
}

}  // namespace
}  // namespace watchwheel::sim
