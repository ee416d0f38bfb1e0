// SPDX-License-Identifier: Apache-2.0
// incident_process.h - one process of a simulated life of incidents: the real lane, shard, router, delivery worker and watches, on roads
// to its store that may fail, and with others as a script has them. What it had in memory goes with it.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string_view>
#include <vector>

#include "app/lane.h"
#include "core/flapping.h"
#include "core/pinned.h"
#include "core/vantage.h"
#include "db/store.h"
#include "fake_prober.h"
#include "incident_others.h"
#include "incident_record.h"
#include "incident_store.h"
#include "sideeffects/delivery_worker.h"
#include "sideeffects/holds.h"
#include "sideeffects/note_sink.h"
#include "sideeffects/notice_router.h"
#include "sideeffects/shard.h"
#include "sideeffects/warning_keeper.h"

namespace watchwheel::sim {

struct IncidentSettings {
  std::vector<core::SiteRecord> sites;  // Their ids are given here, from 1.
  core::Duration interval = std::chrono::seconds{60};
  core::Duration timeout = std::chrono::seconds{10};
  core::ConfirmPolicy confirm;
  std::size_t verifiers = 0;
  sideeffects::NotifyTargets targets;
  bool parents = false;  // Sites may depend on others.
  core::FlapPolicy flapping{.low = 25, .high = 100};  // 100: no site ever flaps.
  bool gate = false;  // Failures wait for the vantage's word, as set_vantage() says.
  std::uint64_t seed = 1;
};

// What is around a process, and outlives it.
struct Surroundings {
  const IncidentSettings& settings;
  const sideeffects::NotifyTargets& targets;
  const core::Clock& clock;
  db::Store& store;
  StoreTrouble& trouble;
  const Network& network;
  const Verifier& verifier;
  const Receiver& receiver;
  // When the certificate ends that a site shows with each success, by id.
  const std::map<std::uint64_t, core::WallTime>& certificates;
  std::function<core::VantageGate::Reading()> vantage;
  IncidentRecord& record;
};

class LaneNotes final : public sideeffects::NoteSink {
 public:
  explicit LaneNotes(core::SpscRing<core::SiteNote>& ring) : ring_(ring) {}
  bool offer(core::SiteNote&& note) override { return ring_.offer(std::move(note)); }

 private:
  core::SpscRing<core::SiteNote>& ring_;
};

class IncidentProcess : core::Pinned {
 public:
  // `run`: which process this is, from 1.
  IncidentProcess(const Surroundings& around, int run);

  void turn();
  [[nodiscard]] core::SteadyTime next_turn() const;
  [[nodiscard]] bool idle() const;

  void put(app::LaneMessage message);
  void set_targets(const sideeffects::NotifyTargets& targets);
  // It is asked to end: nothing new is begun …
  void close();
  // … and what is under way is given back.
  void abandon() { worker_.abandon(); }

  [[nodiscard]] const app::Lane& lane() const { return lane_; }

 private:
  [[nodiscard]] core::SteadyTime now() const { return clock_.steady(); }
  [[nodiscard]] sideeffects::DeliveryWorker::Settings worker_settings(int run);
  [[nodiscard]] sideeffects::NoticeRouter::Settings router_settings();
  [[nodiscard]] sideeffects::WarningKeeper::Settings keeper_settings();
  void note_success(std::uint64_t site);

  const core::Clock& clock_;
  const std::function<core::VantageGate::Reading()> vantage_;
  const std::map<std::uint64_t, core::WallTime>& certificates_;
  IncidentRecord& record_;
  core::SpscRing<app::LaneMessage> inbox_{1024};
  core::SpscRing<core::SiteNote> notes_ring_{64};
  core::SpscRing<core::FreshnessMark> marks_{1024};
  app::ShardMailbox mailbox_{10'000};
  core::VantageGate gate_;
  LaneNotes notes_{notes_ring_};
  FakeProber prober_;
  app::Lane lane_;
  EventRoad events_;
  Panel panel_;
  sideeffects::Shard shard_;
  DeskRoad desk_;
  NoticeRoad notices_;
  QueueRoad queue_;
  WindowRoad windows_;
  FlappingRoad flapping_;
  ParentRoad parents_;
  WarningRoad warned_;
  sideeffects::Holds holds_;
  Receivers receivers_;
  core::SteadyTime router_at_;
  core::SteadyTime worker_at_;
  core::SteadyTime keeper_at_;
  sideeffects::WarningKeeper keeper_;
  sideeffects::DeliveryWorker worker_;
  sideeffects::NoticeRouter router_;
};

}  // namespace watchwheel::sim
