// SPDX-License-Identifier: Apache-2.0
// incident_world.h - from a check to whoever is told, on one thread and in virtual time: the real lane, shard, router, delivery
// worker and maintenance windows on a real embedded store; sites, verifiers and receivers as a script says.
//
// The process can die at any call to its store, before or after it was done, and is started again on the same file. What the
// receivers were sent, what the verifiers said, what the lane was told and what was committed is written down outside of it.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "core/clock.h"
#include "core/vantage.h"
#include "db/site_parents.h"
#include "db/store.h"
#include "incident_process.h"
#include "store_time.h"
#include "support/temp_dir.h"

namespace watchwheel::sim {

class IncidentWorld {
 public:
  IncidentWorld(IncidentSettings settings, Network network, Verifier verifier, Receiver receiver);
  ~IncidentWorld();

  void run_for(core::Duration how_long);
  [[nodiscard]] core::SteadyTime now() const { return clock.steady(); }

  // ---- The process.
  // Dies now, with all that it had in memory, and is started again after `down_for`.
  void kill(core::Duration down_for);
  // Dies at its so many'th next call to the store, before it or when it is done.
  void kill_at_call(std::size_t calls, bool done, core::Duration down_for);
  // Ends as it is asked to.
  void stop(core::Duration down_for);
  [[nodiscard]] int runs() const { return run_; }
  [[nodiscard]] bool kill_is_due() const { return trouble_.kill_after != 0; }

  // ---- Its store.
  void set_store_away(bool away) { trouble_.away = away; }
  // Of its answers every n-th is lost, half of them after it was done. 0: none.
  void lose_answers(std::uint32_t every) { trouble_.lose_every = every; }

  // ---- Its place. A fault of ours; or many fail together and it is real; and how long a failure waits when all is well.
  void set_vantage(core::VantageState state);
  void set_hold(core::Duration hold) { hold_ = hold; }

  // ---- Its sites. When the certificate ends that this one shows with each success from now on; until the first call it shows none.
  void set_certificate(std::uint64_t site, core::Duration left) {
    certificates_[site] = clock.wall() + left;
  }

  // ---- People.
  void set_active(std::uint64_t site, bool active);
  void remove(std::uint64_t site);
  void edit(const core::SiteRecord& record);
  [[nodiscard]] core::SiteRecord record(std::uint64_t site);
  // Replaces on whom it depends. False: refused, for it would be a circle or there is no such parent; nothing is changed.
  bool depend(std::uint64_t site, const std::set<std::uint64_t>& parents);
  sideeffects::MaintenanceId announce(const sideeffects::MaintenanceWindow& window);
  void withdraw(sideeffects::MaintenanceId window);
  std::uint64_t requeue_dead();
  // Asked twice when `again`, as by a client that had no answer. Nothing: the event is over.
  std::optional<sideeffects::RequestId> act(core::EventId event, sideeffects::Act act, bool again);
  void set_targets(const sideeffects::NotifyTargets& targets);

  // ---- What came of it.
  [[nodiscard]] std::vector<db::Incident> incidents();  // By site, then start.
  [[nodiscard]] std::vector<db::Incident> open_incidents();
  [[nodiscard]] sideeffects::RequestOutcome outcome(sideeffects::RequestId request);
  [[nodiscard]] const std::vector<AskedAct>& acts() const { return record_.acts; }
  [[nodiscard]] std::size_t flapping();  // Sites of which somebody was told so.
  [[nodiscard]] std::vector<db::DeliveryRecord> deliveries(bool dead);
  [[nodiscard]] std::vector<sideeffects::Message> dead_letters();
  [[nodiscard]] std::uint64_t notices_waiting();
  [[nodiscard]] bool idle() const;
  [[nodiscard]] const app::Lane& lane() const;
  [[nodiscard]] const std::vector<Checked>& checked(std::uint64_t site) {
    return record_.checked[site];
  }
  [[nodiscard]] const std::vector<Sent>& sent() const { return record_.sent; }
  [[nodiscard]] const std::vector<Testified>& testified() const { return record_.testified; }
  [[nodiscard]] const std::vector<Committed>& committed() const { return record_.committed; }
  // On whom each site depends, as it was at each change and as the store has it.
  [[nodiscard]] const std::vector<Kinship>& kinships() const { return record_.kinships; }
  [[nodiscard]] std::map<std::uint64_t, std::set<std::uint64_t>> parents();
  [[nodiscard]] const std::vector<AskedForKin>& asked_for_kin() const {
    return record_.asked_for_kin;
  }
  [[nodiscard]] const std::vector<std::string>& warnings() const { return record_.warnings; }
  [[nodiscard]] const IncidentSettings& settings() const { return settings_; }

  core::ManualClock clock;

  static std::string url_of(std::uint64_t site) {
    return "http://s" + std::to_string(site) + ".test/";
  }

 private:
  void start();
  void die(core::Duration down_for);
  void turn();
  [[nodiscard]] core::SteadyTime next_turn() const;
  void load();
  void follow_list();
  void watch(const core::KnownSite& known, bool removed);
  [[nodiscard]] core::VantageGate::Reading reading() const;

  const IncidentSettings settings_;
  const Network network_;
  const Verifier verifier_;
  const Receiver receiver_;
  sideeffects::NotifyTargets targets_;
  testing::TempDir dir_;
  StoreTime store_time_{clock};
  std::unique_ptr<db::Store> store_;
  std::unique_ptr<db::SiteCatalog> catalog_;
  std::unique_ptr<db::SiteFeed> feed_;
  std::unique_ptr<db::DeliveryLog> delivery_log_;
  std::unique_ptr<db::IncidentLog> incident_log_;
  std::unique_ptr<sideeffects::MaintenanceStore> windows_;
  std::unique_ptr<sideeffects::OperatorDesk> desk_;
  std::unique_ptr<db::SiteParents> parents_;
  StoreTrouble trouble_;
  core::Duration die_for_{};
  core::SteadyTime start_at_ = core::kNoSteadyTime;
  std::unique_ptr<IncidentProcess> process_;
  int run_ = 0;
  std::shared_ptr<const core::CheckOptions> options_;
  core::ChangeSeq seen_;
  core::SteadyTime follow_at_ = core::kNoSteadyTime;
  core::VantageState vantage_ = core::VantageState::Healthy;
  core::Duration hold_{};
  core::SteadyTime blind_until_ = core::kNoSteadyTime;
  core::WallTime group_ = core::kNoWallTime;
  std::map<std::uint64_t, core::WallTime> certificates_;
  IncidentRecord record_;
};

}  // namespace watchwheel::sim
