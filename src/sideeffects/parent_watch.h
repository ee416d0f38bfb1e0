// SPDX-License-Identifier: Apache-2.0
// sideeffects/parent_watch.h - the router's questions "may this be told now?" and "what does it hold back?", answered by which sites
// depend on which.
//
//   a site above it                                         what begins at the child
//   is down, or seems so                                    is held
//   came up after the child began to fail, a moment ago     is held until the child was looked at again: what was only unreachable is up then
//   came up, and the child was still down when looked at    is told
//   only seemed down, and does not any more                 is told
//   was down (and until then) for as long as the child was  is told to nobody, however late that is looked at
//
// What is held is looked at again after a quarter of the time that it has lasted, between kLookAgainMin and kLookAgainMax; where much
// is held (a hundred thousand children) later, so that it takes a part of the router's time and leaves the rest to what is to be told
// (LookPace).
//
// Owns     what was read since turn().
// Thread   the router's, for every call but set_interval(): any.
// Bounded  what one turn of the router asks for.
// Fails    the store is not reachable(): nothing is held, until it is. It cannot be read: what begins waits for kUnsureFor, since what
//          fails with its parent comes in the same moments; what a parent held when it could be read waits for kBlindFor, and
//          where very much is held until it is looked at; then nothing is held. What begins stands before what came later, for that
//          time. It is asked again after kAskAgainMin, later and later up to kAskAgainMax.
// Cost     where no site names a parent, a query every kReadEach; else ParentStore::kin once a turn, and ParentStore::below for each
//          parent that is told.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "core/clock.h"
#include "core/pinned.h"
#include "core/stats.h"
#include "sideeffects/parents_api.h"
#include "sideeffects/routing.h"

namespace watchwheel::sideeffects {

// By which site the beginning of `notice` is held, and when it has to be asked again. Nothing: it is not held. Pure. `interval`: how
// often the child is checked.
[[nodiscard]] std::optional<Hold> held_by_parents(const Notice& notice,
                                                  std::span<const ParentOutage> above,
                                                  core::Duration interval, core::WallTime now);

// When each of many is to be looked at again. They are put kApartMin apart, and so far that looking takes one kShare'th of the time:
// the rows of a mass outage would fill every batch of the router else, and digests and reminders stood behind them.
class LookPace {
 public:
  static constexpr core::Duration kApartMin = std::chrono::microseconds{500};
  static constexpr core::Duration kApartMax = std::chrono::milliseconds{10};
  static constexpr core::Duration kBehindMax = std::chrono::minutes{10};
  static constexpr int kShare = 4;
  // Of fewer a turn tells nothing of what one costs.
  static constexpr std::uint32_t kMany = 100;

  // A turn begins; the one before has taken until now.
  void turn(core::SteadyTime now);
  // One more: after `wanted`, and when those before it were looked at.
  [[nodiscard]] core::Duration after(core::Duration wanted, core::SteadyTime now);

 private:
  core::Duration apart_ = kApartMin;
  core::SteadyTime free_at_ = core::SteadyTime::min();
  core::SteadyTime began_ = core::kNoSteadyTime;
  std::uint32_t looked_ = 0;
};

struct ParentStats {
  core::Counter unread;  // Times that the store was asked and gave no answer.
};

class ParentWatch : core::Pinned {
 public:
  // The first parent that any site names counts within this.
  static constexpr core::Duration kReadEach = std::chrono::seconds{5};
  static constexpr core::Duration kAskAgainMin = std::chrono::seconds{1};
  static constexpr core::Duration kAskAgainMax = std::chrono::seconds{30};
  // Three more questions have room in it.
  static constexpr core::Duration kUnsureFor = std::chrono::seconds{10};
  static constexpr core::Duration kBlindFor = std::chrono::minutes{2};
  static constexpr core::Duration kLookAgainMin = std::chrono::seconds{2};
  static constexpr core::Duration kLookAgainMax = std::chrono::minutes{1};
  // Beside the interval: what a check takes, and its result on its way into the store.
  static constexpr core::Duration kSettleSlack = std::chrono::seconds{15};
  // More than these are not counted.
  static constexpr std::uint64_t kCountMax = 1000;

  // `interval`: of sites that have none of their own.
  ParentWatch(ParentStore& store, const core::Clock& clock, core::Duration interval,
              std::function<void(const std::string&)> warn)
      : store_(store), clock_(clock), interval_(interval.count()), warn_(std::move(warn)) {}

  // From any thread; counts from the next look on.
  void set_interval(core::Duration interval) { interval_.store(interval.count()); }

  // The router begins a turn: what was read for the last one is read again.
  void turn();
  // It will ask about these, at most one of each site: what it takes is read for all together. What is asked beside them is read alone.
  void prepare(std::span<const Notice> notices);
  [[nodiscard]] std::optional<Hold> hold(const Notice& notice);
  // What the message that `notice` earns has to say of the sites behind its own. "": there are none.
  [[nodiscard]] std::string note(const Notice& notice);
  [[nodiscard]] const ParentStats& stats() const { return stats_; }

 private:
  // Whether it makes sense to ask for kin: not where nobody has parents, or when the store gave no answer a moment ago.
  [[nodiscard]] bool asks();
  void failed(const core::Error& error);
  void answered();
  // Whether what there is above and below the site is known for this turn; it is read if need be.
  [[nodiscard]] bool knows(const Notice& notice);
  void read(std::span<const Failing> sites);
  // While nobody knows.
  [[nodiscard]] std::optional<Hold> hold_unread(const Notice& notice);

  ParentStore& store_;
  const core::Clock& clock_;
  std::atomic<core::Duration::rep> interval_;
  const std::function<void(const std::string&)> warn_;
  ParentStats stats_;
  bool any_ = true;  // Until it is known.
  core::SteadyTime any_again_at_ = core::SteadyTime::min();
  core::SteadyTime failing_since_ = core::kNoSteadyTime;  // The first failure of a row of them.
  core::SteadyTime not_before_ = core::SteadyTime::min();
  core::Duration ask_again_{};
  LookPace pace_;
  // Of this turn. Of those that were asked for some have no kin.
  std::set<core::SiteId> known_;
  std::map<core::SiteId, SiteKin> kin_;
  std::map<core::SiteId, std::optional<Hold>> holds_;
  std::map<core::SiteId, std::string> notes_;
};

}  // namespace watchwheel::sideeffects
