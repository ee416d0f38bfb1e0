// SPDX-License-Identifier: Apache-2.0
// incident_world.h - from a check to whoever is told, on one thread and in virtual time: the real lane, shard, router, delivery
// worker and maintenance windows on a real embedded store; sites, verifiers and receivers as a script says.
//
// The process can die at any call to its store, before or after it was done, and is started again on the same file. What the
// receivers were sent, what the verifiers said, what the lane was told and what was committed is written down outside of it.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "app/lane.h"
#include "core/clock.h"
#include "core/vantage.h"
#include "db/store.h"
#include "fake_prober.h"
#include "sideeffects/delivery_worker.h"
#include "sideeffects/notice_router.h"
#include "sideeffects/shard.h"
#include "sideeffects/warning_keeper.h"
#include "store_time.h"
#include "support/temp_dir.h"

namespace watchwheel::sim {

// What one verifier says when it is asked about `url`; Saw::Silent: nothing, ever.
struct VerifierWord {
  core::Saw saw = core::Saw::Silent;
  core::Duration after = std::chrono::milliseconds{200};
};
using Verifier =
    std::function<VerifierWord(std::size_t seat, std::string_view url, core::SteadyTime now)>;

struct ReceiverWord {
  sideeffects::SendResult result{.outcome = sideeffects::SendOutcome::Delivered, .status = 200};
  core::Duration after = std::chrono::milliseconds{20};
};
using Receiver =
    std::function<ReceiverWord(const sideeffects::Attempt& attempt, core::SteadyTime now)>;

struct IncidentSettings {
  std::vector<core::SiteRecord> sites;  // Their ids are given here, from 1.
  core::Duration interval = std::chrono::seconds{60};
  core::Duration timeout = std::chrono::seconds{10};
  core::ConfirmPolicy confirm;
  std::size_t verifiers = 0;
  sideeffects::NotifyTargets targets;
  bool gate = false;  // Failures wait for the vantage's word, as set_vantage() says.
  std::uint64_t seed = 1;
};

// One result, as it was handed to the lane.
struct Checked {
  core::SteadyTime began;
  core::SteadyTime ended;
  core::WallTime wall;  // When it ended.
  core::Cause cause = core::Cause::Ok;
  int run = 0;        // Of which process.
  bool ours = false;  // The vantage was in a fault when it ended, or it began in one.
};
// One attempt, as the receiver saw it.
struct Sent {
  core::SteadyTime at;
  core::WallTime wall;
  core::SteadyTime answered_at;
  std::string target;
  std::string id;
  std::uint32_t number = 0;
  sideeffects::Message message;
  sideeffects::SendOutcome outcome = sideeffects::SendOutcome::NotSent;
  bool heard = false;  // The process lived to hear the answer.
  int run = 0;
};
struct Testified {
  core::SteadyTime at;
  std::string url;
  std::size_t seat = 0;
  core::Saw saw = core::Saw::Silent;
};
struct Committed {
  core::SteadyTime at;
  core::SiteId site;
  core::WallTime started_at;
  sideeffects::TransitionRecord transition;
};

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
  sideeffects::MaintenanceId announce(const sideeffects::MaintenanceWindow& window);
  void withdraw(sideeffects::MaintenanceId window);
  std::uint64_t requeue_dead();
  void set_targets(const sideeffects::NotifyTargets& targets);

  // ---- What came of it.
  [[nodiscard]] std::vector<db::Incident> incidents();  // By site, then start.
  [[nodiscard]] std::vector<db::DeliveryRecord> deliveries(bool dead);
  [[nodiscard]] std::vector<sideeffects::Message> dead_letters();
  [[nodiscard]] std::uint64_t notices_waiting();
  [[nodiscard]] bool idle() const;
  [[nodiscard]] const app::Lane& lane() const;
  [[nodiscard]] const std::vector<Checked>& checked(std::uint64_t site) { return checked_[site]; }
  [[nodiscard]] const std::vector<Sent>& sent() const { return sent_; }
  [[nodiscard]] const std::vector<Testified>& testified() const { return testified_; }
  [[nodiscard]] const std::vector<Committed>& committed() const { return committed_; }
  [[nodiscard]] const std::vector<std::string>& warnings() const { return warnings_; }
  [[nodiscard]] const IncidentSettings& settings() const { return settings_; }

  core::ManualClock clock;

  static std::string url_of(std::uint64_t site) {
    return "http://s" + std::to_string(site) + ".test/";
  }

 private:
  struct Process;
  struct Killed {};
  // What goes wrong between a process and its store.
  struct Trouble {
    bool away = false;
    std::uint32_t lose_every = 0;
    std::uint64_t calls = 0;
    std::size_t kill_after = 0;  // 0: it lives.
    bool kill_done = false;
    // Called before a call is made and when it was; an error is what the caller gets.
    std::optional<core::Error> before();
    std::optional<core::Error> after();
    bool lost = false;
  };

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
  Trouble trouble_;
  core::Duration die_for_{};
  core::SteadyTime start_at_ = core::kNoSteadyTime;
  std::unique_ptr<Process> process_;
  int run_ = 0;
  std::shared_ptr<const core::CheckOptions> options_;
  core::ChangeSeq seen_;
  core::SteadyTime follow_at_ = core::kNoSteadyTime;
  core::VantageState vantage_ = core::VantageState::Healthy;
  core::Duration hold_{};
  core::SteadyTime blind_until_ = core::kNoSteadyTime;
  core::WallTime group_ = core::kNoWallTime;
  std::map<std::uint64_t, core::WallTime> certificates_;
  std::map<std::uint64_t, std::vector<Checked>> checked_;
  std::vector<Sent> sent_;
  std::vector<Testified> testified_;
  std::vector<Committed> committed_;
  std::vector<std::string> warnings_;
};

}  // namespace watchwheel::sim
