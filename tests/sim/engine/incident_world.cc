// SPDX-License-Identifier: Apache-2.0
#include "incident_world.h"

#include <algorithm>
#include <charconv>
#include <queue>
#include <utility>

#include "core/ensure.h"
#include "sideeffects/holds.h"

namespace watchwheel::sim {

using core::Duration;
using core::SteadyTime;
using namespace std::chrono_literals;

namespace {

constexpr Duration kFollowEach = 1s;  // What people change is seen within a moment.
constexpr std::size_t kManyIncidents = 100'000;

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
void must(const core::Result<void>& result) {
  ENSURE(result.has_value(), result.has_value() ? "" : result.error().message);
}

}  // namespace

std::optional<core::Error> IncidentWorld::Trouble::before() {
  lost = false;
  ++calls;
  if (kill_after != 0 && --kill_after == 0) {
    if (!kill_done) throw Killed{};
    kill_after = SIZE_MAX;  // When it is done.
  }
  if (away) return core::Error{core::ErrorKind::Unavailable, "the store is away"};
  if (lose_every != 0 && calls % lose_every == 0) {
    if (calls / lose_every % 2 == 0) return core::Error{core::ErrorKind::Unknown, "no answer came"};
    lost = true;
  }
  return std::nullopt;
}

std::optional<core::Error> IncidentWorld::Trouble::after() {
  if (kill_after == SIZE_MAX) {
    kill_after = 0;
    throw Killed{};
  }
  if (std::exchange(lost, false))
    return core::Error{core::ErrorKind::Unknown, "the answer was lost"};
  return std::nullopt;
}

// ---- One process ----

struct IncidentWorld::Process : core::Pinned {
  explicit Process(IncidentWorld& of);

  // Any call to the store, with what may go wrong.
  template <typename Call>
  auto through(Call call) -> decltype(call()) {
    Trouble& trouble = world.trouble_;
    if (auto error = trouble.before()) return *std::move(error);
    auto result = call();
    if (auto error = trouble.after()) return *std::move(error);
    return result;
  }

  class Notes final : public sideeffects::NoteSink {
   public:
    explicit Notes(core::SpscRing<core::SiteNote>& ring) : ring_(ring) {}
    bool offer(core::SiteNote&& note) override { return ring_.offer(std::move(note)); }

   private:
    core::SpscRing<core::SiteNote>& ring_;
  };

  class Events final : public sideeffects::EventStore {
   public:
    Events(Process& process, std::unique_ptr<sideeffects::EventStore> inner)
        : process_(process), inner_(std::move(inner)) {}
    core::Result<void> commit(std::span<const sideeffects::EventWrite> writes) override {
      auto done = process_.through([&] {
        core::Result<void> stored = inner_->commit(writes);
        if (stored) process_.world_committed(writes);
        return stored;
      });
      if (done || done.error().kind == core::ErrorKind::Unknown)
        process_.router_at = process_.now();
      return done;
    }
    core::Result<std::optional<sideeffects::StoredEvent>> open_event(core::SiteId site) override {
      return process_.through([&] { return inner_->open_event(site); });
    }

   private:
    Process& process_;
    const std::unique_ptr<sideeffects::EventStore> inner_;
  };

  class Notices final : public sideeffects::Outbox {
   public:
    Notices(Process& process, std::unique_ptr<sideeffects::Outbox> inner)
        : process_(process), inner_(std::move(inner)) {}
    core::Result<std::vector<sideeffects::Notice>> take(
        std::size_t limit, const std::function<bool(core::SiteId)>& mine) override {
      return process_.through([&] { return inner_->take(limit, mine); });
    }
    core::Result<sideeffects::Settling> settle(
        std::span<const sideeffects::NoticeId> notices,
        std::span<const sideeffects::NewDelivery> deliveries,
        std::span<const sideeffects::NewWake> wakes) override {
      return process_.through([&] { return inner_->settle(notices, deliveries, wakes); });
    }
    core::Result<Level> level() override {
      return process_.through([&] { return inner_->level(); });
    }

   private:
    Process& process_;
    const std::unique_ptr<sideeffects::Outbox> inner_;
  };

  class Queue final : public sideeffects::DeliveryQueue {
   public:
    Queue(Process& process, std::unique_ptr<sideeffects::DeliveryQueue> inner)
        : process_(process), inner_(std::move(inner)) {}
    core::Result<sideeffects::Claimed> claim(std::span<const sideeffects::Want> wants,
                                             Duration lease,
                                             const sideeffects::Claimer& claimer) override {
      return process_.through([&] { return inner_->claim(wants, lease, claimer); });
    }
    core::Result<std::vector<sideeffects::DeliveryId>> finish(
        std::span<const sideeffects::Finish> finished) override {
      return process_.through([&] { return inner_->finish(finished); });
    }
    core::Result<std::vector<sideeffects::DeliveryId>> extend(
        std::span<const sideeffects::Held> held, Duration lease) override {
      return process_.through([&] { return inner_->extend(held, lease); });
    }
    core::Result<std::uint64_t> release_former(const sideeffects::Claimer& claimer) override {
      return process_.through([&] { return inner_->release_former(claimer); });
    }
    core::Result<std::uint64_t> bury_waiting(std::string_view target,
                                             sideeffects::DeathReason reason,
                                             std::size_t limit) override {
      return process_.through([&] { return inner_->bury_waiting(target, reason, limit); });
    }
    core::Result<std::uint64_t> bury_older(std::string_view target,
                                           sideeffects::DeathReason reason, core::Duration age,
                                           std::size_t limit) override {
      return process_.through([&] { return inner_->bury_older(target, reason, age, limit); });
    }
    core::Result<void> note_targets(std::span<const std::string> targets) override {
      return process_.through([&] { return inner_->note_targets(targets); });
    }
    core::Result<std::vector<sideeffects::TargetLevel>> levels() override {
      return process_.through([&] { return inner_->levels(); });
    }
    core::Result<std::uint64_t> purge(const sideeffects::DeliveryRetention& retention,
                                      std::size_t limit) override {
      return process_.through([&] { return inner_->purge(retention, limit); });
    }

   private:
    Process& process_;
    const std::unique_ptr<sideeffects::DeliveryQueue> inner_;
  };

  class Windows final : public sideeffects::MaintenanceStore {
   public:
    Windows(Process& process, std::unique_ptr<sideeffects::MaintenanceStore> inner)
        : process_(process), inner_(std::move(inner)) {}
    core::Result<std::vector<sideeffects::MaintenanceWindow>> list(core::WallTime now) override {
      return process_.through([&] { return inner_->list(now); });
    }
    core::Result<sideeffects::MaintenanceId> add(
        const sideeffects::MaintenanceWindow& window) override {
      return inner_->add(window);
    }
    core::Result<void> remove(sideeffects::MaintenanceId id) override { return inner_->remove(id); }

   private:
    Process& process_;
    const std::unique_ptr<sideeffects::MaintenanceStore> inner_;
  };

  class Warned final : public sideeffects::WarningStore {
   public:
    Warned(Process& process, std::unique_ptr<sideeffects::WarningStore> inner)
        : process_(process), inner_(std::move(inner)) {}
    core::Result<std::vector<sideeffects::OpenWarning>> open(core::SiteId site,
                                                             core::EventKind kind,
                                                             std::size_t limit) override {
      return process_.through([&] { return inner_->open(site, kind, limit); });
    }
    core::Result<std::vector<bool>> commit(
        std::span<const sideeffects::WarningWrite> writes) override {
      return process_.through([&] { return inner_->commit(writes); });
    }

   private:
    Process& process_;
    const std::unique_ptr<sideeffects::WarningStore> inner_;
  };

  class Panel final : public sideeffects::VerifierPanel {
   public:
    Panel(IncidentWorld& world, std::size_t seats) : world_(world) {
      for (std::size_t i = 0; i < seats; ++i) seats_.push_back({"v" + std::to_string(i), ""});
    }
    [[nodiscard]] const std::vector<sideeffects::Seat>& seats() const override { return seats_; }
    Asked ask(sideeffects::Question question) override {
      for (std::size_t seat = 0; seat < seats_.size(); ++seat) {
        const VerifierWord word = world_.verifier_(seat, question.subject.url, world_.now());
        if (word.saw == core::Saw::Silent) continue;
        coming_.push_back(
            {world_.now() + word.after, question.id, question.subject.url, seat, word.saw});
      }
      return Asked::Taken;
    }
    void drop(std::uint64_t id) override {
      std::erase_if(coming_, [&](const Coming& one) { return one.id == id; });
    }
    void take(std::vector<sideeffects::SeatAnswer>& into) override {
      std::erase_if(coming_, [&](const Coming& one) {
        if (one.at > world_.now()) return false;
        core::Witness witness{.saw = one.saw, .at = world_.clock.wall()};
        witness.cause = one.saw == core::Saw::Up ? core::Cause::Ok : core::Cause::ConnectTimeout;
        into.push_back({.id = one.id, .seat = one.seat, .witness = std::move(witness)});
        world_.testified_.push_back({world_.now(), one.url, one.seat, one.saw});
        return true;
      });
    }
    [[nodiscard]] std::optional<SteadyTime> next() const {
      std::optional<SteadyTime> next;
      for (const Coming& one : coming_) next = std::min(next.value_or(one.at), one.at);
      return next;
    }

   private:
    struct Coming {
      SteadyTime at;
      std::uint64_t id = 0;
      std::string url;
      std::size_t seat = 0;
      core::Saw saw = core::Saw::Silent;
    };
    IncidentWorld& world_;
    std::vector<sideeffects::Seat> seats_;
    std::vector<Coming> coming_;
  };

  class Receivers final : public sideeffects::Channels {
   public:
    explicit Receivers(IncidentWorld& world) : world_(world) {}
    void send(sideeffects::Attempt attempt, Done done) override {
      ReceiverWord word = world_.receiver_(attempt, world_.now());
      const SteadyTime at = world_.now() + std::min<Duration>(word.after, attempt.target->timeout);
      world_.sent_.push_back({.at = world_.now(),
                              .wall = world_.clock.wall(),
                              .answered_at = at,
                              .target = attempt.target->name,
                              .id = attempt.message_id,
                              .number = attempt.number,
                              .message = *attempt.message,
                              .outcome = word.result.outcome,
                              .run = world_.run_});
      under_way_.push_back({at, world_.sent_.size() - 1, std::move(word.result), std::move(done)});
    }
    [[nodiscard]] std::size_t attempts_max() const override { return 128; }
    void turn() {
      std::vector<UnderWay> due;
      std::erase_if(under_way_, [&](UnderWay& one) {
        if (one.at > world_.now()) return false;
        due.push_back(std::move(one));
        return true;
      });
      for (UnderWay& one : due) {
        world_.sent_[one.sent].heard = true;
        one.done(std::move(one.result));
      }
    }
    [[nodiscard]] std::optional<SteadyTime> next() const {
      std::optional<SteadyTime> next;
      for (const UnderWay& one : under_way_) next = std::min(next.value_or(one.at), one.at);
      return next;
    }

   private:
    struct UnderWay {
      SteadyTime at;
      std::size_t sent = 0;
      sideeffects::SendResult result;
      Done done;
    };
    IncidentWorld& world_;
    std::vector<UnderWay> under_way_;
  };

  // As if each success were projected.
  void show_certificate(std::uint64_t site) {
    const auto known = world.certificates_.find(site);
    if (known == world.certificates_.end()) return;
    core::FreshnessMark mark;
    mark.site = core::SiteId{site};
    mark.checked_at = world.clock.wall();
    mark.cert_not_after = known->second;
    keeper.note({&mark, 1});
  }

  [[nodiscard]] SteadyTime now() const { return world.now(); }
  void world_committed(std::span<const sideeffects::EventWrite> writes);
  void turn();
  [[nodiscard]] SteadyTime next_turn() const;
  [[nodiscard]] bool idle() const;

  IncidentWorld& world;
  core::SpscRing<app::LaneMessage> inbox{1024};
  core::SpscRing<core::SiteNote> notes_ring{64};
  core::SpscRing<core::FreshnessMark> marks{1024};
  app::ShardMailbox mailbox{10'000};
  core::VantageGate gate;
  Notes notes{notes_ring};
  FakeProber prober;
  app::Lane lane;
  Events events;
  Panel panel;
  sideeffects::Shard shard;
  Notices notices;
  Queue queue;
  Windows windows;
  sideeffects::Holds holds;
  Receivers receivers;
  SteadyTime router_at;
  SteadyTime worker_at;
  SteadyTime keeper_at;
  Warned warned;
  sideeffects::WarningKeeper keeper;
  sideeffects::DeliveryWorker worker;
  sideeffects::NoticeRouter router;
};

namespace {

app::LaneSettings lane_settings(const IncidentSettings& settings) {
  app::LaneSettings lane;
  lane.tuning.confirm = settings.confirm;
  lane.admission.descriptors = 10'000;
  lane.admission.memory_bytes = 1ULL << 30U;
  lane.jitter_seed = settings.seed;
  return lane;
}

}  // namespace

IncidentWorld::Process::Process(IncidentWorld& of)
    : world(of),
      prober(
          of.clock,
          [this](std::string_view url, SteadyTime now) { return world.network_(url, now); },
          [this](std::string_view url, core::Cause cause, SteadyTime started) {
            world.checked_[site_of(url)].push_back(
                {.began = started,
                 .ended = world.now(),
                 .wall = world.clock.wall(),
                 .cause = cause,
                 .run = world.run_,
                 .ours =
                     world.vantage_ == core::VantageState::Fault || started < world.blind_until_});
            if (cause == core::Cause::Ok) show_certificate(site_of(url));
          }),
      lane(lane_settings(of.settings_),
           {.inbox = &inbox,
            .notes = {&notes_ring},
            .shards = {{&mailbox, [] {}}},
            .marks = &marks,
            .vantage = of.settings_.gate ? &gate : nullptr},
           of.now(), of.clock.wall()),
      events(*this, must(of.store_->make_event_store())),
      panel(of, of.settings_.verifiers),
      shard({}, of.settings_.confirm, mailbox, events, notes, of.clock, of.settings_.seed),
      notices(*this, must(of.store_->make_outbox())),
      queue(*this, must(of.store_->make_delivery_queue())),
      windows(*this, must(of.store_->make_maintenance_store())),
      holds({.flapping = {},
             .interval = of.settings_.interval,
             .warn = [this](const std::string& line) { world.warnings_.push_back(line); }},
            {.windows = windows}, of.clock),
      receivers(of),
      router_at(of.now()),
      worker_at(of.now()),
      keeper_at(of.now()),
      warned(*this, must(of.store_->make_warning_store())),
      keeper(
          [this] {
            sideeffects::WarningKeeper::Settings settings;
            // Histories are short.
            settings.calm = 1min;
            settings.calm_wavering = 3min;
            settings.wake = [this] { keeper_at = now(); };
            settings.warn = [this](const std::string& line) { world.warnings_.push_back(line); };
            return settings;
          }(),
          warned, of.clock),
      worker(
          [this] {
            sideeffects::DeliveryWorker::Settings settings;
            settings.claimer = {.node = "simulated", .run = static_cast<std::uint64_t>(world.run_)};
            settings.wake = [this] { worker_at = now(); };
            settings.warn = [this](const std::string& line) { world.warnings_.push_back(line); };
            return settings;
          }(),
          queue, receivers, std::make_shared<const sideeffects::NotifyTargets>(of.targets_),
          of.clock, of.settings_.seed + static_cast<std::uint64_t>(of.run_)),
      router(
          [this] {
            sideeffects::NoticeRouter::Settings settings;
            holds.join(settings);
            settings.delivered = [this] {
              worker.note_new();
              worker_at = now();
            };
            settings.warn = [this](const std::string& line) { world.warnings_.push_back(line); };
            return settings;
          }(),
          notices, std::make_shared<const sideeffects::NotifyTargets>(of.targets_), of.clock,
          of.settings_.seed + 1 + static_cast<std::uint64_t>(of.run_)) {
  lane.attach(prober);
  prober.report_to(lane);
  if (of.settings_.verifiers > 0) shard.attach(panel);
}

void IncidentWorld::Process::world_committed(std::span<const sideeffects::EventWrite> writes) {
  for (const sideeffects::EventWrite& write : writes) {
    const bool is_over =
        std::any_of(world.committed_.rbegin(), world.committed_.rend(), [&](const Committed& one) {
          return one.site == write.site && one.started_at == write.started_at &&
                 one.transition.after != core::SiteState::SeemsDown &&
                 one.transition.after != core::SiteState::Down;
        });
    if (is_over) continue;  // What is over is frozen, and told once more by who has not heard so.
    for (const sideeffects::TransitionRecord& transition : write.transitions) {
      const bool known = std::any_of(
          world.committed_.rbegin(), world.committed_.rend(), [&](const Committed& one) {
            return one.site == write.site && one.started_at == write.started_at &&
                   one.transition.seq == transition.seq;
          });
      if (!known) world.committed_.push_back({now(), write.site, write.started_at, transition});
    }
  }
}

void IncidentWorld::Process::turn() {
  const SteadyTime at = now();
  gate.publish(world.reading());
  lane.begin_turn(at, world.clock.wall());
  prober.turn(at);
  lane.turn(at, world.clock.wall());
  core::FreshnessMark mark;
  while (marks.take(mark)) {
  }
  const auto answer = panel.next();
  const auto due = shard.next_turn();
  if ((due && *due <= at) || (answer && *answer <= at)) (void)shard.turn(at);
  if (router_at <= at) {
    router_at = SteadyTime::max();
    router.turn(at);
    router_at = std::min(router_at, router.next_turn().value_or(SteadyTime::max()));
  }
  if (keeper_at <= at) {
    keeper_at = SteadyTime::max();
    keeper.turn(at);
    keeper_at = std::min(keeper_at, keeper.next_turn().value_or(SteadyTime::max()));
  }
  receivers.turn();
  if (worker_at <= at) {
    worker_at = SteadyTime::max();
    worker.turn(at);
    worker_at = std::min(worker_at, worker.next_turn().value_or(SteadyTime::max()));
  }
}

SteadyTime IncidentWorld::Process::next_turn() const {
  SteadyTime next = std::min({lane.next_turn(now()), router_at, worker_at, keeper_at});
  for (const auto& other : {prober.next(), panel.next(), shard.next_turn(), receivers.next()})
    if (other) next = std::min(next, *other);
  return next;
}

bool IncidentWorld::Process::idle() const {
  return shard.idle() && worker.idle() && lane.attention().size() == 0;
}

// ---- The world ----

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
  process_ = std::make_unique<Process>(*this);
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
  process_->lane.close_admission();
  process_->worker.drain();
  run_for(2s);
  if (!process_) return;
  try {
    process_->worker.abandon();
  } catch (const Killed&) {
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
  ENSURE(process_->inbox.offer(std::move(message)), "a handful of sites fits");
}

void IncidentWorld::load() {
  seen_ = must(feed_->newest_change());
  const db::SitePage page = must(feed_->load({}, 1000));
  for (const core::KnownSite& known : page.sites) watch(known, false);
  for (const core::KnownSite& known : must(feed_->removed_with_open_event(1000)))
    watch(known, true);
  app::LaneMessage loaded;
  loaded.kind = app::LaneMessage::Kind::Loaded;
  ENSURE(process_->inbox.offer(std::move(loaded)), "a handful of sites fits");
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
  } catch (const Killed&) {
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

void IncidentWorld::set_targets(const sideeffects::NotifyTargets& targets) {
  targets_ = targets;
  if (!process_) return;
  const auto both = std::make_shared<const sideeffects::NotifyTargets>(targets);
  process_->router.set_targets(both);
  process_->worker.set_targets(both);
  process_->worker_at = now();
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
  return process_->lane;
}

}  // namespace watchwheel::sim
