// SPDX-License-Identifier: Apache-2.0
// app/feeder.h - brings the site list from the store to the lanes: all of it at start, then every
// change.
//
// Owns     the thread ("feeder"), the store's feed, and the interned check options.
// Thread   start(), stop(), retune(): the engine's. The orders of BucketCare: the cluster's. look_for_orphans(), stats(): any.
// Bounded  a page of 2,000 sites at a time; a lane's inbox that is full makes the feeder wait, so
//          that a load of millions takes no memory of its own but what LaneSpread counts with, and the sites of buckets at hand
//          (ClusterMember::kAtHandMax).
// Time     changes are asked for once a second, and page after page while there are more. A re-read
//          after a reload takes its pages in between: neither waits for the end of the other. So does a page
//          of the open events whose site is gone, every few minutes and when it is said that there may be one.
// Fails    a store that is away: asked again with backoff up to 5 s, for ever; counted. What was
//          sent stays in force.
//
// Where several hosts share the sites (a table is given) it loads and follows only the sites of buckets that are ours, as the
// cluster's thread orders: at hand, into the lanes, forgotten. Lanes drop by themselves what is not ours any more.
//
// Which lane a site belongs to: see lane_spread.h. With every change the other lanes are told to
// leave the site, so that one that moves to another host is in one lane, and nobody has to remember
// where each site went.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "app/cluster_member.h"
#include "app/lane_ports.h"
#include "app/lane_spread.h"
#include "app/log.h"
#include "core/clock.h"
#include "core/stats.h"
#include "db/site_feed.h"

namespace watchwheel::app {

struct FeederStats {
  core::Counter sites_loaded;
  core::Counter changes;
  core::Counter rereads;  // Of the whole list, after new defaults; counted when through.
  core::Counter errors;   // Calls of the store that failed.
  // Sites whose stored options do not fit, whose URL is too long, or whose row cannot be read. They are not asked
  // (target_invalid, with the reason) and turn unknown: asked in a way nobody wanted, something false could be told about them.
  core::Counter options_rejected;
  std::atomic<bool> load_sent{false};
  std::atomic<bool> away{false};  // The last call of the store failed.
};

// What a lane looks like from here.
struct LaneInbox {
  core::SpscRing<LaneMessage>* ring = nullptr;
  std::function<void()> wake;
};

// Check options by content: one object for each distinct set, shared by all sites that have it,
// gone with the last of them. The feeder's thread only.
class OptionInterner {
 public:
  explicit OptionInterner(const core::CheckOptions& defaults);
  // A new set of defaults. What was given out before stays valid.
  void set_defaults(const core::CheckOptions& defaults);
  // Invalid: the message names the option that does not fit.
  [[nodiscard]] core::Result<std::shared_ptr<const core::CheckOptions>> merged(
      const core::SiteOptions& own);
  // A set of its own for sites that cannot be asked for this reason.
  [[nodiscard]] std::shared_ptr<const core::CheckOptions> rejected(const std::string& problem);
  // Sets that are kept, those without a site that were not looked for yet among them.
  [[nodiscard]] std::size_t size() const { return by_content_.size(); }
  // How often expressions were compiled to see whether they can be. For tests.
  [[nodiscard]] std::uint64_t compiled() const { return compiled_; }

 private:
  [[nodiscard]] std::shared_ptr<const core::CheckOptions> shared(const std::string& key,
                                                                 const core::CheckOptions& options);
  void drop_unused();

  core::CheckOptions defaults_;
  std::shared_ptr<const core::CheckOptions>
      plain_;  // For sites without options of their own: most.
  std::unordered_map<std::string, std::weak_ptr<const core::CheckOptions>> by_content_;
  std::size_t drop_at_ = 1024;  // Entries at which those without a site are looked for.
  std::unordered_map<std::string, core::Error> refused_;  // By fingerprint, what a compiler said. At most kRefusedMost.
  std::uint64_t compiled_ = 0;
};

struct FeederSettings {
  core::CheckOptions defaults;
  core::Duration interval{};  // Of sites that set none.
};

struct FeederPace {
  core::Duration poll_every = std::chrono::seconds{1};
  // A re-read after a reload: 2,000 sites each 50 ms is 40,000 a second, a million in 25 s, and no
  // lane sees a burst.
  core::Duration reread_pause = std::chrono::milliseconds{50};
  std::size_t page = 2000;
  // How often events are looked for whose site is gone: of one that is removed while the lane before its last one still has its
  // first failure committed, no lane knows any more.
  core::Duration orphans_every = std::chrono::minutes{3};
};

class Feeder final : public BucketCare, core::Pinned {
 public:
  Feeder(const FeederSettings& settings, std::unique_ptr<db::SiteFeed> feed,
         std::vector<LaneInbox> lanes, const core::Clock& clock, Log& log, FeederPace pace = {},
         const core::BucketTable* buckets = nullptr);
  ~Feeder() override;

  void prepare(core::BucketNo bucket) override;
  [[nodiscard]] std::vector<core::BucketNo> take_prepared() override;
  void forget(core::BucketNo bucket) override;
  void begin(core::BucketNo bucket, core::SteadyTime from) override;

  void start();
  // New defaults: the site list is read again, page by page at a bounded rate, and each lane keeps
  // what has not changed. Others while that goes on: it begins again.
  void retune(const FeederSettings& settings, std::shared_ptr<const LaneTuning> tuning);
  void stop();
  // An event whose site is gone may have been left open: with the next poll.
  void look_for_orphans();

  [[nodiscard]] const FeederStats& stats() const;

 private:
  struct Parts;
  std::unique_ptr<Parts> parts_;
};

}  // namespace watchwheel::app
