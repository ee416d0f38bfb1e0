// SPDX-License-Identifier: Apache-2.0
#include "app/feeder.h"

#include <fmt/format.h>
#include <pthread.h>

#include <algorithm>
#include <condition_variable>
#include <deque>
#include <mutex>
#include <optional>
#include <thread>
#include <utility>

#include "checker/content_rules.h"

namespace watchwheel::app {
namespace {

using namespace std::chrono_literals;

// A store that is away is asked again after so long, then twice that, at most every kBackoffMax.
constexpr core::Duration kBackoffMin = 100ms;
constexpr core::Duration kBackoffMax = 5s;
// Different sets of options that an expression's compiler refused: more are asked for again.
constexpr std::size_t kRefusedMost = 1024;
// A row of the first count is an id and a URL.
constexpr std::size_t kUrlPage = 10'000;
constexpr int kOrdersAtOnce = 16;

}  // namespace

// ---- Options ----

OptionInterner::OptionInterner(const core::CheckOptions& defaults) {
  set_defaults(defaults);
}

void OptionInterner::set_defaults(const core::CheckOptions& defaults) {
  if (plain_ && defaults_ == defaults) return;
  defaults_ = defaults;
  plain_ = std::make_shared<const core::CheckOptions>(defaults);
}

core::Result<std::shared_ptr<const core::CheckOptions>> OptionInterner::merged(
    const core::SiteOptions& own) {
  if (own.empty()) return plain_;
  auto options = core::merge_options(defaults_, own);
  if (!options) return options.error();
  const std::string key = core::fingerprint(*options);
  if (const auto known = by_content_.find(key); known != by_content_.end()) {
    if (auto kept = known->second.lock()) return kept;
  }
  // An expression that is refused may take tens of milliseconds to say so: here, where there is time, and once, not in each lane
  // and for each site.
  if (const auto refused = refused_.find(key); refused != refused_.end()) return refused->second;
  ++compiled_;
  if (auto fit = checker::check_content_options(*options); !fit) {
    if (refused_.size() >= kRefusedMost) refused_.clear();
    refused_.emplace(key, fit.error());
    return fit.error();
  }
  return shared(key, *options);
}

std::shared_ptr<const core::CheckOptions> OptionInterner::rejected(const std::string& problem) {
  return shared("rejected: " + problem, defaults_);
}

std::shared_ptr<const core::CheckOptions> OptionInterner::shared(
    const std::string& key, const core::CheckOptions& options) {
  std::weak_ptr<const core::CheckOptions>& seat = by_content_[key];
  auto kept = seat.lock();
  if (!kept) {
    kept = std::make_shared<const core::CheckOptions>(options);
    seat = kept;
    if (by_content_.size() >= drop_at_) drop_unused();
  }
  return kept;
}

void OptionInterner::drop_unused() {
  std::erase_if(by_content_, [](const auto& entry) { return entry.second.expired(); });
  drop_at_ = std::max<std::size_t>(1024, by_content_.size() * 2);
}

// ---- The thread ----

struct Feeder::Parts {
  Parts(const FeederSettings& initial, std::unique_ptr<db::SiteFeed> site_feed,
        std::vector<LaneInbox> inboxes, const core::Clock& time, Log& lines, FeederPace how,
        const core::BucketTable* table)
      : buckets(table),
        feed(std::move(site_feed)),
        lanes(std::move(inboxes)),
        clock(time),
        log(lines),
        pace(how),
        settings(initial),
        options(initial.defaults),
        spread(lanes.size()) {}

  struct Retune {
    FeederSettings settings;
    std::shared_ptr<const LaneTuning> tuning;
  };

  struct Order {
    enum class Kind : std::uint8_t { Prepare, Forget, Begin };
    Kind kind = Kind::Prepare;
    core::BucketNo bucket;
    core::SteadyTime from;
  };
  // Sites of a bucket that will be ours. Stale: one of them has changed since they were read.
  struct AtHand {
    std::vector<core::KnownSite> sites;
    bool stale = false;
  };

  const core::BucketTable* const buckets;  // Null: every site is ours.
  std::unique_ptr<db::SiteFeed> feed;
  std::vector<LaneInbox> lanes;
  const core::Clock& clock;
  Log& log;
  const FeederPace pace;
  FeederSettings settings;
  OptionInterner options;
  LaneSpread spread;
  core::SiteId highest;  // Of all sites known: one above it is new. Ids are never given again.
  core::ChangeSeq seen;
  core::SteadyTime poll_at;  // When changes are asked for next.
  core::Duration changes_backoff = kBackoffMin;
  // A re-read under way: the last id that was sent, and when it goes on.
  std::optional<core::SiteId> reread_after;
  core::SiteId reread_until;  // What is newer comes as a change, with the new defaults.
  core::SteadyTime reread_at;
  core::SteadyTime reread_since;
  core::Duration reread_backoff = kBackoffMin;
  // Open events without a site: when a page of them is asked for next, and after which site.
  core::SteadyTime orphans_at;
  core::SiteId orphans_after;
  std::atomic<bool> orphans_told{false};  // There may be one.
  std::unordered_map<core::BucketNo, AtHand> at_hand;
  std::deque<Order> to_do;  // Taken from `orders`.
  std::vector<core::SteadyTime> begin_from;  // Of each bucket; while the whole list is read at the start.
  core::Duration orders_backoff = kBackoffMin;
  FeederStats stats;

  std::mutex mutex;
  std::condition_variable wake;
  bool stopping = false;         // Guarded by mutex.
  std::optional<Retune> wanted;  // Guarded by mutex.
  std::deque<Order> orders;      // Guarded by mutex.
  std::vector<core::BucketNo> prepared;  // Guarded by mutex.
  std::thread thread;

  void loop() noexcept;
  bool load();
  bool newest_change();
  bool count_hosts();
  bool send_all();
  bool send_orphans();
  void put_in_force(const Retune& retune);
  void send_again();
  void follow_changes();
  void end_orphans();
  void send_site(const core::KnownSite& site, bool tell_others,
                 core::SteadyTime from = core::kNoSteadyTime, bool taken = false);
  void order(const Order& given);
  bool take_orders();
  bool obey(const Order& given);
  bool begin_all();
  bool read_bucket(core::BucketNo bucket, AtHand& into);
  [[nodiscard]] bool is_watched(core::SiteId site) const {
    return buckets == nullptr || buckets->watched(buckets->of(site));
  }
  [[nodiscard]] bool may_end(core::SiteId site) const {
    return buckets == nullptr || buckets->epoch(buckets->of(site)) != 0;
  }
  void note_new(const core::KnownSite& site);
  void send_removed(const core::KnownSite& site);
  void send(std::size_t lane, LaneMessage&& message);
  void wake_all();
  bool pause(core::Duration how_long, bool heed_orders = false);
  bool told_to_stop();
  std::optional<Retune> take_retune();
  void answered();
  bool failed(const char* what, const core::Error& error, core::Duration& backoff);
};

// True when the feeder is to stop.
bool Feeder::Parts::pause(core::Duration how_long, bool heed_orders) {
  std::unique_lock lock(mutex);
  wake.wait_for(lock, how_long, [&] { return stopping || (heed_orders && !orders.empty()); });
  return stopping;
}

bool Feeder::Parts::told_to_stop() {
  const std::lock_guard lock(mutex);
  return stopping;
}

std::optional<Feeder::Parts::Retune> Feeder::Parts::take_retune() {
  const std::lock_guard lock(mutex);
  return std::exchange(wanted, std::nullopt);
}

bool Feeder::Parts::failed(const char* what, const core::Error& error, core::Duration& backoff) {
  stats.errors.add();
  // Once an outage: the counter has the rest.
  const LogLevel level = stats.away.exchange(true) ? LogLevel::Debug : LogLevel::Warning;
  log.write(level, fmt::format("site_feed_failed call={} kind={} retry_s={:.1f} error=\"{}\"", what,
                               core::to_string(error.kind), core::to_seconds(backoff),
                               error.message));
  const bool stop = pause(backoff);
  backoff = std::min(backoff * 2, kBackoffMax);
  return stop;
}

void Feeder::Parts::answered() {
  if (stats.away.exchange(false)) log.info("site_feed_back");
}

void Feeder::Parts::send(std::size_t lane, LaneMessage&& message) {
  while (!lanes[lane].ring->offer(std::move(message))) {
    lanes[lane].wake();
    if (pause(1ms))
      return;  // Full: the feeder has nothing else to do. A refused offer leaves the message whole.
  }
}

void Feeder::Parts::send_site(const core::KnownSite& site, bool tell_others,
                              core::SteadyTime from, bool taken) {
  LaneMessage message;
  message.from = from;
  message.taken = taken;
  message.kind = LaneMessage::Kind::Put;
  message.id = site.record.id;
  message.url = site.record.url;
  message.interval = site.record.interval.value_or(settings.interval);
  message.active = site.record.active;
  message.open_event = site.open_event;
  message.last_checked_at = site.last_checked_at;
  auto merged = options.merged(site.record.options);
  if (!site.problem.empty()) {
    message.problem = site.problem;
  } else if (message.url.size() > core::kUrlBytesMax) {
    message.problem = fmt::format("the URL is longer than {} bytes", core::kUrlBytesMax);
  } else if (!merged) {
    message.problem = merged.error().message;
  }
  // No lane has room for more: it is not asked, but it is there and turns unknown.
  if (message.url.size() > core::kUrlBytesMax) message.url.resize(core::kUrlBytesMax);
  if (message.problem.empty()) {
    message.options = *std::move(merged);
  } else {
    // The list is checked where it is edited, so this is another version's option, another program's
    // edit, or a default that no longer fits. See FeederStats::options_rejected.
    stats.options_rejected.add();
    log.warn(fmt::format("site_options_rejected site={} error=\"{}\" action=not_asked",
                         site.record.id.value, message.problem));
    message.options = options.rejected(message.problem);
  }
  const std::size_t home = spread.lane_of(site.record.url, site.record.id);
  if (tell_others) {
    for (std::size_t other = 0; other < lanes.size(); ++other) {
      if (other == home) continue;
      LaneMessage leave;
      leave.kind = LaneMessage::Kind::Leave;
      leave.id = site.record.id;
      send(other, std::move(leave));
    }
  }
  send(home, std::move(message));
}

// Nobody here remembers which lane had it; those that did not pass it over. What is open is given
// to one of them only.
void Feeder::Parts::send_removed(const core::KnownSite& site) {
  if (!site.problem.empty()) {
    log.warn(fmt::format("site_removed_unreadable site={} error=\"{}\" action={}",
                         site.record.id.value, site.problem,
                         site.open_event ? "event_ended" : "event_left_open"));
  }
  const std::size_t home = spread.lane_of(site.record.url, site.record.id);
  for (std::size_t lane = 0; lane < lanes.size(); ++lane) {
    LaneMessage message;
    message.kind = LaneMessage::Kind::Remove;
    message.id = site.record.id;
    if (lane == home) message.open_event = site.open_event;
    send(lane, std::move(message));
  }
}

void Feeder::Parts::wake_all() {
  for (LaneInbox& lane : lanes) lane.wake();
}

// ---- All of them, at start. Each step returns false when told to stop before it was done. ----

bool Feeder::Parts::newest_change() {
  core::Duration backoff = kBackoffMin;
  for (;;) {
    const auto newest = feed->newest_change();
    if (newest) {
      answered();
      seen = *newest;
      return true;
    }
    if (failed("newest_change", newest.error(), backoff)) return false;
  }
}

// Before the first site is sent, so that each finds its lane by the same rule. See lane_spread.h.
bool Feeder::Parts::count_hosts() {
  core::Duration backoff = kBackoffMin;
  while (lanes.size() > 1) {
    const auto page = feed->urls(highest, kUrlPage);
    if (!page) {
      if (failed("urls", page.error(), backoff)) return false;
      continue;
    }
    backoff = kBackoffMin;
    for (const db::SiteUrl& site : *page) {
      spread.count(site.url);
      highest = site.id;
    }
    if (told_to_stop()) return false;
    if (page->size() < kUrlPage) break;
  }
  spread.begin();
  return true;
}

// It came while the others were counted, or since then.
void Feeder::Parts::note_new(const core::KnownSite& site) {
  if (site.record.id <= highest) return;
  spread.count(site.record.url);
  highest = site.record.id;
}

bool Feeder::Parts::send_all() {
  core::Duration backoff = kBackoffMin;
  core::SiteId after{0};
  for (;;) {
    auto page = feed->load(after, pace.page);
    if (!page) {
      if (failed("load", page.error(), backoff)) return false;
      continue;
    }
    backoff = kBackoffMin;
    for (const core::KnownSite& site : page->sites) {
      note_new(site);
      if (!is_watched(site.record.id)) continue;
      const core::SteadyTime from = begin_from.empty() ? core::kNoSteadyTime
                                                 : begin_from[buckets->of(site.record.id).value];
      send_site(site, spread.is_late(site.record.url), from);
      stats.sites_loaded.add();
    }
    if (told_to_stop()) return false;
    if (page->last) return true;
    after = page->sites.back().record.id;
  }
}

bool Feeder::Parts::send_orphans() {
  core::Duration backoff = kBackoffMin;
  core::SiteId after{0};
  for (;;) {
    auto orphans = feed->removed_with_open_event(pace.page, after);
    if (!orphans) {
      if (failed("removed_with_open_event", orphans.error(), backoff)) return false;
      continue;
    }
    for (const core::KnownSite& site : *orphans) {
      if (may_end(site.record.id)) send_removed(site);
    }
    if (orphans->size() < pace.page) return true;
    after = orphans->back().record.id;
  }
}

// First the sequence, then the sites: a change in between comes twice, which is harmless; never not at all.
bool Feeder::Parts::load() {
  if (!newest_change() || !count_hosts()) return false;
  if (buckets == nullptr ? !send_all() : !begin_all()) return false;
  if (!send_orphans()) return false;
  for (std::size_t lane = 0; lane < lanes.size(); ++lane) {
    LaneMessage loaded;
    loaded.kind = LaneMessage::Kind::Loaded;
    send(lane, std::move(loaded));
  }
  wake_all();
  stats.load_sent.store(true);
  return true;
}

// ---- Afterwards: a page of changes and a page of a re-read in turns ----

// A page. When it was full, the next one is due at once.
void Feeder::Parts::follow_changes() {
  poll_at = clock.steady() + pace.poll_every;
  auto page = feed->changes(seen, pace.page);
  if (!page) {
    (void)failed("changes", page.error(), changes_backoff);  // Asked again at the next poll.
    return;
  }
  changes_backoff = kBackoffMin;
  answered();
  if (page->empty()) return;
  // Sites that the store did not have before are counted, edits are not: many edits of few sites would make their host look heavy.
  // Changes do not come in the order of ids, but each site comes once in a page.
  const core::SiteId before = highest;
  for (const db::SiteChange& change : *page) {
    const core::SiteId id = change.known.record.id;
    if (!change.removed) {
      if (id > before) spread.count(change.known.record.url);
      highest = std::max(highest, id);
    }
    seen = change.seq;
    if (buckets != nullptr) {
      const auto held = at_hand.find(buckets->of(id));
      if (held != at_hand.end()) held->second.stale = true;
    }
    if (!is_watched(id)) continue;
    if (change.removed) {
      send_removed(change.known);
    } else {
      send_site(change.known, lanes.size() > 1);
    }
    stats.changes.add();
  }
  wake_all();
  if (page->size() >= pace.page) poll_at = clock.steady();
}

// A page. Those whose end is under way are told again, which is harmless.
void Feeder::Parts::end_orphans() {
  orphans_at = clock.steady() + pace.orphans_every;
  auto page = feed->removed_with_open_event(pace.page, orphans_after);
  if (!page) {
    core::Duration once = kBackoffMin;
    (void)failed("removed_with_open_event", page.error(), once);  // Asked again in minutes anyway.
    return;
  }
  orphans_after = page->size() < pace.page ? core::SiteId{} : page->back().record.id;
  for (const core::KnownSite& site : *page) {
    if (may_end(site.record.id)) send_removed(site);
  }
  if (!page->empty()) wake_all();
}

// ---- Buckets that come and go ----

void Feeder::Parts::order(const Order& given) {
  {
    const std::lock_guard lock(mutex);
    orders.push_back(given);
  }
  wake.notify_all();
}

bool Feeder::Parts::take_orders() {
  const std::lock_guard lock(mutex);
  for (const Order& one : orders) to_do.push_back(one);
  orders.clear();
  return !to_do.empty();
}

// What is ours from the start. Of most of the list it is quicker to read all of it.
bool Feeder::Parts::begin_all() {
  take_orders();
  const auto is_begin = [](const Order& one) { return one.kind == Order::Kind::Begin; };
  const auto begins = std::count_if(to_do.begin(), to_do.end(), is_begin);
  if (begins >= buckets->buckets() / 2) {
    begin_from.resize(buckets->buckets());
    for (const Order& one : to_do) {
      if (is_begin(one) && begin_from[one.bucket.value] == core::kNoSteadyTime)
        begin_from[one.bucket.value] = one.from;
    }
    std::erase_if(to_do, is_begin);
    if (!send_all()) return false;
  }
  while (!to_do.empty()) {
    if (obey(to_do.front())) to_do.pop_front();
    if (told_to_stop()) return false;
  }
  return true;
}

// False: it could not be done, and is tried again.
bool Feeder::Parts::obey(const Order& given) {
  if (given.kind == Order::Kind::Forget) {
    at_hand.erase(given.bucket);
    return true;
  }
  AtHand& held = at_hand[given.bucket];
  const bool there = given.kind == Order::Kind::Begin && !held.sites.empty() && !held.stale;
  if (!there && !read_bucket(given.bucket, held)) return false;
  if (given.kind == Order::Kind::Prepare) {
    const std::lock_guard lock(mutex);
    prepared.push_back(given.bucket);
    return true;
  }
  if (buckets->watched(given.bucket)) {  // It may have gone again meanwhile.
    for (const core::KnownSite& site : held.sites) {
      note_new(site);
      send_site(site, spread.is_late(site.record.url), given.from, true);
      stats.sites_loaded.add();
    }
    wake_all();
  }
  at_hand.erase(given.bucket);
  return true;
}

// All of it or nothing: what is at hand after a page that failed would pass for the whole bucket.
bool Feeder::Parts::read_bucket(core::BucketNo bucket, AtHand& into) {
  into = AtHand{};
  AtHand read;
  core::SiteId after{0};
  while (true) {
    auto page = feed->load_bucket(core::hashes_of(bucket, buckets->buckets()), after, pace.page);
    if (!page) {
      (void)failed("load_bucket", page.error(), orders_backoff);
      return false;
    }
    orders_backoff = kBackoffMin;
    for (core::KnownSite& site : page->sites) read.sites.push_back(std::move(site));
    if (page->last || read.sites.empty()) {
      into = std::move(read);
      return true;
    }
    after = read.sites.back().record.id;
  }
}

void Feeder::Parts::put_in_force(const Retune& retune) {
  const bool same = retune.settings.defaults == settings.defaults &&
                    retune.settings.interval == settings.interval;
  settings = retune.settings;
  options.set_defaults(settings.defaults);
  for (std::size_t lane = 0; lane < lanes.size(); ++lane) {
    LaneMessage tune;
    tune.kind = LaneMessage::Kind::Tune;
    tune.tuning = retune.tuning;
    send(lane, std::move(tune));
  }
  wake_all();
  if (same) return;
  reread_after = core::SiteId{0};
  reread_until = highest;
  reread_at = reread_since = clock.steady();
}

// A page of the re-read.
void Feeder::Parts::send_again() {
  reread_at = clock.steady() + pace.reread_pause;
  auto page = feed->load(*reread_after, pace.page);
  if (!page) {
    (void)failed("load", page.error(), reread_backoff);  // Asked again.
    return;
  }
  reread_backoff = kBackoffMin;
  for (const core::KnownSite& site : page->sites) {
    if (is_watched(site.record.id)) send_site(site, spread.is_late(site.record.url));
  }
  wake_all();
  if (!page->last && page->sites.back().record.id < reread_until) {
    reread_after = page->sites.back().record.id;
    return;
  }
  reread_after.reset();
  stats.rereads.add();
  log.info(fmt::format("sites_read_again took_s={:.3f}",
                       core::to_seconds(clock.steady() - reread_since)));
}

void Feeder::Parts::loop() noexcept {
  pthread_setname_np(pthread_self(), "feeder");
  const core::SteadyTime began = clock.steady();
  if (!load()) return;
  log.info(fmt::format("sites_loaded sites={} took_s={:.3f} lanes={} heavy_hosts={}",
                       stats.sites_loaded.value(), core::to_seconds(clock.steady() - began),
                       lanes.size(), spread.heavy_hosts()));
  poll_at = clock.steady() + pace.poll_every;
  orphans_at = clock.steady() + pace.orphans_every;
  for (;;) {
    core::SteadyTime next = std::min(poll_at, orphans_at);
    if (reread_after) next = std::min(next, reread_at);
    if (!to_do.empty()) next = core::kNoSteadyTime;
    const core::SteadyTime now = clock.steady();
    if (next > now ? pause(next - now, true) : told_to_stop()) return;
    if (const auto retune = take_retune()) put_in_force(*retune);
    // A few at a time: changes are not to wait for a takeover.
    for (int i = 0; i < kOrdersAtOnce && take_orders(); ++i) {
      if (!obey(to_do.front())) break;
      to_do.pop_front();
    }
    if (reread_after && clock.steady() >= reread_at) send_again();
    if (clock.steady() >= poll_at) follow_changes();
    if (clock.steady() >= orphans_at || orphans_told.exchange(false)) end_orphans();
  }
}

Feeder::Feeder(const FeederSettings& settings, std::unique_ptr<db::SiteFeed> feed,
               std::vector<LaneInbox> lanes, const core::Clock& clock, Log& log, FeederPace pace,
               const core::BucketTable* buckets)
    : parts_(std::make_unique<Parts>(settings, std::move(feed), std::move(lanes), clock, log, pace,
                                     buckets)) {}

Feeder::~Feeder() {
  stop();
}

void Feeder::prepare(core::BucketNo bucket) {
  parts_->order({.kind = Parts::Order::Kind::Prepare, .bucket = bucket, .from = {}});
}
void Feeder::forget(core::BucketNo bucket) {
  parts_->order({.kind = Parts::Order::Kind::Forget, .bucket = bucket, .from = {}});
}
void Feeder::begin(core::BucketNo bucket, core::SteadyTime from) {
  parts_->order({.kind = Parts::Order::Kind::Begin, .bucket = bucket, .from = from});
}
std::vector<core::BucketNo> Feeder::take_prepared() {
  const std::lock_guard lock(parts_->mutex);
  return std::exchange(parts_->prepared, {});
}

void Feeder::start() {
  parts_->thread = std::thread([this] { parts_->loop(); });
}

void Feeder::look_for_orphans() {
  parts_->orphans_told.store(true);
}

void Feeder::retune(const FeederSettings& settings, std::shared_ptr<const LaneTuning> tuning) {
  {
    const std::lock_guard lock(parts_->mutex);
    parts_->wanted = Parts::Retune{settings, std::move(tuning)};
  }
  parts_->wake.notify_all();
}

void Feeder::stop() {
  {
    const std::lock_guard lock(parts_->mutex);
    parts_->stopping = true;
  }
  parts_->wake.notify_all();
  if (parts_->thread.joinable()) parts_->thread.join();
}

const FeederStats& Feeder::stats() const {
  return parts_->stats;
}

}  // namespace watchwheel::app
