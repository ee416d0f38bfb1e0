// SPDX-License-Identifier: Apache-2.0
#include "incident_process.h"

#include <algorithm>
#include <charconv>
#include <optional>
#include <utility>

#include "core/ensure.h"
#include "db/site_parents.h"

namespace watchwheel::sim {

using core::SteadyTime;

namespace {

std::uint64_t site_of(std::string_view url) {
  std::uint64_t site = 0;
  const std::size_t begin = std::string_view("http://s").size();
  if (url.size() > begin) std::from_chars(url.data() + begin, url.data() + url.size(), site);
  return site;
}

template <typename T>
T must(core::Result<T> result) {
  ENSURE(result.has_value(), result.has_value() ? "" : result.error().message);
  return std::move(*result);
}

app::LaneSettings lane_settings(const IncidentSettings& settings) {
  app::LaneSettings lane;
  lane.tuning.confirm = settings.confirm;
  lane.admission.descriptors = 10'000;
  lane.admission.memory_bytes = 1ULL << 30U;
  lane.jitter_seed = settings.seed;
  return lane;
}

std::shared_ptr<const sideeffects::NotifyTargets> shared(
    const sideeffects::NotifyTargets& targets) {
  return std::make_shared<const sideeffects::NotifyTargets>(targets);
}

}  // namespace

IncidentProcess::IncidentProcess(const Surroundings& around, int run)
    : clock_(around.clock),
      vantage_(around.vantage),
      certificates_(around.certificates),
      record_(around.record),
      prober_(
          around.clock,
          [&network = around.network](std::string_view url, SteadyTime now) {
            return network(url, now);
          },
          [this, run](std::string_view url, core::Cause cause, SteadyTime started) {
            const core::VantageGate::Reading reading = vantage_();
            record_.checked[site_of(url)].push_back(
                {.began = started,
                 .ended = now(),
                 .wall = clock_.wall(),
                 .cause = cause,
                 .run = run,
                 .ours =
                     reading.state == core::VantageState::Fault || started < reading.blind_until});
            if (cause == core::Cause::Ok) note_success(site_of(url));
          }),
      lane_(lane_settings(around.settings),
            {.inbox = &inbox_,
             .notes = {&notes_ring_},
             .shards = {{&mailbox_, [] {}}},
             .marks = &marks_,
             .vantage = around.settings.gate ? &gate_ : nullptr},
            now(), clock_.wall()),
      events_(
          around.trouble, must(around.store.make_event_store()),
          [this](std::span<const sideeffects::EventWrite> writes) { record_.note(writes, now()); },
          [this] { router_at_ = now(); }),
      panel_(around.verifier, around.clock, around.settings.verifiers, around.record.testified),
      shard_({}, around.settings.confirm, mailbox_, events_, notes_, around.clock,
             around.settings.seed),
      desk_(around.trouble, must(around.store.make_operator_desk())),
      notices_(around.trouble, must(around.store.make_outbox())),
      queue_(around.trouble, must(around.store.make_delivery_queue())),
      windows_(around.trouble, must(around.store.make_maintenance_store())),
      flapping_(around.trouble, must(around.store.make_flapping_store())),
      parents_(around.trouble, must(around.store.make_site_parents()),
               [this](bool answered) { record_.asked_for_kin.push_back({now(), answered}); }),
      warned_(around.trouble, must(around.store.make_warning_store())),
      holds_({.flapping = around.settings.flapping,
              .interval = around.settings.interval,
              .warn = [this](const std::string& line) { record_.warnings.push_back(line); }},
             {.windows = windows_,
              .parents = around.settings.parents ? &parents_ : nullptr,
              .flapping = &flapping_},
             around.clock),
      receivers_(around.receiver, around.clock, run, around.record.sent),
      router_at_(now()),
      worker_at_(now()),
      keeper_at_(now()),
      keeper_(keeper_settings(), warned_, around.clock),
      worker_(worker_settings(run), queue_, receivers_, shared(around.targets), around.clock,
              around.settings.seed + static_cast<std::uint64_t>(run)),
      router_(router_settings(), notices_, shared(around.targets), around.clock,
              around.settings.seed + 1 + static_cast<std::uint64_t>(run)) {
  lane_.attach(prober_);
  prober_.report_to(lane_);
  shard_.attach(desk_);
  if (around.settings.verifiers > 0) shard_.attach(panel_);
}

sideeffects::DeliveryWorker::Settings IncidentProcess::worker_settings(int run) {
  sideeffects::DeliveryWorker::Settings settings;
  settings.claimer = {.node = "simulated", .run = static_cast<std::uint64_t>(run)};
  settings.wake = [this] { worker_at_ = now(); };
  settings.warn = [this](const std::string& line) { record_.warnings.push_back(line); };
  return settings;
}

sideeffects::NoticeRouter::Settings IncidentProcess::router_settings() {
  sideeffects::NoticeRouter::Settings settings;
  settings.warnings_later = std::chrono::seconds{30};  // Histories are short.
  holds_.join(settings);
  settings.delivered = [this] {
    worker_.note_new();
    worker_at_ = now();
  };
  settings.warn = [this](const std::string& line) { record_.warnings.push_back(line); };
  return settings;
}

sideeffects::WarningKeeper::Settings IncidentProcess::keeper_settings() {
  using namespace std::chrono_literals;
  sideeffects::WarningKeeper::Settings settings;
  // Histories are short.
  settings.calm = 1min;
  settings.calm_wavering = 3min;
  settings.wake = [this] { keeper_at_ = now(); };
  settings.warn = [this](const std::string& line) { record_.warnings.push_back(line); };
  return settings;
}

// As if each success were projected.
void IncidentProcess::note_success(std::uint64_t site) {
  const auto known = certificates_.find(site);
  if (known == certificates_.end()) return;
  core::FreshnessMark mark;
  mark.site = core::SiteId{site};
  mark.checked_at = clock_.wall();
  mark.cert_not_after = known->second;
  keeper_.note({&mark, 1});
}

void IncidentProcess::turn() {
  const SteadyTime at = now();
  gate_.publish(vantage_());
  lane_.begin_turn(at, clock_.wall());
  prober_.turn(at);
  lane_.turn(at, clock_.wall());
  core::FreshnessMark mark;
  while (marks_.take(mark)) {
  }
  const auto answer = panel_.next();
  const auto due = shard_.next_turn();
  if ((due && *due <= at) || (answer && *answer <= at)) (void)shard_.turn(at);
  if (router_at_ <= at) {
    router_at_ = SteadyTime::max();
    router_.turn(at);
    router_at_ = std::min(router_at_, router_.next_turn().value_or(SteadyTime::max()));
  }
  if (keeper_at_ <= at) {
    keeper_at_ = SteadyTime::max();
    keeper_.turn(at);
    keeper_at_ = std::min(keeper_at_, keeper_.next_turn().value_or(SteadyTime::max()));
  }
  receivers_.turn();
  if (worker_at_ <= at) {
    worker_at_ = SteadyTime::max();
    worker_.turn(at);
    worker_at_ = std::min(worker_at_, worker_.next_turn().value_or(SteadyTime::max()));
  }
}

SteadyTime IncidentProcess::next_turn() const {
  SteadyTime next = std::min({lane_.next_turn(now()), router_at_, worker_at_, keeper_at_});
  for (const auto& other : {prober_.next(), panel_.next(), shard_.next_turn(), receivers_.next()})
    if (other) next = std::min(next, *other);
  return next;
}

bool IncidentProcess::idle() const {
  return shard_.idle() && worker_.idle() && lane_.attention().size() == 0;
}

void IncidentProcess::put(app::LaneMessage message) {
  ENSURE(inbox_.offer(std::move(message)), "a handful of sites fits");
}

void IncidentProcess::set_targets(const sideeffects::NotifyTargets& targets) {
  const auto both = shared(targets);
  router_.set_targets(both);
  worker_.set_targets(both);
  worker_at_ = now();
}

void IncidentProcess::close() {
  lane_.close_admission();
  worker_.drain();
}

}  // namespace watchwheel::sim
