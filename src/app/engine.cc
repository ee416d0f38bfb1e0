// SPDX-License-Identifier: Apache-2.0
// The daemon, from top to bottom:
//
//   store ─► feeder ─inbox─► lane 0..N-1 ─mailbox─► shard ─► store (events, transitions)
//                              ▲   │                  │
//                              │   └─marks ring─► projector ─► store (freshness)
//                              └──────notes ring──────┘
//
//   legacy table ─► legacy-read ─► store (sites);   committed events and marks ─► legacy-write ─► legacy table
//   while a database server is away: shard ─► journal ─► replayer ─► store (store_road.h)
//   store ◄─ cluster ─► buckets (which sites are ours: lanes, shards, projector and feeder look)      where hosts share a store
//
//   committed transitions ─► router ─► store (deliveries) ─► deliveries ─► channels ─► receivers (notifier.h)
//   while a database server is away, and this host is alone: journal ─► router ─► notices.db ─► deliveries (local_notices.h)
//
//   shard ─► verify (asks the verifiers) ─► shard
//   projector: what it wrote ─► warnings ─► store (events of certificates that end soon, and other warnings)
//   projector: how fast sites answered ─► gatherer ─► history ─► store (an hour of many sites in a row)
//
//   lanes' tallies ─► vantage (asks the canaries) ─gate─► lanes;  its faults ─► shard 0 ─► store
//
// Every queue is declared here, with its two ends, its size and what happens when it is full.
#include "app/engine.h"

#include <fmt/format.h>
#include <malloc.h>

#include <algorithm>
#include <atomic>
#include <exception>
#include <thread>

#include "app/cluster_thread.h"
#include "app/feeder.h"
#include "app/history.h"
#include "app/lane_thread.h"
#include "app/legacy_access.h"
#include "app/legacy_config.h"
#include "app/legacy_reader.h"
#include "app/legacy_writer.h"
#include "app/node_identity.h"
#include "app/store_access.h"
#include "app/store_road.h"
#include "app/vantage_thread.h"
#include "app/version.h"
#include "app/warnings.h"
#include "core/hash.h"
#include "sideeffects/projector_thread.h"
#include "sideeffects/shard_thread.h"
#include "sideeffects/vantage_recorder.h"

namespace watchwheel::app {
namespace {

using namespace std::chrono_literals;

// A lane's table grows on demand; this is where it refuses. 16 million rows are 3 GB: more belongs
// on a second host.
constexpr std::size_t kSitesPerLaneMax = 16'000'000;
constexpr std::size_t kInboxSize = 4096;
constexpr std::size_t kNotesSize = 4096;
constexpr std::size_t kMarksSize = 16384;
// SQLite has one writer: more shards would only wait for each other (ADR 0003).
constexpr std::size_t kShards = 1;
constexpr core::Duration kDrainPoll = 10ms;
// The cluster's thread is woken, and reads a thousand rows.
constexpr core::Duration kLookPatience = 500ms;
// How long a stop waits until the other nodes know that our checks are theirs.
constexpr core::Duration kTellOthers = 1s;

LaneTuning tuning_of(const Config& config, std::size_t lanes) {
  return LaneTuning{.confirm = confirm_policy(config),
                    .projection_interval = config.projection.interval,
                    .rollups = config.history.rollups,
                    .hourly_sites_max = hourly_sites_max(config.history, lanes),
                    .resolvers = config.checks.options.resolvers};
}

FeederSettings feeder_settings(const Config& config) {
  return FeederSettings{.defaults = config.checks.options, .interval = config.checks.interval};
}

// All of them, of which there is one at least.
bool canaries_up(const VantageReading& here) {
  return !here.canaries.empty() &&
         std::all_of(here.canaries.begin(), here.canaries.end(),
                     [](const CanaryReading& one) { return one.asked && one.ok; });
}

VantageSettings vantage_settings(const Config& config) {
  return VantageSettings{.canaries = config.vantage.canaries,
                         .failure_share = config.vantage.failure_share,
                         .options = config.checks.options};
}

class EngineImpl final : public Engine {
 public:
  EngineImpl(const Config& config, const core::Clock& clock, Log& log)
      : config_(config),
        clock_(clock),
        shared_clock_(clock),
        log_(log),
        machine_(read_machine()),
        limits_(derive_limits(config, machine_)),
        memory_(limits_.memory_bytes,
                {.resident = &resident_bytes, .trim = [] { ::malloc_trim(0); }}, log),
        started_at_(clock.wall()) {}

  core::Result<void> build(const StoreRoad::Meanwhile& meanwhile, NameSight* sight,
                           const std::function<void()>& store_there);
  core::Result<void> start() override;
  void drain_and_stop() override;
  void reload(const Config& config) override;

  bool loaded() const override {
    return std::all_of(lanes_.begin(), lanes_.end(),
                       [](const auto& lane) { return lane->thread.lane().stats().loaded.load(); });
  }
  std::vector<LaneReading> lanes() const override;
  std::vector<const sideeffects::ShardStats*> shards() const override;
  std::vector<sideeffects::Poisoned> poisoned() const override;
  StoreRoadReading store_road() const override { return road_->reading(); }
  const sideeffects::ProjectorStats& projector() const override { return projector_->stats(); }
  const FeederStats& feeder() const override { return feeder_->stats(); }
  std::vector<QueueReading> queues() const override;
  const Machine& machine() const override { return machine_; }
  const Limits& limits() const override { return limits_; }
  void watch_memory(core::SteadyTime now) override { memory_.look(now); }
  const MemoryWatch& memory() const override { return memory_; }
  VantageReading vantage() const override { return vantage_->reading(); }
  const VantageStats& vantage_stats() const override { return vantage_->stats(); }
  LegacyReading legacy() const override;
  VerifiersReading verifiers() const override;
  core::WallTime started_at() const override { return started_at_; }
  NotifierReading notifier() const override { return notifier_->reading(); }
  const sideeffects::HistoryStats& history() const override { return history_->stats(); }
  const sideeffects::WarningStats& warnings() const override { return warnings_->stats(); }
  std::optional<ClusterReading> cluster() const override {
    if (!member_) return std::nullopt;
    return member_->reading();
  }
  const ClusterStats* cluster_stats() const override {
    return member_ ? &member_->stats() : nullptr;
  }
  std::uint64_t fenced_writes() const override { return buckets_ ? buckets_->fenced_total() : 0; }
  bool usurped() const override { return member_ && member_->usurped(); }

 private:
  // One lane with the rings that end in it or begin in it.
  struct LaneParts {
    // feeder -> lane. Full: the feeder waits, it has nothing else to do.
    core::SpscRing<LaneMessage> inbox{kInboxSize};
    // shard -> lane, one for each shard. Full: the shard keeps the note and offers it again before
    // it takes more facts.
    std::vector<std::unique_ptr<core::SpscRing<core::SiteNote>>> notes;
    // lane -> projector. Full: refuse; the lane offers the mark at the site's next check. Late, not
    // lost.
    core::SpscRing<core::FreshnessMark> marks{kMarksSize};
    LaneThread thread;

    LaneParts(const LaneSettings& settings, const checker::Settings& checker_settings,
              std::vector<ShardPort> shard_ports, const core::VantageGate& gate,
              core::BucketTable* buckets, const core::Clock& clock)
        : notes(make_notes()),
          thread(settings, checker_settings, ports(std::move(shard_ports), gate, buckets), clock) {}

    static std::vector<std::unique_ptr<core::SpscRing<core::SiteNote>>> make_notes() {
      std::vector<std::unique_ptr<core::SpscRing<core::SiteNote>>> rings;
      for (std::size_t i = 0; i < kShards; ++i)
        rings.push_back(std::make_unique<core::SpscRing<core::SiteNote>>(kNotesSize));
      return rings;
    }
    LanePorts ports(std::vector<ShardPort> shard_ports, const core::VantageGate& gate,
                    core::BucketTable* buckets) {
      LanePorts all{.inbox = &inbox,
                    .notes = {},
                    .shards = std::move(shard_ports),
                    .marks = &marks,
                    .vantage = &gate,
                    .buckets = buckets};
      for (auto& ring : notes) all.notes.push_back(ring.get());
      return all;
    }
  };
  struct ShardParts {
    // lanes -> shard. Never full: one seat for each site of a lane, the newest facts in it.
    std::unique_ptr<ShardMailbox> mailbox;
    std::unique_ptr<sideeffects::EventStore> store;
    std::unique_ptr<sideeffects::EventStore> detoured;  // Before it, where there is a journal.
    std::unique_ptr<sideeffects::NoteSink> notes;
    std::unique_ptr<sideeffects::OperatorDesk> desk;
    std::unique_ptr<sideeffects::Shard> shard;
    std::unique_ptr<sideeffects::ShardThread> thread;
  };
  std::size_t lane_count() const { return limits_.lanes; }
  LaneSettings lane_settings(std::uint32_t number) const;
  std::string user_agent() const {
    const std::string& own = config_.checks.options.user_agent;
    return own.empty() ? default_user_agent() : own;
  }
  checker::Settings checker_settings() const;
  core::Result<void> build_cluster(NameSight* sight);
  [[nodiscard]] db::Fencing fencing(std::string_view writer) const {
    if (!member_) return {};
    return {.table = buckets_.get(),
            .node = node_,
            .writer = std::string(writer),
            .patience = kLookPatience};
  }
  // Of several nodes the one that has the first bucket does what is to be done once: its epoch, 0 without it. None: the lease may have
  // run out, so that another one may by now.
  [[nodiscard]] std::optional<std::uint64_t> first_bucket() const {
    if (!buckets_) return 1;
    if (!buckets_->valid()) return std::nullopt;
    return buckets_->epoch(db::kFirstBucket);
  }
  core::Result<void> build_notifier();
  void build_mailboxes();
  void build_lanes();
  core::Result<void> build_legacy();
  std::unique_ptr<sideeffects::EventStore> noted(
      std::unique_ptr<sideeffects::EventStore> store) const {
    store = std::make_unique<ToldEvents>(std::move(store), notifier_);
    if (!legacy_writer_) return store;
    return std::make_unique<NotedEvents>(std::move(store), *legacy_writer_);
  }
  std::unique_ptr<sideeffects::FreshnessSink> noted(
      std::unique_ptr<sideeffects::FreshnessSink> sink) const {
    sink = std::make_unique<WarnedFreshness>(std::move(sink), warnings_);
    if (!legacy_writer_) return sink;
    return std::make_unique<NotedFreshness>(std::move(sink), *legacy_writer_);
  }
  core::Result<void> build_shards();
  core::Result<void> build_vantage_recorder();
  void build_vantage();
  void continue_mass_outage();
  core::Result<void> build_projector();
  core::Result<void> build_feeder();
  core::Result<void> build_history();
  core::Result<void> build_warnings();
  core::Result<void> start_threads();
  void stop_threads(core::SteadyTime last_call);
  void write_rest_of_responses(core::SteadyTime last_call);
  std::size_t in_flight() const;
  // Differs between processes, so that two engines that watch the same sites do not re-check them
  // at the same moments.
  std::uint64_t seed(std::uint64_t number) const {
    return core::stable_hash(static_cast<std::uint64_t>(started_at_.time_since_epoch().count()) +
                             number);
  }

  Config config_;
  const core::Clock& clock_;
  ClusterClock shared_clock_;  // The wall time of what is measured: the same on all hosts of a cluster.
  Log& log_;
  const Machine machine_;
  const Limits limits_;
  MemoryWatch memory_;  // Read by the lanes.
  const core::WallTime started_at_;
  std::string node_;  // Of the cluster; "" without one.

  std::unique_ptr<db::Store> store_;
  std::unique_ptr<Notifier> notifier_;  // Outlives those that commit: shards, replayer.
  std::unique_ptr<StoreRoad> road_;
  std::unique_ptr<db::StoreLock> store_lock_;  // Of a store for one process.
  // Of a store for several; else null.
  std::unique_ptr<db::LeaseStore> leases_;
  std::unique_ptr<core::BucketTable> buckets_;
  std::unique_ptr<ClusterMember> member_;
  std::unique_ptr<ClusterThread> cluster_;
  core::VantageGate vantage_gate_;
  std::unique_ptr<sideeffects::VantageStore> vantage_store_;
  std::unique_ptr<sideeffects::VantageStore> detoured_vantage_store_;
  std::unique_ptr<sideeffects::VantageRecorder> vantage_recorder_;
  // Where there is a legacy table. The writer outlives those that note sites: shards, projector.
  std::unique_ptr<LegacyWriter> legacy_writer_;
  std::unique_ptr<LegacyReader> legacy_reader_;
  std::string legacy_table_;
  // Where there are verifiers. shard -> verify: at most PanelLimits::questions_max questions; full: the shard asks again later.
  // verify -> shard: one answer a question and verifier, so never full.
  std::unique_ptr<verify::PanelThread> panel_;
  std::atomic<std::uint32_t> quorum_{1};  // In force: read while a reload writes config_.
  std::vector<ShardParts> shards_;
  std::vector<std::unique_ptr<LaneParts>> lanes_;
  // The projector fills it, the history empties it.
  sideeffects::ResponseGatherer gatherer_{core::to_unix_ms(started_at_) * 65536};
  std::unique_ptr<Warnings> warnings_;  // Outlives the projector, which notes what it wrote.
  std::unique_ptr<sideeffects::FreshnessSink> freshness_;
  std::unique_ptr<sideeffects::FreshnessSink> detoured_freshness_;  // Where there is a journal.
  std::unique_ptr<sideeffects::Projector> projector_;
  std::unique_ptr<sideeffects::ProjectorThread> projector_thread_;
  std::unique_ptr<Feeder> feeder_;
  std::unique_ptr<VantageThread> vantage_;
  std::unique_ptr<History> history_;  // Reads the lanes.
};

// Tells every lane: a lane that does not know the site passes it over, so nobody has to remember
// where a site lives. Offered again whole when one ring was full; a lane that hears a note twice
// does nothing the second time.
class NotesToLanes final : public sideeffects::NoteSink {
 public:
  explicit NotesToLanes(std::vector<core::SpscRing<core::SiteNote>*> rings)
      : rings_(std::move(rings)) {}
  bool offer(core::SiteNote&& note) override {
    bool taken = true;
    for (auto* ring : rings_) taken = ring->offer(core::SiteNote(note)) && taken;
    return taken;
  }

 private:
  std::vector<core::SpscRing<core::SiteNote>*> rings_;
};

// ---- Building ----

core::Result<void> EngineImpl::build(const StoreRoad::Meanwhile& meanwhile, NameSight* sight,
                                     const std::function<void()>& store_there) {
  db::StoreAccess access = store_access(config_.store);
  access.clock = &clock_;
  access.notice = [this](const std::string& what) {
    log_.warn(fmt::format("store_mended what=\"{}\"", what));
  };
  auto store = db::open_store(access);
  if (!store) return store.error();
  store_ = *std::move(store);
  auto migrated = store_->migrate(false);
  if (!migrated) return migrated.error();
  if (migrated->before != migrated->after) {
    log_.info(fmt::format("store_migrated from={} to={}", migrated->before, migrated->after));
  }
  if (store_there) store_there();
  if (auto built = build_cluster(sight); !built) return built;
  if (auto built = build_legacy(); !built) return built;
  // The legacy table is told of what is in the store: of a detour when it is replayed.
  auto road = StoreRoad::make(config_.store, *store_, clock_, log_, seed(1),
                              [this](auto events) { return noted(std::move(events)); },
                              fencing(db::kReplayerWriter));
  if (!road) return road.error();
  road_ = *std::move(road);
  if (auto built = build_notifier(); !built) return built;
  // Not before the journal is ours: what we hold from then on nobody else looks after, and another process may keep it for ever.
  if (member_) {
    if (auto joined = member_->join(); !joined) return joined;
  }
  // Before the site list is read: it comes with the open events.
  const auto between = [&](std::uint64_t entries) {
    if (member_) member_->keep_alive();
    return !meanwhile || meanwhile(entries);
  };
  if (auto replayed = road_->replay_left(between); !replayed) return replayed;
  build_mailboxes();
  build_lanes();
  if (auto built = build_vantage_recorder(); !built) return built;
  if (auto built = build_shards(); !built) return built;
  build_vantage();
  continue_mass_outage();
  if (auto built = build_warnings(); !built) return built;
  if (auto built = build_projector(); !built) return built;
  if (auto built = build_history(); !built) return built;
  return build_feeder();
}

// One process alone, and sure of it; or one of several, which joins when it has its journal.
core::Result<void> EngineImpl::build_cluster(NameSight* sight) {
  auto lock = store_->lock_out_others();
  if (!lock) return lock.error();
  store_lock_ = *std::move(lock);
  auto leases = store_->make_lease_store();
  if (!leases) return leases.error();
  leases_ = *std::move(leases);
  if (!leases_) return {};
  auto node = node_name(config_.cluster.node);
  if (!node) return node.error();
  node_ = *std::move(node);
  buckets_ = std::make_unique<core::BucketTable>(config_.cluster.buckets, clock_,
                                                 config_.cluster.lease / 3);
  member_ = std::make_unique<ClusterMember>(
      MemberSettings{.node = node_,
                     .instance = process_instance(),
                     .version = std::string(version()),
                     .weight = config_.cluster.weight,
                     .lease = config_.cluster.lease,
                     .surely_dead = &is_surely_dead,
                     .writes_wait =
                         [this] { return road_ && road_->detour() && road_->detour()->taken(); },
                     .sight = sight},
      *leases_, *buckets_, shared_clock_, log_);
  cluster_ = std::make_unique<ClusterThread>(*member_, clock_);
  buckets_->on_fenced([this] { cluster_->wake(); });
  return {};
}

// Of several nodes each tells of its own sites; a delivery is claimed by whoever comes first.
core::Result<void> EngineImpl::build_notifier() {
  NotifierSettings settings{.targets = config_.notify,
                            .node = node_.empty() ? "local" : node_,
                            .run = seed(2),
                            .user_agent = user_agent()};
  settings.flapping = config_.flapping;
  settings.interval = config_.checks.interval;
  settings.retention.done = config_.history.keep_deliveries;
  settings.retention.dead = config_.history.keep_dead_letters;
  if (buckets_) {
    settings.mine = [buckets = buckets_.get()](core::SiteId site) {
      return buckets->standing(site) == core::Standing::Ours;
    };
  }
  std::unique_ptr<LocalNotices> local;
  if (auto* detour = road_->detour()) {
    auto kept = LocalNotices::make(
        {.directory = config_.store.state_dir,
         .journal = road_->journal(),
         .detour = detour,
         .alone = [this] { return !member_ || member_->stats().alone.value() == 1; }},
        store_.get(), clock_, log_);
    if (kept) {
      local = *std::move(kept);
    } else if (kept.error().kind != core::ErrorKind::Invalid) {
      return kept.error();
    } else {
      settings.not_kept = kept.error().message;
      log_.error(fmt::format("notices_not_kept action=wait_for_the_store error=\"{}\"",
                             settings.not_kept));
    }
  }
  auto made = local ? Notifier::make(std::move(settings), std::move(local), shared_clock_, log_)
                    : Notifier::make(std::move(settings), *store_, shared_clock_, log_);
  if (!made) return made.error();
  notifier_ = *std::move(made);
  return {};
}

void EngineImpl::build_mailboxes() {
  for (std::size_t i = 0; i < kShards; ++i) {
    ShardParts& shard = shards_.emplace_back();
    shard.mailbox = std::make_unique<ShardMailbox>(kSitesPerLaneMax * lane_count() * lane_count());
  }
}

LaneSettings EngineImpl::lane_settings(std::uint32_t number) const {
  LaneSettings settings;
  settings.number = number;
  settings.sites_max = kSitesPerLaneMax;
  settings.tuning = tuning_of(config_, lane_count());
  settings.admission = limits_.lane;
  settings.memory = &memory_.request();
  settings.jitter_seed = seed(number);
  settings.clock = &clock_;
  return settings;
}

checker::Settings EngineImpl::checker_settings() const {
  checker::Settings settings;
  settings.limits = limits_.checker;
  settings.user_agent = user_agent();
  // Resolvers and the guard's allow list come with each site's options, whose defaults a reload can
  // change.
  return settings;
}

void EngineImpl::build_lanes() {
  for (std::uint32_t number = 0; number < lane_count(); ++number) {
    std::vector<ShardPort> ports;
    for (std::size_t i = 0; i < kShards; ++i) {
      ports.push_back({shards_[i].mailbox.get(), [this, i] { shards_[i].thread->wake(); }});
    }
    const LaneSettings settings = lane_settings(number);
    lanes_.push_back(std::make_unique<LaneParts>(settings, checker_settings(),
                                                 std::move(ports), vantage_gate_, buckets_.get(),
                                                 shared_clock_));
  }
}

core::Result<void> EngineImpl::build_legacy() {
  const auto mapping = legacy_mapping(config_.legacy);
  if (!mapping) return mapping.error();
  if (!*mapping) return {};
  legacy_table_ = (*mapping)->table;
  if ((*mapping)->source) {
    auto table = open_legacy_table(**mapping, *store_);
    if (!table) return table.error();
    if (auto claimed = (*table)->claim(false); !claimed) return claimed;
    auto list = store_->make_site_catalog(fencing(db::kLegacyWriter));
    if (!list) return list.error();
    legacy_reader_ = std::make_unique<LegacyReader>(
        LegacyReadSettings{.mapping = **mapping,
                           .defaults = config_.checks,
                           .sweep = config_.legacy.sweep,
                           .rows_per_second = config_.legacy.rows_per_second,
                           .turn = [this] { return first_bucket(); }},
        *std::move(table), *std::move(list), clock_, log_);
  }
  if ((*mapping)->target) {
    auto table = open_legacy_table(**mapping, *store_);
    if (!table) return table.error();
    legacy_writer_ = std::make_unique<LegacyWriter>(*std::move(table), clock_, log_);
  }
  return {};
}

LegacyReading EngineImpl::legacy() const {
  LegacyReading reading;
  if (!legacy_reader_ && !legacy_writer_) return reading;
  reading.table = legacy_table_;
  reading.sweep_wanted = config_.legacy.sweep;
  if (legacy_reader_) reading.read = &legacy_reader_->stats();
  if (legacy_writer_) reading.write = &legacy_writer_->stats();
  return reading;
}

core::Result<void> EngineImpl::build_shards() {
  auto panel = make_panel(config_, clock_, log_);
  if (!panel) return panel.error();
  panel_ = *std::move(panel);
  quorum_.store(confirm_policy(config_).quorum);
  for (std::size_t i = 0; i < kShards; ++i) {
    ShardParts& shard = shards_[i];
    static_assert(kShards == 1, "each shard needs a writer's name of its own");
    auto store = store_->make_event_store(fencing(db::kShardWriter));
    if (!store) return store.error();
    shard.store = noted(*std::move(store));
    if (auto* detour = road_->detour())
      shard.detoured = std::make_unique<sideeffects::DetourEventStore>(*shard.store, *detour);
    std::vector<core::SpscRing<core::SiteNote>*> rings;
    for (auto& lane : lanes_) rings.push_back(lane->notes[i].get());
    shard.notes = std::make_unique<NotesToLanes>(std::move(rings));
    shard.shard = std::make_unique<sideeffects::Shard>(
        sideeffects::ShardLimits{}, confirm_policy(config_), *shard.mailbox,
        shard.detoured ? *shard.detoured : *shard.store, *shard.notes, clock_, seed(i),
        buckets_.get());
    auto desk = store_->make_operator_desk();
    if (!desk) return desk.error();
    shard.desk = *std::move(desk);
    shard.shard->attach(*shard.desk);
    if (panel_) shard.shard->attach(panel_->port([this, i] { shards_[i].thread->wake(); }));
    shard.thread =
        std::make_unique<sideeffects::ShardThread>(static_cast<unsigned>(i), *shard.shard, clock_,
                                                   i == 0 ? vantage_recorder_.get() : nullptr);
  }
  road_->on_set_aside([this](core::SiteId site) {
    for (ShardParts& shard : shards_) shard.thread->doubt(site);
    feeder_->look_for_orphans();  // No lane answers for a site that was removed meanwhile.
  });
  return {};
}

core::Result<void> EngineImpl::build_vantage_recorder() {
  auto store = store_->make_vantage_store(node_);
  if (!store) return store.error();
  vantage_store_ = *std::move(store);
  if (auto* detour = road_->detour())
    detoured_vantage_store_ =
        std::make_unique<sideeffects::DetourVantageStore>(*vantage_store_, *detour);
  vantage_recorder_ = std::make_unique<sideeffects::VantageRecorder>(
      detoured_vantage_store_ ? *detoured_vantage_store_ : *vantage_store_, shared_clock_.wall(),
      [this] { shards_.front().thread->wake(); });
  return {};
}

void EngineImpl::build_vantage() {
  std::vector<const core::VantageTally*> tallies;
  for (auto& lane : lanes_) tallies.push_back(&lane->thread.lane().vantage_tally());
  vantage_ = std::make_unique<VantageThread>(
      vantage_settings(config_), user_agent(), std::move(tallies), vantage_gate_,
      [this](const sideeffects::VantageEvent& event) { vantage_recorder_->post(event); },
      shared_clock_, log_);
}

// The vantage's own view begins anew with each process; what it told as one outage does not. That it may be told as two is no
// reason not to start.
void EngineImpl::continue_mass_outage() {
  const auto log = store_->make_incident_log();
  if (!log) return;
  const auto open = (*log)->groups({.open_only = true}, 1);
  if (open && !open->empty())
    vantage_->go_on_with(open->front().started_at, open->front().newest_at);
}

core::Result<void> EngineImpl::build_projector() {
  auto sink = store_->make_freshness_sink(fencing(db::kProjectorWriter));
  if (!sink) return sink.error();
  freshness_ = noted(*std::move(sink));
  if (auto* detour = road_->detour())
    detoured_freshness_ = std::make_unique<sideeffects::DetourFreshnessSink>(*freshness_, *detour);
  std::vector<core::SpscRing<core::FreshnessMark>*> rings;
  for (auto& lane : lanes_) rings.push_back(&lane->marks);
  projector_ = std::make_unique<sideeffects::Projector>(
      sideeffects::ProjectorLimits{}, std::move(rings),
      detoured_freshness_ ? *detoured_freshness_ : *freshness_, clock_, seed(0), &gatherer_);
  projector_thread_ = std::make_unique<sideeffects::ProjectorThread>(*projector_, clock_);
  return {};
}

core::Result<void> EngineImpl::build_history() {
  sideeffects::HistoryKeeper::Settings settings;
  settings.node = node_;
  settings.gathered = &gatherer_;
  settings.retention = history_retention(config_.history);
  settings.ours = [this] { return first_bucket().value_or(0) != 0; };
  settings.responses = [this] {
    core::ResponseHistogram all;
    for (const auto& lane : lanes_) all += lane->thread.lane().responses();
    return all;
  };
  auto made = History::make(std::move(settings), *store_, shared_clock_);
  if (!made) return made.error();
  history_ = *std::move(made);
  return {};
}

core::Result<void> EngineImpl::build_warnings() {
  sideeffects::WarningKeeper::Settings settings;
  settings.policy = config_.warnings;
  settings.well_here = [this] {
    const core::VantageState state = vantage_->reading().state;
    return state != core::VantageState::Fault && state != core::VantageState::Doubt;
  };
  settings.warn = [this](const std::string& line) { log_.warn(line); };
  auto made = Warnings::make(std::move(settings), buckets_.get(), fencing(db::kWarningsWriter),
                             *store_, shared_clock_);
  if (!made) return made.error();
  warnings_ = *std::move(made);
  return {};
}

core::Result<void> EngineImpl::build_feeder() {
  auto feed = store_->make_site_feed();
  if (!feed) return feed.error();
  std::vector<LaneInbox> inboxes;
  for (auto& lane : lanes_)
    inboxes.push_back({&lane->inbox, [&thread = lane->thread] { thread.wake(); }});
  feeder_ = std::make_unique<Feeder>(feeder_settings(config_),
                                     notifier_->named(*std::move(feed)), std::move(inboxes),
                                     clock_, log_, FeederPace{}, buckets_.get());
  if (member_) member_->set_care(*feeder_);
  return {};
}

// ---- Running ----

core::Result<void> EngineImpl::start() {
  const core::Result<void> started = start_threads();
  // The threads that run use what is destroyed before them: a shard the lanes' rings, a lane the marks' reader.
  if (!started) stop_threads(clock_.steady());
  return started;
}

core::Result<void> EngineImpl::start_threads() try {
  notifier_->start();
  road_->start();
  if (legacy_writer_) legacy_writer_->start();
  if (member_) member_->turn();  // What nobody has is ours before the first site is read.
  for (ShardParts& shard : shards_) shard.thread->start();
  warnings_->start();
  projector_thread_->start();
  for (auto& lane : lanes_) {
    if (auto started = lane->thread.start(); !started) return started;
  }
  if (auto started = vantage_->start(); !started) return started;
  if (panel_) {
    panel_->set_well_here([this] { return canaries_up(vantage_->reading()); });
    if (auto started = panel_->start(); !started) return started;
  }
  feeder_->start();
  history_->start();
  if (legacy_reader_) legacy_reader_->start();
  if (cluster_) cluster_->start();
  return {};
} catch (const std::exception& error) {  // No descriptor for a loop, or no thread.
  if (panel_) panel_->stop();              // It asks the vantage, which ends before it.
  return core::Error{core::ErrorKind::Unavailable, error.what()};
}

std::size_t EngineImpl::in_flight() const {
  double n = 0;
  for (const auto& lane : lanes_) n += lane->thread.checker_stats().in_flight.value();
  return static_cast<std::size_t>(n);
}

void EngineImpl::drain_and_stop() {
  // Checks in flight get the first four fifths, what was judged gets the rest to be stored.
  const core::SteadyTime begin = clock_.steady();
  const core::SteadyTime checks_until = begin + config_.engine.drain_timeout * 4 / 5;
  const core::SteadyTime last_call =
      begin + std::max<core::Duration>(config_.engine.drain_timeout, 1s);
  notifier_->drain();
  if (legacy_reader_) legacy_reader_->stop();
  if (cluster_) {
    const core::SteadyTime until = std::min(cluster_->begin_leaving(kTellOthers), begin + kTellOthers +
                                                                            ClusterMember::kCutAhead);
    clock_.sleep_for(std::max(until - clock_.steady(), core::Duration::zero()));
  }
  feeder_->stop();
  for (auto& lane : lanes_) lane->thread.close_admission();
  while (in_flight() > 0 && clock_.steady() < checks_until) clock_.sleep_for(kDrainPoll);
  log_.info(fmt::format("drained in_flight_left={}", in_flight()));
  stop_threads(last_call);
}

// Those that run, in the reverse order of their start.
void EngineImpl::stop_threads(core::SteadyTime last_call) {
  for (auto& lane : lanes_) lane->thread.stop();
  history_->stop(last_call);
  if (panel_) panel_->stop();
  vantage_->stop();
  for (ShardParts& shard : shards_) {
    if (!shard.thread->stop(last_call)) {
      log_.error(fmt::format("shard_not_drained mailbox={}", shard.mailbox->depth()));
    }
  }
  road_->stop(last_call);
  if (!projector_thread_->stop(last_call)) log_.warn("projector_not_drained");
  warnings_->stop(last_call);
  if (legacy_writer_ && !legacy_writer_->stop(last_call)) log_.warn("legacy_writer_not_drained");
  if (cluster_) cluster_->stop();
  write_rest_of_responses(last_call);
  // Last: a receiver that hangs may take what is left of the time, and the sites are others' by then.
  notifier_->stop(last_call);
}

// Deliveries under way go on meanwhile, and have the rest of the time.
void EngineImpl::write_rest_of_responses(core::SteadyTime last_call) {
  if (usurped()) return;  // The rows are another's now.
  // One call to hosts that answer nothing takes longer than what is left, and deliveries need that to be given back.
  const auto* detour = road_->detour();
  const bool away = detour != nullptr && detour->taken();
  if (away || clock_.steady() >= last_call) {
    if (config_.history.rollups)
      log_.warn(
          fmt::format("response_times_not_stored why={}", away ? "store_away" : "no_time_left"));
    return;
  }
  for (auto& lane : lanes_)
    lane->thread.lane().tell_rest([this](const core::FreshnessMark& mark) { gatherer_.add(mark); });
  const core::SteadyTime now = clock_.steady();
  if (!history_->write_rest(now + (last_call - now) / 2))
    log_.warn(fmt::format("response_times_not_stored why=store pages={}",
                          gatherer_.pages() + history_->pages_in_hand()));
}

void EngineImpl::reload(const Config& config) {
  config_.checks = config.checks;
  config_.confirm = config.confirm;
  config_.projection = config.projection;
  config_.vantage = config.vantage;
  config_.engine.drain_timeout = config.engine.drain_timeout;
  for (ShardParts& shard : shards_) shard.thread->set_policy(confirm_policy(config_));
  quorum_.store(confirm_policy(config_).quorum);
  vantage_->set(vantage_settings(config_));
  if (panel_) panel_->set_canaries(config_.vantage.canaries);
  if (legacy_reader_) legacy_reader_->set_defaults(config_.checks);
  config_.history = config.history;
  history_->set(history_retention(config_.history));
  config_.warnings = config.warnings;
  warnings_->set(config_.warnings);
  config_.notify = config.notify;
  notifier_->reload(config_.notify, config_.checks.interval);
  feeder_->retune(feeder_settings(config_), std::make_shared<const LaneTuning>(tuning_of(config_, lane_count())));
}

// ---- Reading ----

std::vector<LaneReading> EngineImpl::lanes() const {
  std::vector<LaneReading> all;
  for (const auto& lane : lanes_) {
    const Lane& inside = lane->thread.lane();
    all.push_back({inside.stats(), lane->thread.checker_stats(), inside.scheduler().stats(),
                   inside.admission().stats(), inside.vantage_tally()});
  }
  return all;
}

std::vector<const sideeffects::ShardStats*> EngineImpl::shards() const {
  std::vector<const sideeffects::ShardStats*> all;
  for (const ShardParts& shard : shards_) all.push_back(&shard.shard->stats());
  return all;
}

VerifiersReading EngineImpl::verifiers() const {
  VerifiersReading reading{
      .panel = panel_.get(), .shards = {}, .quorum = quorum_.load()};
  for (const ShardParts& shard : shards_) reading.shards.push_back(&shard.shard->verification());
  return reading;
}

std::vector<sideeffects::Poisoned> EngineImpl::poisoned() const {
  std::vector<sideeffects::Poisoned> all;
  for (const ShardParts& shard : shards_) {
    for (auto& site : shard.thread->poisoned()) all.push_back(std::move(site));
  }
  return all;
}

std::vector<QueueReading> EngineImpl::queues() const {
  QueueReading inbox{.name = "lane_inbox"};
  QueueReading notes{.name = "lane_notes"};
  QueueReading marks{.name = "freshness_marks"};
  QueueReading mailbox{.name = "shard_mailbox"};
  const auto add = [](QueueReading& sum, const auto& ring) {
    sum.depth += ring.depth();
    sum.capacity += ring.capacity();
    sum.refused += ring.refused();
  };
  for (const auto& lane : lanes_) {
    add(inbox, lane->inbox);
    add(marks, lane->marks);
    for (const auto& ring : lane->notes) add(notes, *ring);
  }
  for (const ShardParts& shard : shards_) {
    mailbox.depth += shard.mailbox->depth();
    mailbox.capacity += shard.mailbox->capacity();
    mailbox.refused += shard.mailbox->coalesced();
  }
  QueueReading verify{.name = "verify"};
  if (panel_) {
    verify.depth = panel_->depth();
    verify.capacity = panel_->capacity();
    verify.refused = panel_->refused();
  }
  return {inbox, mailbox, notes, marks, verify};
}

}  // namespace

core::Result<std::unique_ptr<Engine>> Engine::make(const Config& config, const core::Clock& clock,
                                                   Log& log,
                                                   const StoreRoad::Meanwhile& meanwhile,
                                                   NameSight* sight,
                                                   const std::function<void()>& store_there) {
  auto engine = std::make_unique<EngineImpl>(config, clock, log);
  if (auto built = engine->build(meanwhile, sight, store_there); !built) return built.error();
  return std::unique_ptr<Engine>(std::move(engine));
}

}  // namespace watchwheel::app
