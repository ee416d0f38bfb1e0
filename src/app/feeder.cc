// SPDX-License-Identifier: Apache-2.0
#include "app/feeder.h"

#include <fmt/format.h>
#include <pthread.h>

#include <algorithm>
#include <condition_variable>
#include <mutex>
#include <optional>
#include <thread>
#include <utility>

#include "core/hash.h"

namespace watchwheel::app {
namespace {

using namespace std::chrono_literals;

constexpr std::size_t kPage = 2000;
constexpr core::Duration kPollEvery = 1s;
constexpr core::Duration kBackoffMax = 5s;
// A re-read after a reload: 2,000 sites each 50 ms is 40,000 a second, a million in 25 s, and no
// lane sees a burst.
constexpr core::Duration kRereadPause = 50ms;

}  // namespace

std::string host_of(std::string_view url) {
  if (const auto scheme = url.find("://"); scheme != std::string_view::npos)
    url.remove_prefix(scheme + 3);
  url = url.substr(0, url.find_first_of("/?#"));
  if (const auto at = url.rfind('@'); at != std::string_view::npos) url.remove_prefix(at + 1);
  if (url.starts_with('[')) {
    url = url.substr(0, url.find(']'));
  } else {
    url = url.substr(0, url.find(':'));
  }
  std::string host(url);
  std::transform(host.begin(), host.end(), host.begin(), [](unsigned char c) {
    return static_cast<char>(c >= 'A' && c <= 'Z' ? c + ('a' - 'A') : c);
  });
  return host;
}

std::size_t lane_of(std::string_view url, std::size_t lanes) {
  return lanes == 1 ? 0 : static_cast<std::size_t>(core::stable_hash(host_of(url)) % lanes);
}

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
  std::weak_ptr<const core::CheckOptions>& seat = by_content_[core::fingerprint(*options)];
  auto shared = seat.lock();
  if (!shared) {
    shared = std::make_shared<const core::CheckOptions>(*std::move(options));
    seat = shared;
    if (by_content_.size() >= drop_at_) drop_unused();
  }
  return shared;
}

std::shared_ptr<const core::CheckOptions> OptionInterner::rejected(const std::string& problem) {
  std::weak_ptr<const core::CheckOptions>& seat = by_content_["rejected: " + problem];
  auto shared = seat.lock();
  if (!shared) {
    shared = std::make_shared<const core::CheckOptions>(defaults_);
    seat = shared;
  }
  return shared;
}

void OptionInterner::drop_unused() {
  std::erase_if(by_content_, [](const auto& entry) { return entry.second.expired(); });
  drop_at_ = std::max<std::size_t>(1024, by_content_.size() * 2);
}

// ---- The thread ----

struct Feeder::Parts {
  Parts(const FeederSettings& initial, std::unique_ptr<db::SiteFeed> site_feed,
        std::vector<LaneInbox> inboxes, const core::Clock& time, Log& lines)
      : feed(std::move(site_feed)),
        lanes(std::move(inboxes)),
        clock(time),
        log(lines),
        settings(initial),
        options(initial.defaults) {}

  struct Retune {
    FeederSettings settings;
    std::shared_ptr<const LaneTuning> tuning;
  };

  std::unique_ptr<db::SiteFeed> feed;
  std::vector<LaneInbox> lanes;
  const core::Clock& clock;
  Log& log;
  FeederSettings settings;
  OptionInterner options;
  core::ChangeSeq seen;
  FeederStats stats;

  std::mutex mutex;
  std::condition_variable wake;
  bool stopping = false;         // Guarded by mutex.
  std::optional<Retune> wanted;  // Guarded by mutex.
  std::thread thread;

  void loop() noexcept;
  bool load();
  bool read_pages(bool first_load);
  void follow_changes();
  void send_site(const core::KnownSite& site, bool tell_others);
  void send_removed(const core::KnownSite& site);
  void send(std::size_t lane, LaneMessage&& message);
  bool pause(core::Duration how_long);
  bool told_to_stop();
  std::optional<Retune> take_retune();
  bool failed(const char* what, const core::Error& error, core::Duration& backoff);
};

// True when the feeder is to stop.
bool Feeder::Parts::pause(core::Duration how_long) {
  std::unique_lock lock(mutex);
  wake.wait_for(lock, how_long, [this] { return stopping; });
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
  log.warn(fmt::format("site_feed_failed call={} kind={} retry_s={:.1f} error=\"{}\"", what,
                       core::to_string(error.kind), core::to_seconds(backoff), error.message));
  const bool stop = pause(backoff);
  backoff = std::min(backoff * 2, kBackoffMax);
  return stop;
}

void Feeder::Parts::send(std::size_t lane, LaneMessage&& message) {
  while (!lanes[lane].ring->offer(std::move(message))) {
    lanes[lane].wake();
    if (pause(1ms))
      return;  // Full: the feeder has nothing else to do. A refused offer leaves the message whole.
  }
}

void Feeder::Parts::send_site(const core::KnownSite& site, bool tell_others) {
  LaneMessage message;
  message.kind = LaneMessage::Kind::Put;
  message.id = site.record.id;
  message.url = site.record.url;
  message.interval = site.record.interval.value_or(settings.interval);
  message.active = site.record.active;
  message.open_event = site.open_event;
  message.last_checked_at = site.last_checked_at;
  auto merged = options.merged(site.record.options);
  if (merged && site.problem.empty()) {
    message.options = *std::move(merged);
  } else {
    // The list is checked where it is edited, so this is another version's option, another program's
    // edit, or a default that no longer fits. See FeederStats::options_rejected.
    message.problem = site.problem.empty() ? merged.error().message : site.problem;
    stats.options_rejected.add();
    log.warn(fmt::format("site_options_rejected site={} error=\"{}\" action=not_asked",
                         site.record.id.value, message.problem));
    message.options = options.rejected(message.problem);
  }
  const std::size_t home = lane_of(site.record.url, lanes.size());
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
  for (std::size_t lane = 0; lane < lanes.size(); ++lane) {
    LaneMessage message;
    message.kind = LaneMessage::Kind::Remove;
    message.id = site.record.id;
    if (lane == lane_of(site.record.url, lanes.size())) message.open_event = site.open_event;
    send(lane, std::move(message));
  }
}

bool Feeder::Parts::read_pages(bool first_load) {
  core::Duration backoff = 100ms;
  core::SiteId after{0};
  for (;;) {
    auto page = feed->load(after, kPage);
    if (!page) {
      if (failed("load", page.error(), backoff)) return false;
      continue;
    }
    backoff = 100ms;
    for (const core::KnownSite& site : page->sites) {
      send_site(site, false);
      if (first_load) stats.sites_loaded.add();
    }
    if (told_to_stop()) return false;
    if (page->last) return true;
    after = page->sites.back().record.id;
    if (!first_load && pause(kRereadPause)) return false;
  }
}

// False: told to stop before it was done.
bool Feeder::Parts::load() {
  core::Duration backoff = 100ms;
  for (
      ;
      ;) {  // First the sequence, then the sites: a change in between comes twice, which is harmless; never not at all.
    auto newest = feed->newest_change();
    if (newest) {
      seen = *newest;
      break;
    }
    if (failed("newest_change", newest.error(), backoff)) return false;
  }
  if (!read_pages(true)) return false;
  core::SiteId after{0};
  for (;;) {
    auto orphans = feed->removed_with_open_event(kPage, after);
    if (!orphans) {
      if (failed("removed_with_open_event", orphans.error(), backoff)) return false;
      continue;
    }
    for (const core::KnownSite& site : *orphans) send_removed(site);
    if (orphans->size() < kPage) break;
    after = orphans->back().record.id;
  }
  for (std::size_t lane = 0; lane < lanes.size(); ++lane) {
    LaneMessage loaded;
    loaded.kind = LaneMessage::Kind::Loaded;
    send(lane, std::move(loaded));
    lanes[lane].wake();
  }
  stats.load_sent.store(true);
  return true;
}

void Feeder::Parts::follow_changes() {
  for (;;) {
    auto page = feed->changes(seen, kPage);
    if (!page) {
      core::Duration backoff = 1s;
      (void)failed("changes", page.error(),
                   backoff);  // Asked again at the next poll, whether it paused for long or not.
      return;
    }
    for (const db::SiteChange& change : *page) {
      change.removed ? send_removed(change.known) : send_site(change.known, lanes.size() > 1);
      seen = change.seq;
      stats.changes.add();
    }
    for (LaneInbox& lane : lanes) {
      if (!page->empty()) lane.wake();
    }
    if (page->size() < kPage || told_to_stop()) return;
  }
}

void Feeder::Parts::loop() noexcept {
  pthread_setname_np(pthread_self(), "feeder");
  const core::SteadyTime began = clock.steady();
  if (!load()) return;
  log.info(fmt::format("sites_loaded sites={} took_s={:.3f}", stats.sites_loaded.value(),
                       core::to_seconds(clock.steady() - began)));
  while (!pause(kPollEvery)) {
    if (auto retune = take_retune()) {
      const bool same = retune->settings.defaults == settings.defaults &&
                        retune->settings.interval == settings.interval;
      settings = retune->settings;
      options.set_defaults(settings.defaults);
      for (std::size_t lane = 0; lane < lanes.size(); ++lane) {
        LaneMessage tune;
        tune.kind = LaneMessage::Kind::Tune;
        tune.tuning = retune->tuning;
        send(lane, std::move(tune));
      }
      if (!same && !read_pages(false)) return;
    }
    follow_changes();
  }
}

Feeder::Feeder(const FeederSettings& settings, std::unique_ptr<db::SiteFeed> feed,
               std::vector<LaneInbox> lanes, const core::Clock& clock, Log& log)
    : parts_(std::make_unique<Parts>(settings, std::move(feed), std::move(lanes), clock, log)) {}

Feeder::~Feeder() {
  stop();
}

void Feeder::start() {
  parts_->thread = std::thread([this] { parts_->loop(); });
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
