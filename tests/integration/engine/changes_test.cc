// SPDX-License-Identifier: Apache-2.0
// A list of many sites, edited by another program while the daemon runs: what the sites themselves saw of it.
#include <gtest/gtest.h>
#include <sqlite3.h>

#include <algorithm>
#include <cmath>
#include <csignal>
#include <cstdio>
#include <string>
#include <vector>

#include "daemon.h"
#include "fleet/control_client.h"
#include "support/slow_build.h"

namespace watchwheel::testing {
namespace {

using nlohmann::json;
using namespace std::chrono_literals;

constexpr std::uint32_t kSites = 10'000 / (testing::kSlowness * testing::kSlowness);
constexpr std::uint32_t kEdited = kSites / 5;  // By each kind of edit.
constexpr core::Duration kInterval = 10s;
constexpr core::Duration kHalf = 5s;          // Of those that are asked more often from then on.
constexpr core::Duration kWindow = 27s;       // See Window::wrong().
constexpr core::Duration kShortWindow = 13s;  // The same with 1.3 and 2.6 intervals.

// Another program with the store open: plain SQL, no knowledge of ours.
void edit(const std::string& file, const std::string& sql) {
  sqlite3* db = nullptr;
  ASSERT_EQ(sqlite3_open_v2(file.c_str(), &db, SQLITE_OPEN_READWRITE, nullptr), SQLITE_OK);
  sqlite3_busy_timeout(db, 10'000);
  char* error = nullptr;
  const int code = sqlite3_exec(db, sql.c_str(), nullptr, nullptr, &error);
  EXPECT_EQ(code, SQLITE_OK) << (error != nullptr ? error : "") << " in " << sql;
  sqlite3_free(error);
  sqlite3_close(db);
}

// How often each site was asked from its reset to its reading.
class Window {
 public:
  explicit Window(const FleetThread& fleet) : fleet_(fleet), begun_(clock_.steady()) {
    fleet.reset_window();
  }
  void last(core::Duration how_long) const { clock_.sleep_for(how_long); }

  // Of a sample of the sites `first` to `last`: those asked other than once an interval. The windows last 2.7 and 5.4 intervals, so
  // that the number of due times within is one of two also when checks are two seconds late; one too many shows in half of the
  // sites, one left out in all of them, by the gap.
  [[nodiscard]] std::string wrong(std::uint32_t first, std::uint32_t last,
                                  core::Duration interval) const {
    std::string wrong;
    const double interval_s = core::to_seconds(interval);
    for (std::uint32_t site = first; site <= last; site += std::max(1U, (last - first) / 100)) {
      const double before_s = core::to_seconds(clock_.steady() - begun_);
      const json facts = fleet_.site(site);
      const double after_s = core::to_seconds(clock_.steady() - begun_);
      const auto asked = facts.at("asked").get<double>();
      const bool often_enough = asked >= std::floor((before_s - kLate_s) / interval_s);
      const bool too_often = asked > std::ceil((after_s + kLate_s) / interval_s);
      const double gap_s = facts.at("gap_s_max").get<double>();
      if (often_enough && !too_often && gap_s <= interval_s + kLate_s) continue;
      wrong += " in " + std::to_string(after_s) + " s: " + facts.dump() + ";";
    }
    return wrong;
  }
  // Those asked at all.
  [[nodiscard]] std::string asked(std::uint32_t first, std::uint32_t last) const {
    std::string asked;
    for (std::uint32_t site = first; site <= last; site += std::max(1U, (last - first) / 100)) {
      if (fleet_.site(site).at("asked") > 0) asked += " site " + std::to_string(site) + ";";
    }
    return asked;
  }

 private:
  static constexpr double kLate_s = 2.4 * testing::kSlowness;
  const FleetThread& fleet_;
  const core::SystemClock clock_;
  const core::SteadyTime begun_;
};

// Goal: edits of a large list by another program (pauses, intervals, other URLs, removals) and an import beside them are in force
// within seconds; no site is asked twice for one due time or left out; and neither does that happen when a reload changes the
// options of every site. Method: two lanes, a fifth of the sites edited by each kind in plain SQL; the fleet counts who asked.
TEST(Daemon, EditsOfManySitesTakeEffectAndDoubleNoCheck) {
  const TempDir dir;
  fleet::Config config;
  config.sites = kSites + 2 * kEdited;
  config.interval = std::chrono::duration_cast<std::chrono::milliseconds>(kInterval);
  config.cert_dir = dir.file("certs");
  const FleetThread fleet(config);
  DaemonUnderTest daemon(fleet, kInterval, "[engine]\nlanes = 2\n");
  daemon.import_sites(kSites);
  daemon.start();
  daemon.wait_ready();
  // Every site once, so that no first check falls into a window.
  ASSERT_TRUE(eventually(
      [&] { return daemon.status().at("sites").at("up").get<double>() == kSites; }, 120s))
      << daemon.status().dump(1);
  const json lanes = daemon.status().at("lanes");
  ASSERT_EQ(lanes.size(), 2U);
  for (const json& lane : lanes)
    EXPECT_NEAR(lane.at("sites").get<double>(), kSites / 2.0, 0.1 * kSites) << lanes.dump();

  // Ids are 1 for site 0, and so on.
  const auto ids = [](std::uint32_t fifth) {
    return "id BETWEEN " + std::to_string(fifth * kEdited + 1) + " AND " +
           std::to_string((fifth + 1) * kEdited);
  };
  const double before = daemon.status().at("feed").at("changes").get<double>();
  const core::SystemClock clock;
  const core::SteadyTime begin = clock.steady();
  edit(daemon.store_file(), "UPDATE sites SET active = 0 WHERE " + ids(0));
  edit(daemon.store_file(), "UPDATE sites SET interval_ms = 5000 WHERE " + ids(1));
  std::string moves = "BEGIN;";
  for (std::uint32_t i = 0; i < kEdited; ++i)
    moves += "UPDATE sites SET url = '" + fleet.url(kSites + i) +
             "' WHERE id = " + std::to_string(2 * kEdited + i + 1) + ";";
  edit(daemon.store_file(), moves + "COMMIT");
  edit(daemon.store_file(), "DELETE FROM sites WHERE " + ids(3));
  // The list with what is new at its end: what is unchanged is left alone.
  std::string more = "url\n";
  for (std::uint32_t i = 0; i < kEdited; ++i) more += fleet.url(kSites + kEdited + i) + "\n";
  write_file(dir.file("more.csv"), more);
  ASSERT_EQ(daemon.command({"sites", "import", dir.file("more.csv")}).status, 0);
  const core::SteadyTime edited = clock.steady();
  ASSERT_TRUE(eventually([&] {
    const json status = daemon.status();
    return status.at("feed").at("changes").get<double>() >= before + 5.0 * kEdited &&
           status.at("sites").at("paused").get<double>() == kEdited;
  })) << daemon.status().dump(1);
  std::printf("%u edits: committed in %.1f s, in force %.1f s later\n", 5 * kEdited,
              core::to_seconds(edited - begin), core::to_seconds(clock.steady() - edited));

  // A check in flight at the moment of its edit may still come in; then the windows.
  clock.sleep_for(3s);
  const auto expect_as_edited = [&] {
    const Window window(fleet);
    window.last(kWindow);
    EXPECT_EQ(window.asked(0, kEdited - 1), "") << "paused";
    EXPECT_EQ(window.wrong(kEdited, 2 * kEdited - 1, kHalf), "") << "of another interval";
    EXPECT_EQ(window.asked(2 * kEdited, 3 * kEdited - 1), "") << "of another URL now";
    EXPECT_EQ(window.wrong(kSites, kSites + kEdited - 1, kInterval), "") << "the other URL";
    EXPECT_EQ(window.asked(3 * kEdited, 4 * kEdited - 1), "") << "removed";
    EXPECT_EQ(window.wrong(4 * kEdited, kSites - 1, kInterval), "") << "not edited";
    EXPECT_EQ(window.wrong(kSites + kEdited, kSites + 2 * kEdited - 1, kInterval), "") << "added";
  };
  expect_as_edited();

  // Other options for all: each site's plan changes, nobody's phase.
  std::string other = daemon.config_text();
  other.replace(other.find("timeout = \"2s\""), 14, "timeout = \"3s\"");
  write_file(daemon.config_file(), other);
  const Window window(fleet);
  ASSERT_TRUE(daemon.post("/-/reload").has_value());
  window.last(kShortWindow);
  EXPECT_EQ(window.asked(0, kEdited - 1), "") << "paused";
  EXPECT_EQ(window.wrong(kEdited, 2 * kEdited - 1, kHalf), "") << "reloaded, of another interval";
  EXPECT_EQ(window.wrong(4 * kEdited, kSites - 1, kInterval), "") << "reloaded, not edited";
  EXPECT_EQ(daemon.metric("watchwheel_stale_sites"), 0);
  EXPECT_EQ(daemon.stop().status, 0);
}

}  // namespace
}  // namespace watchwheel::testing
