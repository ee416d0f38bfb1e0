// SPDX-License-Identifier: Apache-2.0
// world.h - the whole engine on one thread: virtual clock, false network, store in memory, faults
// when the test says so.
//
// It holds the real Lane, Shard and Projector and the rings between them; what it leaves out are
// the threads, the real checker and the real store. At every result it also runs the simplest
// possible judge, and at the end both must agree.
#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "app/lane.h"
#include "app/vantage.h"
#include "core/clock.h"
#include "fake_prober.h"
#include "sideeffects/projector.h"
#include "sideeffects/shard.h"
#include "silent_log.h"
#include "support/fake_store.h"

namespace watchwheel::sim {

// What one site went through, as seen by the network: every time it was asked and what it answered.
struct Asked {
  core::SteadyTime at;
  core::WallTime wall;
};

struct WorldSettings {
  std::uint32_t sites = 1;
  core::Duration interval = std::chrono::seconds{60};
  core::ConfirmPolicy confirm;
  std::size_t in_flight_max = 0;
  // The vantage's judge is there, with these canaries and this share; 0: every failure is its site's.
  std::size_t canaries = 0;
  double failure_share = 0;
  bool known = false;  // Sites that no mark tells of were checked before, by somebody else: they are not hurried.
};

class World {
 public:
  World(const WorldSettings& settings, Network network);
  ~World();

  void run_for(core::Duration how_long);
  // Nothing of the lane runs while time passes: a stopped process, a starved one.
  void stall(core::Duration how_long);
  // The process dies with all it had in memory and starts again on the same store.
  void kill_and_restart();

  // With a path the URL is another than before: every site starts without one.
  void put(std::uint64_t site, core::Duration interval, bool active = true,
           core::Priority priority = core::Priority::Normal, const std::string& path = "");
  void remove(std::uint64_t site);

  // Facts as another lane would post them.
  void post(core::SiteFacts facts);

  core::ManualClock clock;
  testing::FakeEventStore store;
  testing::FakeFreshnessSink sink;
  sideeffects::ResponseGatherer gatherer{1};  // A kill leaves it alone: what it held is a test of its own.

  [[nodiscard]] const std::vector<Asked>& asked(std::uint64_t site) { return asked_[site]; }
  // The causes of the results that reached the lane, in their order.
  [[nodiscard]] const std::vector<core::Cause>& results(std::uint64_t site) {
    return results_[site];
  }
  [[nodiscard]] const app::Lane& lane() const { return *lane_; }
  // Canary N is http://canary-N.test/; they are asked from a place of their own, which knows the network by `url` as the lane does.
  [[nodiscard]] const app::Vantage& vantage() const { return *vantage_; }
  [[nodiscard]] const std::vector<sideeffects::VantageEvent>& faults() const { return faults_; }
  void set_vantage(std::size_t canaries, double failure_share);
  [[nodiscard]] const FakeProber& prober() const { return *prober_; }
  [[nodiscard]] const WorldSettings& settings() const { return settings_; }
  // Lets the shard and the projector finish what they have.
  void settle();

  static std::string url_of(std::uint64_t site) {
    return "http://s" + std::to_string(site) + ".test/";
  }
  static std::uint64_t site_of(std::string_view url);  // 0: a canary.

 private:
  class Notes;
  void build();
  void load();
  void turn();
  void send(app::LaneMessage&& message);

  [[nodiscard]] app::VantageSettings vantage_settings() const;

  WorldSettings settings_;
  Network network_;
  struct Listed {
    core::Duration interval{};
    bool active = true;
    core::Priority priority = core::Priority::Normal;
  };
  std::map<std::uint64_t, Listed> list_;  // The site list.
  std::map<std::uint64_t, std::vector<Asked>> asked_;
  std::map<std::uint64_t, std::vector<core::Cause>> results_;
  std::array<std::shared_ptr<const core::CheckOptions>, core::kPriorityCount> options_;

  std::unique_ptr<core::SpscRing<app::LaneMessage>> inbox_;
  std::unique_ptr<core::SpscRing<core::SiteNote>> notes_ring_;
  std::unique_ptr<core::SpscRing<core::FreshnessMark>> marks_;
  std::unique_ptr<app::ShardMailbox> mailbox_;
  std::unique_ptr<Notes> notes_;
  std::unique_ptr<FakeProber> prober_;
  std::unique_ptr<app::Lane> lane_;
  core::VantageGate gate_;
  std::unique_ptr<FakeProber> canary_prober_;
  std::unique_ptr<app::Vantage> vantage_;
  std::vector<sideeffects::VantageEvent> faults_;  // By start, each as it was told last.
  testing::SilentLog log_;
  std::unique_ptr<sideeffects::Shard> shard_;
  std::unique_ptr<sideeffects::Projector> projector_;
};

}  // namespace watchwheel::sim
