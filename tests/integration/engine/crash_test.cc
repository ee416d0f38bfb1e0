// SPDX-License-Identifier: Apache-2.0
// Engine and database killed again and again while sites fail and recover. The short form of tools/bench/crash.
#include <gtest/gtest.h>

#include <algorithm>
#include <csignal>
#include <cstdlib>
#include <iostream>
#include <map>
#include <random>
#include <set>
#include <string>

#include "daemon.h"
#include "event_tables.h"
#include "support/mariadb.h"

namespace watchwheel::testing {
namespace {

using namespace std::chrono_literals;

constexpr std::uint32_t kSites = 24;

std::uint64_t number_from_env(const char* name, std::uint64_t otherwise) {
  const char* given = std::getenv(name);
  return given != nullptr ? std::strtoull(given, nullptr, 10) : otherwise;
}

class Crashes {
 public:
  explicit Crashes(std::uint64_t seed) : random_(seed), tables_(server_.port(), "watchwheel") {
    EventTables(server_.port(), "").execute("CREATE DATABASE watchwheel");
    fleet::Config config;
    config.sites = kSites;
    config.interval = 2s;
    config.cert_dir = dir_.file("certs");
    fleet_ = std::make_unique<FleetThread>(config);
    daemon_ = std::make_unique<DaemonUnderTest>(*fleet_, 2s, "", server_.url("watchwheel"));
    daemon_->import_sites(kSites);
    daemon_->start();
    daemon_->wait_ready();
    for (const std::string& row : tables_.rows("SELECT id, url FROM sites"))
      id_of_[static_cast<std::uint32_t>(std::stoul(row.substr(row.find("//s") + 3)))] =
          std::stoull(row);
  }

  // Some sites begin to fail, some recover; and some time goes by.
  void stir() {
    const auto first = static_cast<std::uint32_t>(below(kSites));
    const auto last = std::min(kSites - 1, first + static_cast<std::uint32_t>(below(6)));
    const bool fails = below(100) < 55;
    fails ? fleet_->fault("status_500", first, last) : fleet_->clear(first, last);
    for (std::uint32_t site = first; site <= last; ++site)
      fails ? (void)failing_.insert(id_of_.at(site)) : (void)failing_.erase(id_of_.at(site));
    clock_.sleep_for(std::chrono::milliseconds(below(1500)));
  }

  void kill_engine() {
    promise();
    daemon_->kill();
    promise();  // What it kept at the last moment.
    daemon_->start();
    ++engine_kills;
  }

  // Away for a moment, so that some is kept; the engine may die meanwhile.
  void kill_database(bool engine_too) {
    promise();
    server_.kill();
    clock_.sleep_for(std::chrono::milliseconds(below(2500)));
    if (engine_too) {
      promise_journal();
      kill_engine_without_store();
    }
    server_.start_again();
    ++database_kills;
  }

  // Away until something is kept that was not there before; the engine dies with it.
  void kill_both_with_a_journal() {
    server_.kill();
    failing_.contains(id_of_.at(0)) ? fleet_->clear(0, 0) : fleet_->fault("status_500", 0, 0);
    failing_.contains(id_of_.at(0)) ? (void)failing_.erase(id_of_.at(0))
                                    : (void)failing_.insert(id_of_.at(0));
    ASSERT_TRUE(
        eventually([&] { return !promised_in_journal(daemon_->state_dir()).empty(); }, 60s));
    kill_engine_without_store();
    server_.start_again();
  }

  // All is well again and at rest: what was promised is there, and what is open is what fails.
  void check() {
    ASSERT_TRUE(eventually(
        [&] {
          return daemon_->get("/-/ready") == "ready\n" && tables_.sites_down() == failing_ &&
                 tables_.sites_with_open_event() == failing_;
        },
        60s))
        << "after " << engine_kills << " and " << database_kills << " kills\n"
        << daemon_->process().err();
    EXPECT_EQ(tables_.broken_laws(), "");
    const std::set<Promised> stored = tables_.transitions();
    for (const Promised& one : promised_) {
      EXPECT_TRUE(stored.contains(one))
          << "lost: site " << std::get<0>(one) << " event " << std::get<1>(one) << " transition "
          << std::get<2>(one) << " " << std::get<3>(one);
    }
    EXPECT_EQ(daemon_->metric("watchwheel_journal_set_aside"), 0);
    checked = stored.size();
  }

  [[nodiscard]] bool chance(std::uint64_t percent) { return below(100) < percent; }
  int engine_kills = 0;
  int database_kills = 0;
  std::size_t kept_seen = 0;  // Transitions found in the journal.
  std::size_t checked = 0;

 private:
  // What was committed, as far as it can be seen now.
  void promise() {
    promise_journal();
    promised_.merge(tables_.transitions());
  }
  void promise_journal() {
    std::set<Promised> kept = promised_in_journal(daemon_->state_dir());
    kept_seen += kept.size();
    promised_.merge(kept);
  }
  void kill_engine_without_store() {
    daemon_->kill();
    promise_journal();
    daemon_->start();
    ++engine_kills;
  }
  std::uint64_t below(std::uint64_t n) { return random_() % n; }

  std::mt19937_64 random_;
  core::SystemClock clock_;
  TempDir dir_;
  MariaDb server_;
  EventTables tables_;
  std::unique_ptr<FleetThread> fleet_;
  std::unique_ptr<DaemonUnderTest> daemon_;
  std::map<std::uint32_t, std::uint64_t> id_of_;  // Number in the fleet to id of the site.
  std::set<std::uint64_t> failing_;
  std::set<Promised> promised_;
};

// Goal: SIGKILL of engine or database at any moment loses nothing that was committed, in the store or in the journal, doubles
// nothing and leaves no gap; and what is open at the end is what fails.
TEST(EngineAndDatabaseCrash, LoseAndDoubleNothing) {
  const std::uint64_t seed = number_from_env("WATCHWHEEL_SEED", std::random_device{}());
  const auto times = static_cast<int>(number_from_env("WATCHWHEEL_CRASHES", 5));
  std::cout << "seed " << seed << " (WATCHWHEEL_SEED repeats it), " << times << " kills of each\n";
  Crashes crashes(seed);
  while (crashes.engine_kills < times || crashes.database_kills < times) {
    crashes.stir();
    if (crashes.engine_kills < times && (crashes.database_kills >= times || crashes.chance(50))) {
      crashes.kill_engine();
    } else {
      crashes.kill_database(crashes.engine_kills < times && crashes.chance(25));
    }
    if (crashes.chance(10)) crashes.check();
    if (HasFatalFailure() || HasFailure()) return;
  }
  crashes.check();
  if (HasFailure()) return;
  crashes.kill_both_with_a_journal();
  if (HasFailure()) return;
  crashes.check();
  EXPECT_GT(crashes.kept_seen, 0U);
  std::cout << "engine kills " << crashes.engine_kills << ", database kills "
            << crashes.database_kills << ", transitions stored " << crashes.checked
            << ", seen in the journal " << crashes.kept_seen << "\n";
}

}  // namespace
}  // namespace watchwheel::testing
