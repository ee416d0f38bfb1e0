// SPDX-License-Identifier: Apache-2.0
#include "world.h"

#include <algorithm>
#include <charconv>
#include <utility>

#include "core/ensure.h"

namespace watchwheel::sim {

using namespace std::chrono_literals;

class World::Notes final : public sideeffects::NoteSink {
 public:
  explicit Notes(core::SpscRing<core::SiteNote>& ring) : ring_(ring) {}
  bool offer(core::SiteNote&& note) override { return ring_.offer(std::move(note)); }

 private:
  core::SpscRing<core::SiteNote>& ring_;
};

World::World(const WorldSettings& settings, Network network)
    : settings_(settings), network_(std::move(network)) {
  for (std::size_t i = 0; i < core::kPriorityCount; ++i) {
    core::CheckOptions options;
    options.priority = static_cast<core::Priority>(i);
    options_[i] = std::make_shared<const core::CheckOptions>(options);
  }
  for (std::uint64_t site = 1; site <= settings_.sites; ++site)
    list_[site] = {.interval = settings_.interval};
  build();
  load();
}

World::~World() = default;

std::uint64_t World::site_of(std::string_view url) {
  std::uint64_t site = 0;
  if (!url.starts_with("http://s")) return 0;
  const std::string_view digits = url.substr(std::string_view("http://s").size());
  std::from_chars(digits.data(), digits.data() + digits.size(), site);
  return site;
}

void World::build() {
  inbox_ = std::make_unique<core::SpscRing<app::LaneMessage>>(1024);
  notes_ring_ = std::make_unique<core::SpscRing<core::SiteNote>>(64);
  marks_ = std::make_unique<core::SpscRing<core::FreshnessMark>>(256);
  mailbox_ = std::make_unique<app::ShardMailbox>(100'000);
  notes_ = std::make_unique<Notes>(*notes_ring_);
  prober_ = std::make_unique<FakeProber>(
      clock,
      [this](std::string_view url, core::SteadyTime now) {
        asked_[site_of(url)].push_back({now, clock.wall()});
        return network_(url, now);
      },
      [this](std::string_view url, core::Cause cause, core::SteadyTime) {
        results_[site_of(url)].push_back(cause);
      });
  app::LaneSettings lane;
  lane.tuning.confirm = settings_.confirm;
  lane.tuning.rollups = true;
  lane.admission.descriptors = 10'000;
  lane.admission.memory_bytes = 1ULL << 30U;
  lane.admission.in_flight_max = settings_.in_flight_max;
  lane.jitter_seed = 7;
  app::LanePorts ports{.inbox = inbox_.get(),
                       .notes = {notes_ring_.get()},
                       .shards = {{mailbox_.get(), [] {}}},
                       .marks = marks_.get(),
                       .vantage = settings_.failure_share > 0 ? &gate_ : nullptr};
  lane_ = std::make_unique<app::Lane>(lane, std::move(ports), clock.steady(), clock.wall());
  lane_->attach(*prober_);
  prober_->report_to(*lane_);
  gate_.publish({});
  canary_prober_ = std::make_unique<FakeProber>(clock, network_, [](std::string_view, core::Cause, core::SteadyTime) {});
  canary_prober_->set_in_flight_limit(100);
  vantage_ = std::make_unique<app::Vantage>(
      vantage_settings(), std::vector{&lane_->vantage_tally()}, gate_,
      [this](const sideeffects::VantageEvent& event) {
        if (faults_.empty() || faults_.back().started_at != event.started_at) faults_.emplace_back();
        faults_.back() = event;
      },
      log_, clock.steady(), clock.wall());
  core::WallTime group = core::kNoWallTime;
  core::WallTime newest = core::kNoWallTime;
  for (const testing::FakeEvent& event : store.events()) {
    if (event.ended() || event.row.group < std::max(group, core::WallTime{1ns})) continue;
    if (std::exchange(group, event.row.group) != event.row.group) newest = event.row.started_at;
    newest = std::max(newest, event.row.started_at);
  }
  if (group != core::kNoWallTime) vantage_->go_on_with(group, newest);
  vantage_->attach(*canary_prober_);
  canary_prober_->report_to(*vantage_);
  shard_ = std::make_unique<sideeffects::Shard>(sideeffects::ShardLimits{}, settings_.confirm,
                                                *mailbox_, store, *notes_, clock, 7);
  projector_ = std::make_unique<sideeffects::Projector>(sideeffects::ProjectorLimits{},
                                                        std::vector{marks_.get()}, sink, clock, 7, &gatherer);
}

app::VantageSettings World::vantage_settings() const {
  app::VantageSettings vantage;
  for (std::size_t i = 0; i < settings_.canaries; ++i)
    vantage.canaries.push_back("http://canary-" + std::to_string(i) + ".test/");
  if (settings_.failure_share > 0) vantage.failure_share = settings_.failure_share;
  return vantage;
}

void World::set_vantage(std::size_t canaries, double failure_share) {
  settings_.canaries = canaries;
  settings_.failure_share = failure_share;
  vantage_->set(vantage_settings());
}

void World::load() {
  for (const auto& [site, setup] : list_)
    put(site, setup.interval, setup.active, setup.priority);
  app::LaneMessage loaded;
  loaded.kind = app::LaneMessage::Kind::Loaded;
  send(std::move(loaded));
}

void World::kill_and_restart() {
  projector_.reset();
  shard_.reset();
  vantage_.reset();
  lane_.reset();
  build();
  load();
}

void World::send(app::LaneMessage&& message) {
  while (!inbox_->offer(std::move(message))) turn();
}

void World::put(std::uint64_t site, core::Duration interval, bool active,
                core::Priority priority, const std::string& path) {
  list_[site] = {interval, active, priority};
  app::LaneMessage message;
  message.kind = app::LaneMessage::Kind::Put;
  message.id = core::SiteId{site};
  message.url = url_of(site) + path;
  message.interval = interval;
  message.active = active;
  message.options = options_[static_cast<std::size_t>(priority)];
  message.open_event = store.open_of(message.id);
  if (!path.empty()) sink.forget(message.id);
  const auto marks = sink.marks();
  if (const auto mark = marks.find(message.id); mark != marks.end())
    message.last_checked_at = mark->second.checked_at;
  else if (settings_.known)
    message.last_checked_at = clock.wall() - 1min;
  send(std::move(message));
}

void World::remove(std::uint64_t site) {
  list_.erase(site);
  app::LaneMessage message;
  message.kind = app::LaneMessage::Kind::Remove;
  message.id = core::SiteId{site};
  send(std::move(message));
}

void World::post(core::SiteFacts facts) {
  const core::FactsKey seat = core::key_of(facts);
  mailbox_->post(seat, std::move(facts));
}

void World::turn() {
  const core::SteadyTime now = clock.steady();
  if (settings_.failure_share > 0) {
    canary_prober_->turn(now);
    vantage_->turn(now, clock.wall());
  }
  lane_->begin_turn(now, clock.wall());
  prober_->turn(now);
  lane_->turn(now, clock.wall());
  ENSURE(prober_->in_flight() <= lane_->admission().limit() ||
             prober_->most_in_flight() <= lane_->admission().ceiling(),
         "more in flight than admission allows");
  if (const auto at = shard_->next_turn(); at && *at <= now) (void)shard_->turn(now);
  if (projector_->next_turn() <= now) (void)projector_->turn(now);
}

void World::run_for(core::Duration how_long) {
  const core::SteadyTime end = clock.steady() + how_long;
  while (clock.steady() < end) {
    turn();
    const core::SteadyTime now = clock.steady();
    core::SteadyTime next = std::min(end, std::max(lane_->next_turn(now), now + 1ms));
    if (const auto answer = prober_->next()) next = std::min(next, *answer);
    if (settings_.failure_share > 0) {
      next = std::min(next, std::max(vantage_->next_turn(), now));
      if (const auto answer = canary_prober_->next()) next = std::min(next, *answer);
    }
    clock.advance(std::max(next - now, core::Duration{1ms}));
  }
}

void World::stall(core::Duration how_long) {
  clock.advance(how_long);
  lane_->note_loop_lag(how_long, clock.steady());
}

void World::settle() {
  for (int i = 0; i < 100'000 && !(shard_->idle() && projector_->idle()); ++i) {
    turn();
    clock.advance(10ms);
  }
}

}  // namespace watchwheel::sim
