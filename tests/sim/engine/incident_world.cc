// SPDX-License-Identifier: Apache-2.0
#include "incident_world.h"

#include <algorithm>
#include <utility>

#include "core/ensure.h"

namespace watchwheel::sim {

using core::Duration;
using core::SteadyTime;
using namespace std::chrono_literals;

namespace {

constexpr Duration kFollowEach = 1s;  // What people change is seen within a moment.
constexpr std::size_t kManyIncidents = 100'000;

template <typename T>
T must(core::Result<T> result) {
  ENSURE(result.has_value(), result.has_value() ? "" : result.error().message);
  return std::move(*result);
}
void must(const core::Result<void>& result) {
  ENSURE(result.has_value(), result.has_value() ? "" : result.error().message);
}

}  // namespace

IncidentWorld::IncidentWorld(IncidentSettings settings, Network network, Verifier verifier,
                             Receiver receiver)
    : settings_([&] {
        for (std::size_t i = 0; i < settings.sites.size(); ++i) {
          settings.sites[i].id = core::SiteId{i + 1};
          settings.sites[i].url = url_of(i + 1);
        }
        return std::move(settings);
      }()),
      network_(std::move(network)),
      verifier_(std::move(verifier)),
      receiver_(std::move(receiver)),
      targets_(settings_.targets) {
  store_ = must(db::open_store("sqlite://" + dir_.file("store.db")));
  (void)must(store_->migrate(false));
  catalog_ = must(store_->make_site_catalog());
  feed_ = must(store_->make_site_feed());
  delivery_log_ = must(store_->make_delivery_log());
  incident_log_ = must(store_->make_incident_log());
  windows_ = must(store_->make_maintenance_store());
  desk_ = must(store_->make_operator_desk());
  parents_ = must(store_->make_site_parents());
  (void)must(catalog_->upsert(settings_.sites));
  core::CheckOptions options;
  options.timeout = settings_.timeout;
  options.connect_timeout = std::min(options.connect_timeout, options.timeout);
  options_ = std::make_shared<const core::CheckOptions>(options);
  start();
}

IncidentWorld::~IncidentWorld() = default;

void IncidentWorld::start() {
  ++run_;
  process_ = std::make_unique<IncidentProcess>(Surroundings{.settings = settings_,
                                                            .targets = targets_,
                                                            .clock = clock,
                                                            .store = *store_,
                                                            .trouble = trouble_,
                                                            .network = network_,
                                                            .verifier = verifier_,
                                                            .receiver = receiver_,
                                                            .certificates = certificates_,
                                                            .vantage = [this] { return reading(); },
                                                            .record = record_},
                                               run_);
  load();
}

void IncidentWorld::die(Duration down_for) {
  process_.reset();
  trouble_.kill_after = 0;
  start_at_ = now() + down_for;
}

void IncidentWorld::kill(Duration down_for) {
  if (process_) die(down_for);
}

void IncidentWorld::kill_at_call(std::size_t calls, bool done, Duration down_for) {
  trouble_.kill_after = calls;
  trouble_.kill_done = done;
  die_for_ = down_for;
}

void IncidentWorld::stop(Duration down_for) {
  if (!process_) return;
  process_->close();
  run_for(2s);
  if (!process_) return;
  try {
    process_->abandon();
  } catch (const StoreTrouble::Killed&) {
  }
  die(down_for);
}

void IncidentWorld::watch(const core::KnownSite& known, bool removed) {
  app::LaneMessage message;
  message.kind = removed ? app::LaneMessage::Kind::Remove : app::LaneMessage::Kind::Put;
  message.id = known.record.id;
  message.url = known.record.url;
  message.interval = known.record.interval.value_or(settings_.interval);
  message.active = known.record.active;
  message.options = options_;
  message.open_event = known.open_event;
  message.last_checked_at = clock.wall() - 1s;  // Not hurried: the phase is what it always was.
  process_->put(std::move(message));
}

void IncidentWorld::load() {
  seen_ = must(feed_->newest_change());
  const db::SitePage page = must(feed_->load({}, 1000));
  for (const core::KnownSite& known : page.sites) watch(known, false);
  for (const core::KnownSite& known : must(feed_->removed_with_open_event(1000)))
    watch(known, true);
  app::LaneMessage loaded;
  loaded.kind = app::LaneMessage::Kind::Loaded;
  process_->put(std::move(loaded));
}

void IncidentWorld::follow_list() {
  if (now() < follow_at_ || trouble_.away) return;
  follow_at_ = now() + kFollowEach;
  for (const db::SiteChange& change : must(feed_->changes(seen_, 100))) {
    seen_ = change.seq;
    watch(change.known, change.removed);
  }
}

core::VantageGate::Reading IncidentWorld::reading() const {
  return {.state = vantage_,
          .reason = vantage_ == core::VantageState::Fault ? core::VantageReason::Network
                                                          : core::VantageReason::None,
          .cleared = now() - hold_,
          .blind_until = blind_until_,
          .group = vantage_ == core::VantageState::MassOutage ? group_ : core::kNoWallTime};
}

void IncidentWorld::set_vantage(core::VantageState state) {
  if (vantage_ == core::VantageState::Fault && state != vantage_) blind_until_ = now();
  if (state == core::VantageState::MassOutage)
    group_ = core::from_unix_ms(core::to_unix_ms(clock.wall()));
  vantage_ = state;
}

void IncidentWorld::turn() {
  if (!process_) {
    if (now() < start_at_ || trouble_.away) return;
    start();
  }
  try {
    follow_list();
    process_->turn();
  } catch (const StoreTrouble::Killed&) {
    die(die_for_);
  }
}

SteadyTime IncidentWorld::next_turn() const {
  if (!process_) return std::max(start_at_, now() + 100ms);
  return std::min(process_->next_turn(), std::max(follow_at_, now() + 1ms));
}

void IncidentWorld::run_for(Duration how_long) {
  const SteadyTime end = now() + how_long;
  while (now() < end) {
    turn();
    const SteadyTime next = std::min(end, std::max(next_turn(), now() + 1ms));
    clock.advance(std::max<Duration>(next - now(), 1ms));
  }
}

void IncidentWorld::set_active(std::uint64_t site, bool active) {
  const core::SiteId id{site};
  (void)must(catalog_->set_active({&id, 1}, active));
}

void IncidentWorld::remove(std::uint64_t site) {
  const core::SiteId id{site};
  (void)must(catalog_->remove({&id, 1}));
  if (record_.kinships.empty()) return;
  Kinship left{.at = now(), .parents = record_.kinships.back().parents};
  left.parents.erase(site);
  for (auto& [child, parents] : left.parents) parents.erase(site);
  std::erase_if(left.parents, [](const auto& entry) { return entry.second.empty(); });
  record_.kinships.push_back(std::move(left));
}

bool IncidentWorld::depend(std::uint64_t site, const std::set<std::uint64_t>& parents) {
  db::Parentage wanted{.site = core::SiteId{site}, .parents = {}};
  for (const std::uint64_t parent : parents) wanted.parents.push_back(core::SiteId{parent});
  const auto done = parents_->set({&wanted, 1});
  if (!done && done.error().kind == core::ErrorKind::Invalid) return false;
  (void)must(done);
  Kinship kinship{.at = now(), .parents = {}};
  if (!record_.kinships.empty()) kinship.parents = record_.kinships.back().parents;
  kinship.parents.erase(site);
  if (!parents.empty()) kinship.parents[site] = parents;
  record_.kinships.push_back(std::move(kinship));
  return true;
}

std::map<std::uint64_t, std::set<std::uint64_t>> IncidentWorld::parents() {
  std::map<std::uint64_t, std::set<std::uint64_t>> all;
  for (const db::Parentage& one : must(parents_->list({}, core::SiteId{1000})))
    for (const core::SiteId parent : one.parents) all[one.site.value].insert(parent.value);
  return all;
}

core::SiteRecord IncidentWorld::record(std::uint64_t site) {
  return must(catalog_->get(core::SiteId{site})).record;
}

void IncidentWorld::edit(const core::SiteRecord& record) {
  (void)must(catalog_->upsert({&record, 1}));
}

sideeffects::MaintenanceId IncidentWorld::announce(const sideeffects::MaintenanceWindow& window) {
  return must(windows_->add(window));
}

void IncidentWorld::withdraw(sideeffects::MaintenanceId window) {
  must(windows_->remove(window));
}

std::uint64_t IncidentWorld::requeue_dead() {
  return must(delivery_log_->requeue_all({.dead = true, .target = {}}, Duration{}));
}

std::optional<sideeffects::RequestId> IncidentWorld::act(core::EventId event, sideeffects::Act act,
                                                         bool again) {
  const std::string who = "person " + std::to_string(record_.acts.size() + 1);
  const sideeffects::OperatorRequest request{
      .by = {.request = {}, .act = act, .who = who, .why = "because", .source = "api"},
      .event = event,
      .key = who};
  const auto asked = desk_->ask(request);
  if (!asked) return std::nullopt;
  if (again) ENSURE(must(desk_->ask(request)) == *asked, "what is asked twice is one request");
  record_.acts.push_back({now(), *asked, event, act, who});
  return *asked;
}

sideeffects::RequestOutcome IncidentWorld::outcome(sideeffects::RequestId request) {
  return must(desk_->outcome(request));
}

std::size_t IncidentWorld::flapping() {
  return must(must(store_->make_flapping_store())->flapping()).size();
}

std::vector<db::Incident> IncidentWorld::open_incidents() {
  db::IncidentFilter filter;
  filter.open_only = true;
  return must(incident_log_->list(filter, 0, kManyIncidents));
}

void IncidentWorld::set_targets(const sideeffects::NotifyTargets& targets) {
  targets_ = targets;
  if (process_) process_->set_targets(targets);
}

std::vector<db::Incident> IncidentWorld::incidents() {
  std::vector<db::Incident> all = must(incident_log_->list({}, 0, kManyIncidents));
  std::sort(all.begin(), all.end(), [](const db::Incident& a, const db::Incident& b) {
    return std::pair(a.site.value, a.id.value) < std::pair(b.site.value, b.id.value);
  });
  return all;
}

std::vector<db::DeliveryRecord> IncidentWorld::deliveries(bool dead) {
  return must(delivery_log_->list({.dead = dead, .target = {}}, kManyIncidents));
}

std::vector<sideeffects::Message> IncidentWorld::dead_letters() {
  std::vector<sideeffects::Message> messages;
  for (const db::DeliveryRecord& record : deliveries(true))
    messages.push_back(
        must(sideeffects::decode_message(must(delivery_log_->find(record.id)).value().body)));
  return messages;
}

std::uint64_t IncidentWorld::notices_waiting() {
  return must(must(store_->make_outbox())->level()).waiting;
}

bool IncidentWorld::idle() const {
  return process_ && process_->idle();
}

const app::Lane& IncidentWorld::lane() const {
  return process_->lane();
}

}  // namespace watchwheel::sim
