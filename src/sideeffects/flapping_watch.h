// SPDX-License-Identifier: Apache-2.0
// sideeffects/flapping_watch.h - which sites flap (core/flapping.h), what is told of it, and what is not told meanwhile.
//
//   a change is routed            share of changes    what comes of it
//   of a site that is steady      above the high mark those who would be told of its outages are told once that it flaps
//   of a site that flaps          any                 beginnings are held, ends of what was told are told, nothing else
//   none for kSteadyLooks         any                 an outage that lasts so long is no flap: it is told, and flapping goes on
//   its wake is due               not below the low   the wake again, for when it could be steady
//   its wake is due               below the low mark  those who were told are told once that it is steady, and how it is: what is
//                                                     down comes out by itself then, for it was held
//
// A confirmed outage is two changes; what only seemed down is none, for most are not told of it. Flapping begins where it saves
// people messages: only outages of which somebody was told count for that, and not while something else holds a site's notices
// (maintenance), not with a change of a mass outage (its digests are few, and flapping has none), and not because a site was paused,
// closed or removed.
//
// Owns     a few bytes of each site that flaps. All of it is in the store too: that a site flaps is a wake of the event with which
//          it began, and it comes and goes in the transaction that has what is told.
// Thread   the router's. stats(), set_interval(): any.
// Bounded  the sites of one reading of the store.
// Fails    the store cannot be read: nothing begins and nothing ends, who was known to flap does. Of a new process nobody is known:
//          where only an answer was lost it waits until it has one; where the store is away it tells what begins.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "core/clock.h"
#include "core/flapping.h"
#include "core/pinned.h"
#include "core/result.h"
#include "core/stats.h"
#include "sideeffects/flapping_api.h"
#include "sideeffects/routing.h"

namespace watchwheel::sideeffects {

struct FlappingStats {
  core::Gauge sites;  // That flap, at the last look.
  core::Counter begun;
  core::Counter ended;
  core::Counter unread;  // Times that the store was asked and gave no answer.
};

class FlappingWatch : core::Pinned {
 public:
  // Who flaps is read anew so often while there is something to tell: another host may have had the site.
  static constexpr core::Duration kReadEach = std::chrono::seconds{30};
  static constexpr core::Duration kLookAgainMin = std::chrono::seconds{5};
  static constexpr core::Duration kLookAgainMax = std::chrono::minutes{1};
  // A site that goes up and down evenly, so long each, is just above the default low mark.
  static constexpr int kSteadyLooks = 4;

  struct Settings {
    core::FlapPolicy policy{};
    core::Duration interval = std::chrono::minutes{5};  // Of sites that have none of their own.
    std::function<void(const std::string&)> warn = [](const std::string&) {};
  };
  FlappingWatch(Settings settings, FlappingStore& store, const core::Clock& clock)
      : settings_(std::move(settings)),
        interval_(settings_.interval.count()),
        store_(store),
        clock_(clock) {}

  // In place of Settings::interval, from any thread.
  void set_interval(core::Duration interval) { interval_.store(interval.count()); }

  // An error: who flaps is not known yet, and will be in a moment.
  [[nodiscard]] core::Result<void> ready();

  using Holds = std::function<std::optional<Hold>(const Notice&)>;
  // Judges what add() and hold() say of these. `otherwise`: what else holds a notice.
  void look(std::span<const Notice> notices, const Holds& otherwise);
  [[nodiscard]] std::optional<Hold> hold(const Notice& notice) const;
  // What is to be told and remembered of those that `routing` settles.
  void add(std::span<const Notice> notices, const NotifyTargets& targets, Routing& routing) const;

  // The store has these settled, together with what add() said.
  void settled(std::span<const NoticeId> notices);
  // Or nobody knows whether it has.
  void doubt() { must_read_ = true; }

  [[nodiscard]] const FlappingStats& stats() const { return stats_; }

 private:
  struct Verdict {
    enum class Kind : std::uint8_t { Begins, GoesOn, Ends };
    Kind kind = Kind::GoesOn;
    core::SiteId site;
    core::WallTime since = core::kNoWallTime;
    core::WallTime until = core::kNoWallTime;  // It could be steady then.
    core::Duration look{};
    core::SiteState state = core::SiteState::Unknown;
  };
  struct Site {
    core::WallTime until = core::kNoWallTime;
    core::Duration look{};  // 0: not known yet.
  };

  [[nodiscard]] core::Result<void> read_sites();
  [[nodiscard]] std::vector<core::SiteId> to_ask(std::span<const Notice> notices,
                                                 std::map<core::SiteId, const Notice*>& asked);
  [[nodiscard]] core::Duration look_of(const SiteChanges& history) const;
  void judge(const Notice& notice, const SiteChanges& history, const Holds& otherwise);
  void failed(const core::Error& error);

  [[nodiscard]] core::Duration interval() const { return core::Duration{interval_.load()}; }

  const Settings settings_;
  std::atomic<core::Duration::rep> interval_;
  FlappingStore& store_;
  const core::Clock& clock_;
  std::map<core::SiteId, Site> sites_;
  std::map<NoticeId, Verdict> verdicts_;  // Of the last look.
  bool must_read_ = true;
  bool failing_ = false;
  core::SteadyTime read_at_ = core::kNoSteadyTime;
  core::SteadyTime not_before_ = core::SteadyTime::min();  // The store failed.
  FlappingStats stats_;
};

}  // namespace watchwheel::sideeffects
