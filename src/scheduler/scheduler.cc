// SPDX-License-Identifier: Apache-2.0
#include "scheduler/scheduler.h"

#include <algorithm>
#include <array>
#include <utility>
#include <vector>

#include "core/ensure.h"
#include "core/owner.h"
#include "scheduler/due_order.h"
#include "scheduler/overload.h"
#include "scheduler/pacer.h"
#include "scheduler/phase.h"
#include "scheduler/wheel.h"

namespace watchwheel::scheduler {
namespace {

using core::Duration;
using core::SiteSlot;
using core::SteadyTime;
using core::WallTime;
using namespace std::chrono_literals;
using Place = SiteTable::Place;
using Timing = SiteTable::Timing;

// First checks of new sites are brought forward into this time, and only where the interval is longer.
constexpr Duration kHurryWithin = 1min;
// A check this many ticks late means that the pacer is behind and may go faster.
constexpr int kBehindTicks = 2;
// After a stall a whole fleet is due: so many sites enter the queue in a turn, in a millisecond or two, and the next turn is at once.
constexpr std::size_t kDueAtOnce = 8192;
// Not called for so long: the process stood still. What fell due meanwhile is left over.
constexpr Duration kStall = 5s;
// A site that was left over and whose grid point is nearer than this part of its interval is not asked before it.
constexpr int kSoonShare = 8;

std::uint32_t to_ms(Duration d) {
  const auto ms = core::duration_cast<std::chrono::milliseconds>(d).count();
  return static_cast<std::uint32_t>(std::clamp<std::int64_t>(ms, 1, UINT32_MAX));
}

std::uint32_t whole_ms(Duration d) {
  const auto ms = core::duration_cast<std::chrono::milliseconds>(d).count();
  return static_cast<std::uint32_t>(std::clamp<std::int64_t>(ms, 0, UINT32_MAX));
}

// The sum of rates, in whole numbers, so that millions of additions and subtractions leave no drift: 10^14 / period in ms. Sixteen
// million sites at 10 checks a second each still fit.
class RateSum {
 public:
  void add(std::uint32_t period_ms) { sum_ += share(period_ms); }
  void remove(std::uint32_t period_ms) { sum_ -= share(period_ms); }
  [[nodiscard]] double per_second() const { return static_cast<double>(sum_) * 1000 / kScale; }

 private:
  static constexpr double kScale = 1e14;
  static std::uint64_t share(std::uint32_t period_ms) {
    return period_ms == 0
               ? 0
               : std::uint64_t{100'000'000'000'000} / std::max<std::uint32_t>(period_ms, 100);
  }
  std::uint64_t sum_ = 0;
};

}  // namespace

struct Scheduler::Parts {
  Parts(Limits given, SiteTable& table, SteadyTime now, WallTime wall)
      : limits(given),
        sites(table),
        wheel({.tick = given.tick, .horizon = given.horizon}, table, now),
        waiting(table),
        pacer(now),
        overload(now),
        stretch(now),
        anchor{.wall = wall, .steady = now},
        turned_at(now),
        hurry_next(now) {}

  const Limits limits;
  SiteTable& sites;
  Wheel wheel;
  DueOrder waiting;
  Pacer pacer;
  OverloadWatch overload;
  StretchMeter stretch;
  GridAnchor anchor;
  SteadyTime turned_at;
  SteadyTime hurry_next;  // When the next first check may be brought forward to.
  RateSum required;
  std::array<RateSum, core::kPriorityCount> required_by_priority;
  std::uint64_t missed_parts =
      0;  // Of intervals that stretched, in 2^-32 intervals, less than one.
  bool refused_since_turn = false;
  std::vector<SiteSlot> fired;  // Kept for its memory.
  struct Started {
    DueOrder::Taken taken;
    Duration lag;
    bool suspect = false;
    bool left_over = false;
    core::Priority priority = core::Priority::Normal;
    std::uint32_t interval_ms = 0;
  };
  std::vector<Started> started;  // Handed out last; observed once they can no longer be refused.
  SteadyTime stalled_until = core::kNoSteadyTime;
  // By priority, newest due last: sites in the wheel whose flag says so, and others, which are passed over.
  std::array<std::vector<SiteSlot>, core::kPriorityCount> left_over;
  Stats stats;
  core::ThreadOwner owner;

  void begin(SiteSlot site, SteadyTime due, Duration interval);
  [[nodiscard]] Grid grid(SiteSlot site) const {
    return grid_of(sites.id(site), sites.interval(site));
  }
  void count_rate(Timing& timing, std::uint32_t period_ms);
  [[nodiscard]] SteadyTime hurried(SteadyTime natural, Duration interval, SteadyTime now);
  void observe_started();
  void publish(SteadyTime now);
  void leave_place(SiteSlot site);
  [[nodiscard]] NextDue next_of(SiteSlot site, SteadyTime now);
  void count_stretched(Duration late, Duration interval);
  void enter(SiteSlot site, SteadyTime now);
  [[nodiscard]] SiteSlot take_left_over(SteadyTime now);
  [[nodiscard]] std::size_t left_over_count() const;
  void tidy_left_over();
};

void Scheduler::Parts::count_rate(Timing& timing, std::uint32_t period_ms) {
  RateSum& of_priority = required_by_priority[static_cast<std::size_t>(timing.priority)];
  required.remove(timing.counted_ms);
  of_priority.remove(timing.counted_ms);
  timing.counted_ms = period_ms;
  required.add(period_ms);
  of_priority.add(period_ms);
}

// First checks are spread evenly, so many a minute; the first of them starts at once. One that would have to wait for longer than
// its grid point, or than the first minute, is not hurried.
SteadyTime Scheduler::Parts::hurried(SteadyTime natural, Duration interval, SteadyTime now) {
  if (interval <= kHurryWithin || limits.hurried_per_minute_max == 0) return natural;
  const SteadyTime wanted = std::max(now, hurry_next);
  if (wanted >= natural || wanted - now >= kHurryWithin) return natural;
  hurry_next = wanted + kHurryWithin / limits.hurried_per_minute_max;
  return wanted;
}

void Scheduler::Parts::observe_started() {
  for (const Started& check : started) {
    if (check.suspect) continue;
    stats.lag.observe(check.lag);
    if (check.left_over) continue;  // Beside the rhythm.
    // Being late by as much each time makes no interval longer; only what waited for others counts.
    const bool waited = check.lag > limits.tick * kBehindTicks;
    stretch.started(check.priority, waited ? check.lag : Duration::zero(), check.interval_ms);
  }
  started.clear();
}

void Scheduler::Parts::publish(SteadyTime now) {
  stats.required_per_second.set(required.per_second());
  stats.queued.set(static_cast<double>(waiting.size()));
  stats.left_over.set(static_cast<double>(left_over_count()));
  stats.overloaded.set(overload.overloaded() ? 1 : 0);
  if (!stretch.due(now)) return;
  for (std::size_t i = 0; i < core::kPriorityCount; ++i) {
    const auto priority = static_cast<core::Priority>(i);
    const double required_of_it = required_by_priority[i].per_second();
    stretch.tell(priority, waiting.lateness(priority, now), required_of_it > 0, now);
    stats.stretch[i].set(stretch.stretch(priority));
    stats.required_by_priority[i].set(required_of_it);
  }
}

void Scheduler::Parts::leave_place(SiteSlot site) {
  Timing& timing = sites.timing(site);
  switch (timing.place) {
    case Place::Nowhere:
      ENSURE(false, "a site that was not added to its scheduler");
      break;
    case Place::Wheel:
      wheel.remove(site);
      break;
    case Place::Queue:
      waiting.remove(site);
      break;
    case Place::HandedOut:
      timing.place = Place::Nowhere;
      break;
  }
}

// What went by without a check when intervals stretched, to a whole interval added up over all sites: of three intervals in which two
// checks were made one is missed.
void Scheduler::Parts::count_stretched(Duration late, Duration interval) {
  missed_parts += (static_cast<std::uint64_t>(to_ms(late)) << 32U) / to_ms(interval);
  stats.missed.add(missed_parts >> 32U);
  missed_parts &= UINT32_MAX;
}

// What fell due waits for its turn, or, when that was in a stall, for its next grid point: with what is due now behind all that was
// missed, a fleet that stood still for more than half an interval would not be on its phases for more than one.
void Scheduler::Parts::enter(SiteSlot site, SteadyTime now) {
  Timing& timing = sites.timing(site);
  if (timing.suspect || stalled_until == core::kNoSteadyTime ||
      timing.due + limits.tick * kBehindTicks >= stalled_until) {
    waiting.put(site);
    return;
  }
  const NextDue next = next_due(timing.due, now, grid(site), anchor);
  stats.missed.add(next.missed + (timing.left_over ? 1 : 0));
  timing.grid = next.last;
  timing.left_over = true;
  wheel.place(site, next.due);
  left_over[static_cast<std::size_t>(timing.priority)].push_back(site);
}

// The newest of the highest priority that is left, kNoSlot: none. It stands nowhere then, as a re-check that is due now.
SiteSlot Scheduler::Parts::take_left_over(SteadyTime now) {
  std::size_t looked_at = 0;
  for (std::vector<SiteSlot>& sites_of_it : left_over) {
    while (!sites_of_it.empty()) {
      if (++looked_at > kDueAtOnce) return core::kNoSlot;
      const SiteSlot site = sites_of_it.back();
      sites_of_it.pop_back();
      if (!sites.contains(site)) continue;
      Timing& timing = sites.timing(site);
      if (!timing.left_over || timing.place != Place::Wheel ||
          timing.due - now < std::chrono::milliseconds{timing.interval_ms / kSoonShare})
        continue;
      wheel.remove(site);
      timing.recheck = true;
      timing.due = now;
      return site;
    }
    std::vector<SiteSlot>().swap(sites_of_it);
  }
  return core::kNoSlot;
}

// Before what another stall leaves over comes on top: one entry for each site that still is.
void Scheduler::Parts::tidy_left_over() {
  for (std::vector<SiteSlot>& sites_of_it : left_over) {
    std::erase_if(sites_of_it, [this](SiteSlot site) {
      const bool is_left = sites.contains(site) && sites.timing(site).left_over &&
                           sites.timing(site).place == Place::Wheel;
      if (is_left) sites.timing(site).left_over = false;  // A second entry is none any more.
      return !is_left;
    });
    for (const SiteSlot site : sites_of_it) sites.timing(site).left_over = true;
  }
}

std::size_t Scheduler::Parts::left_over_count() const {
  std::size_t count = 0;
  for (const std::vector<SiteSlot>& sites_of_it : left_over) count += sites_of_it.size();
  return count;
}

// When the check that is over is followed by the next. A re-check does not count for the rhythm, unless the overload has let the
// check after it pass.
NextDue Scheduler::Parts::next_of(SiteSlot site, SteadyTime now) {
  const Timing& timing = sites.timing(site);
  const Grid site_grid = grid(site);
  const SteadyTime last = timing.recheck ? timing.grid : timing.due;
  const SteadyTime wanted =
      timing.recheck ? following_due(timing.grid, site_grid, anchor) : timing.due;
  const SteadyTime start = timing.due + std::chrono::milliseconds{timing.at};
  const bool passed = !timing.recheck || wanted <= now;
  if (overload.overloaded() && passed && start - wanted > limits.tick * kBehindTicks) {
    count_stretched(start - wanted, site_grid.interval);
    const NextDue next = stretched_due(start, now, site_grid, anchor);
    stats.missed.add(next.missed);
    return next;
  }
  const NextDue next = next_due(last, now, site_grid, anchor);
  stats.missed.add(next.missed);
  return next;
}

Scheduler::Scheduler(Limits limits, SiteTable& sites, SteadyTime now, WallTime wall)
    : parts_(std::make_unique<Parts>(limits, sites, now, wall)) {}

Scheduler::~Scheduler() = default;

void Scheduler::Parts::begin(SiteSlot site, SteadyTime due, Duration interval) {
  Timing& timing = sites.timing(site);
  ENSURE(timing.place == Place::Nowhere, "a site was added to its scheduler twice");
  timing.grid = due - interval;
  timing.interval_ms = to_ms(interval);
  timing.suspect = false;
  timing.recheck = false;
  timing.unasked = true;
  timing.left_over = false;
  count_rate(timing, timing.interval_ms);
  wheel.place(site, due);
}

void Scheduler::add(SiteSlot site, WallTime last_checked_at, SteadyTime now) {
  Parts& p = *parts_;
  p.owner.ensure_here();
  const Grid grid = p.grid(site);
  SteadyTime due = grid_point_after(now, grid, p.anchor);
  if (last_checked_at == core::kNoWallTime) due = p.hurried(due, grid.interval, now);
  p.begin(site, due, grid.interval);
}

void Scheduler::take_over(SiteSlot site, SteadyTime from, SteadyTime now) {
  Parts& p = *parts_;
  p.owner.ensure_here();
  const Grid grid = p.grid(site);
  const SteadyTime first = grid_point_after(from - 1ms, grid, p.anchor);
  const SteadyTime passed = grid_point_after(now, grid, p.anchor) - grid.interval;
  p.begin(site, std::max(first, passed), grid.interval);
}

void Scheduler::set_priority(SiteSlot site, core::Priority priority) {
  Parts& p = *parts_;
  p.owner.ensure_here();
  Timing& timing = p.sites.timing(site);
  const std::uint32_t counted_ms = timing.counted_ms;
  p.count_rate(timing, 0);
  timing.priority = priority;
  p.count_rate(timing, counted_ms);
}

void Scheduler::remove(SiteSlot site) {
  Parts& p = *parts_;
  p.owner.ensure_here();
  p.leave_place(site);
  p.count_rate(p.sites.timing(site), 0);
}

void Scheduler::reschedule(SiteSlot site, SteadyTime now) {
  Parts& p = *parts_;
  p.owner.ensure_here();
  Timing& timing = p.sites.timing(site);
  const Grid grid = p.grid(site);
  if (!timing.suspect) p.count_rate(timing, to_ms(grid.interval));
  if (timing.place != Place::Wheel)
    return;  // Due already: what comes next is decided when it is over.
  timing.interval_ms = to_ms(grid.interval);

  // One new interval after the last check, or, when that has passed, the next point of the new grid: a fleet whose interval is
  // shortened does not start at once. A check that waits for its own reasons, or comes sooner anyway, is not put off.
  SteadyTime due = following_due(timing.grid, grid, p.anchor);
  const bool passed = due <= now;
  if (passed) due = grid_point_after(now, grid, p.anchor);
  const bool keep = timing.due <= due && (passed || timing.unasked || timing.recheck);
  if (passed && timing.recheck)
    timing.grid = std::max(timing.grid, now - grid.interval);  // What passed was not missed.
  if (keep) return;
  p.wheel.remove(site);
  timing.recheck = false;
  p.wheel.place(site, due);
}

void Scheduler::turn(SteadyTime now, WallTime wall) {
  Parts& p = *parts_;
  p.owner.ensure_here();
  ENSURE(now >= p.turned_at, "steady time does not go back");
  if (now - p.turned_at >= kStall) {
    p.stalled_until = now;
    p.tidy_left_over();
  }
  p.turned_at = now;
  p.observe_started();
  if (wall_jumped(p.anchor, now, wall)) {
    p.anchor = {.wall = wall, .steady = now};
    p.stats.reanchored.add();
  }
  p.fired.clear();
  p.wheel.advance(now, p.fired, kDueAtOnce);
  for (const SiteSlot site : p.fired) p.enter(site, now);
  p.stats.due.add(p.fired.size());

  const double required = p.required.per_second();
  const bool behind = p.waiting.oldest(now) > p.limits.tick * kBehindTicks;
  p.pacer.accrue(now, required, behind || p.left_over_count() > 0);
  p.overload.turn(now, required, behind);
  p.refused_since_turn = false;
  p.publish(now);
}

std::size_t Scheduler::take_due(std::span<SiteSlot> into, SteadyTime now) {
  Parts& p = *parts_;
  p.owner.ensure_here();
  p.observe_started();
  std::size_t count = 0;
  while (count < into.size() && queued() + left_over() > 0 && p.pacer.try_take()) {
    const bool left_over = p.waiting.empty();
    const DueOrder::Taken taken = left_over
                                      ? DueOrder::Taken{.site = p.take_left_over(now), .before = {}}
                                      : p.waiting.take(now);
    if (taken.site == core::kNoSlot) {
      p.pacer.give_back();
      break;
    }
    Timing& timing = p.sites.timing(taken.site);
    // One that is left over is late since the grid point that it was left over from.
    const Duration lag = now - (left_over ? timing.grid : timing.due);
    if (!left_over && timing.left_over) p.stats.missed.add();
    timing.left_over = left_over;
    timing.place = Place::HandedOut;
    timing.at = left_over ? 0 : whole_ms(lag);
    p.started.push_back({.taken = taken,
                         .lag = lag,
                         .suspect = timing.suspect,
                         .left_over = left_over,
                         .priority = timing.priority,
                         .interval_ms = timing.interval_ms});
    p.overload.started();
    into[count++] = taken.site;
  }
  return count;
}

void Scheduler::refused(SiteSlot site) {
  Parts& p = *parts_;
  p.owner.ensure_here();
  Timing& timing = p.sites.timing(site);
  // Given back newest first, so it stands at the end.
  const auto started =
      std::find_if(p.started.rbegin(), p.started.rend(),
                   [site](const Parts::Started& check) { return check.taken.site == site; });
  ENSURE(timing.place == Place::HandedOut && started != p.started.rend(),
         "a check was refused that was not handed out just now");
  const DueOrder::Taken taken = started->taken;
  const bool left_over = started->left_over;
  p.started.erase(std::next(started).base());
  timing.place = Place::Nowhere;
  if (left_over) {
    timing.recheck = false;
    p.wheel.place(site, following_due(timing.grid, p.grid(site), p.anchor));
    p.left_over[static_cast<std::size_t>(timing.priority)].push_back(site);
  } else {
    p.waiting.put_back(taken);
  }
  p.pacer.give_back();
  p.overload.not_started();
  p.refused_since_turn = true;
}

void Scheduler::finished(SiteSlot site, SteadyTime now, std::optional<Duration> recheck_in) {
  Parts& p = *parts_;
  p.owner.ensure_here();
  Timing& timing = p.sites.timing(site);
  ENSURE(timing.place == Place::HandedOut, "a check is over that was not handed out");
  // In flight when we stood still: what fell due meanwhile was missed as that of others. Its end may come before the turn that
  // notices the stall.
  const SteadyTime started = timing.due + std::chrono::milliseconds{timing.at};
  const bool stalled = now - p.turned_at >= kStall ||
                       (p.stalled_until != core::kNoSteadyTime && started < p.stalled_until);
  const NextDue next = p.next_of(site, now);
  const SteadyTime recheck = recheck_in ? now + std::max<Duration>(*recheck_in, 1ms) : next.due;

  timing.grid = next.last;
  timing.interval_ms = to_ms(p.sites.interval(site));
  timing.suspect = recheck_in.has_value();
  timing.recheck = recheck < next.due;
  timing.unasked = false;
  timing.left_over = stalled && next.missed > 0 && !recheck_in;
  if (timing.left_over) p.left_over[static_cast<std::size_t>(timing.priority)].push_back(site);
  timing.place = Place::Nowhere;
  p.count_rate(timing,
               recheck_in ? std::min(to_ms(*recheck_in), timing.interval_ms) : timing.interval_ms);
  p.wheel.place(site, std::min(recheck, next.due));
}

SteadyTime Scheduler::next_turn(SteadyTime now) const {
  const Parts& p = *parts_;
  // With nothing at all to do, a turn a second still notices that the wall clock was set.
  SteadyTime at = std::max(now, p.wheel.next().value_or(now + 1s));
  if (queued() + left_over() > 0) {
    // Admission had no room: room comes with a result, which is a turn of its own, and asking again at once would only spin.
    at = std::min(at, p.refused_since_turn ? now + p.limits.tick : p.pacer.ready_at(now));
  }
  return at;
}

double Scheduler::required_per_second() const {
  return parts_->required.per_second();
}
SteadyTime Scheduler::due_time(SiteSlot site) const {
  return parts_->sites.timing(site).due;
}
std::size_t Scheduler::queued() const {
  return parts_->waiting.size();
}
std::size_t Scheduler::left_over() const {
  return parts_->left_over_count();
}
Duration Scheduler::oldest_queued(SteadyTime now) const {
  return parts_->waiting.oldest(now);
}
std::size_t Scheduler::bytes() const {
  return sizeof(Parts) + parts_->wheel.bytes() + parts_->waiting.bytes() +
         parts_->started.capacity() * sizeof(Parts::Started) +
         (parts_->fired.capacity() + left_over()) * sizeof(SiteSlot);
}
const Stats& Scheduler::stats() const {
  return parts_->stats;
}

}  // namespace watchwheel::scheduler
