// SPDX-License-Identifier: Apache-2.0
// Goal: whatever comes and goes, stalls, jumps or is refused, a lane's scheduler agrees with a naive model. Method: random steps;
// the model keeps each site in a map, finds what is due by walking all of them, and finds grid points by counting
// milliseconds. The rate is held to a bucket of its own. WATCHWHEEL_SEED replays a failure.
#include "scheduler/scheduler.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <map>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "core/hash.h"
#include "property/scheduler/seed.h"

namespace watchwheel::scheduler {
namespace {

using core::Duration;
using core::SiteId;
using core::SiteSlot;
using core::SteadyTime;
using core::WallTime;
using namespace std::chrono_literals;

constexpr Duration kTick = 100ms;

enum class Stands { Waiting, HandedOut };

struct ModelSite {
  SiteSlot slot;
  std::int64_t interval_ms = 0;
  std::int64_t period_ms = 0;  // Counted in the required rate.
  std::int64_t due_ms = 0;     // Steady.
  std::int64_t last_ms = 0;
  std::int64_t fires_from_ms = 0;
  std::int64_t handed_ms = 0;  // When it was handed out last.
  std::size_t priority = 1;
  bool suspect = false;
  bool recheck = false;
  bool left_over = false;  // Fell due in a stall, and nobody has asked since.
  Stands stands = Stands::Waiting;
  // As it fell due: the order reads them then.
  std::int64_t order_interval_ms = 0;
  std::size_t order_priority = 1;
  bool in_order = false;
};

// How many started while routine checks, or those of a priority, waited.
struct PassedOver {
  std::size_t routine = 0;
  std::array<std::array<std::size_t, core::kPriorityCount>, 2> priority{};
};

class SchedulerRun {
 public:
  explicit SchedulerRun(std::uint64_t seed) : random_(seed) {}

  void steps(int count) {
    for (int i = 0; i < count && !testing::Test::HasFatalFailure(); ++i) step();
  }
  std::uint64_t handed_out = 0;
  std::uint64_t missed = 0;
  std::uint64_t refused = 0;
  std::uint64_t jumps = 0;
  std::uint64_t stretched = 0;
  std::uint64_t lower_first = 0;
  std::uint64_t left_over = 0;
  std::uint64_t made_up_for = 0;

 private:
  static constexpr std::int64_t kStartMs = 3'600'000;
  std::uint64_t below(std::uint64_t n) { return random_() % n; }
  std::int64_t ms_below(std::int64_t n) {
    return static_cast<std::int64_t>(below(static_cast<std::uint64_t>(n)));
  }
  static SteadyTime at(std::int64_t ms) { return SteadyTime{std::chrono::milliseconds{ms}}; }
  static std::int64_t ms(SteadyTime t) {
    return core::duration_cast<std::chrono::milliseconds>(t.time_since_epoch()).count();
  }
  [[nodiscard]] WallTime wall() const { return core::from_unix_ms(now_ms_ + wall_offset_ms_); }

  // ---- The naive grid: the anchor is what the wall clock said at the first turn after its last jump.
  [[nodiscard]] bool on_grid(SiteId id, std::int64_t interval, std::int64_t t) const {
    const auto phase = static_cast<std::int64_t>(core::stable_hash(id.value) %
                                                 static_cast<std::uint64_t>(interval));
    return (t + anchored_offset_ms_) % interval == phase;
  }
  [[nodiscard]] std::int64_t grid_after(SiteId id, std::int64_t interval, std::int64_t t) const {
    for (++t; !on_grid(id, interval, t);) ++t;
    return t;
  }
  [[nodiscard]] std::int64_t following(SiteId id, std::int64_t interval, std::int64_t last) const {
    // In microseconds a sixteenth of a whole number of milliseconds need not be whole; intervals here are multiples of 16 ms.
    const std::int64_t earliest = last + interval - interval / 16;
    const std::int64_t point = grid_after(id, interval, earliest - 1);
    return point <= last + interval + 1 ? point : earliest;
  }

  std::int64_t random_interval() {
    static constexpr std::int64_t kIntervals[] = {1008, 4000, 10'000, 16'000, 32'000};
    return kIntervals[below(5)];
  }

  void step() {
    const std::uint64_t dice = below(100);
    if (dice < 2) return add();
    if (dice < 3) return remove();
    if (dice < 5) return reschedule();
    if (dice < 6 && below(5) == 0) closed_until_ms_ = now_ms_ + ms_below(60'000);
    if (dice < 30) return finish_some();
    turn(random_time_step());
  }

  std::int64_t random_time_step() {
    switch (below(400)) {
      case 0:
        return ms_below(120'000);  // A stall.
      case 1:
        return 0;
      case 2:
      case 3:
        ++jumps;
        wall_offset_ms_ += (below(2) == 0 ? 1 : -1) * (600 + ms_below(7'200'000));
        return ms_below(100);
      case 4:
        wall_offset_ms_ += ms_below(801) - 400;
        return ms_below(100);  // May or may not add up to a jump.
      default:
        return ms_below(60);
    }
  }

  void place(ModelSite& site, std::int64_t due) {
    const std::int64_t next_tick = kStartMs + ((now_ms_ - kStartMs) / 100 + 1) * 100;
    site.due_ms = due;
    site.fires_from_ms = std::max(due, due < next_tick ? next_tick : due);
    site.stands = Stands::Waiting;
  }

  void add() {
    if (model_.size() >= 60) return;
    const SiteId id{++last_id_};
    ModelSite site;
    site.interval_ms = site.period_ms = random_interval();
    site.slot = sites_.add(id, "http://a/", std::chrono::milliseconds{site.interval_ms}, 0);
    ASSERT_NE(site.slot, core::kNoSlot);
    site.priority = below(core::kPriorityCount);
    scheduler_.set_priority(site.slot, static_cast<core::Priority>(site.priority));
    // None of these intervals is above a minute, so none is hurried.
    scheduler_.add(site.slot, core::kNoWallTime, at(now_ms_));
    place(site, grid_after(id, site.interval_ms, now_ms_));
    site.last_ms = site.due_ms - site.interval_ms;
    model_[id] = site;
    unasked_[id] = true;
    check(id);
  }

  SiteId any() {
    const auto it = model_.lower_bound(SiteId{below(last_id_ + 1)});
    return it == model_.end() ? model_.begin()->first : it->first;
  }

  void remove() {
    if (model_.empty()) return;
    const SiteId id = any();
    scheduler_.remove(model_[id].slot);
    sites_.remove(model_[id].slot);
    model_.erase(id);
    unasked_.erase(id);
  }

  void reschedule() {
    if (model_.empty()) return;
    const SiteId id = any();
    ModelSite& site = model_[id];
    const bool in_wheel = site.stands == Stands::Waiting && site.fires_from_ms > turned_ms_;
    site.interval_ms = random_interval();
    site.priority = below(core::kPriorityCount);
    scheduler_.set_priority(site.slot, static_cast<core::Priority>(site.priority));
    if (!site.suspect) site.period_ms = site.interval_ms;
    sites_.set_interval(site.slot, std::chrono::milliseconds{site.interval_ms});
    scheduler_.reschedule(site.slot, at(now_ms_));
    if (!in_wheel) return;
    std::int64_t due = following(id, site.interval_ms, site.last_ms);
    const bool passed = due <= now_ms_;
    if (passed) due = grid_after(id, site.interval_ms, now_ms_);
    const bool may_keep = passed || unasked_[id] || site.recheck;
    if (passed && site.recheck) site.last_ms = std::max(site.last_ms, now_ms_ - site.interval_ms);
    if (!may_keep || due < site.due_ms) {
      place(site, due);
      site.recheck = false;
    }
    check(id);
  }

  void finish_some() {
    for (auto& [id, site] : model_) {
      if (site.stands != Stands::HandedOut || below(3) == 0) continue;
      std::optional<Duration> recheck;
      if (below(6) == 0) recheck = std::chrono::milliseconds{1000 + ms_below(4000)};
      scheduler_.finished(site.slot, at(now_ms_), recheck);
      finished_in_model(id, site, recheck);
      check(id);
    }
    ASSERT_NEAR(static_cast<double>(scheduler_.stats().missed.value()),
                static_cast<double>(missed) + std::floor(stretched_ + 1e-6),
                stretched_ > 0 ? 1 : 0);
  }

  void finished_in_model(SiteId id, ModelSite& site, std::optional<Duration> recheck) {
    std::int64_t last = site.recheck ? site.last_ms : site.due_ms;
    std::int64_t due = following(id, site.interval_ms, last);
    const std::int64_t wanted = site.recheck ? due : site.due_ms;
    const bool passed = !site.recheck || wanted <= now_ms_;
    if (overloaded_ && passed && site.handed_ms - wanted > 200) {
      ++stretched;
      stretched_ +=
          static_cast<double>(site.handed_ms - wanted) / static_cast<double>(site.interval_ms);
      last = site.handed_ms;
      due = last + site.interval_ms;
    }
    const std::uint64_t missed_before = missed;
    const bool stalled = site.handed_ms < stalled_until_ms_;
    due = skip_passed(id, site, last, due);
    site.left_over = stalled && missed > missed_before && !recheck;
    site.suspect = recheck.has_value();
    site.recheck = false;
    site.period_ms = site.interval_ms;
    if (recheck) {
      const std::int64_t recheck_ms =
          core::duration_cast<std::chrono::milliseconds>(*recheck).count();
      site.period_ms = std::min(recheck_ms, site.interval_ms);
      site.recheck = now_ms_ + recheck_ms < due;
      due = std::min(due, now_ms_ + recheck_ms);
    }
    unasked_[id] = false;
    place(site, due);
  }

  // What comes after `last`, when `due` may have passed.
  std::int64_t skip_passed(SiteId id, ModelSite& site, std::int64_t last, std::int64_t due) {
    site.last_ms = last;
    if (due > now_ms_) return due;
    due = grid_after(id, site.interval_ms, now_ms_);
    for (std::int64_t gap = due - last - 1; gap >= site.interval_ms; gap -= site.interval_ms)
      ++missed;
    site.last_ms = due - site.interval_ms;
    return due;
  }

  // A routine check that fell due in a stall waits for its next grid point.
  void leave_over(SiteId id, ModelSite& site) {
    if (site.in_order || site.stands != Stands::Waiting || site.fires_from_ms > now_ms_) return;
    if (site.suspect || site.due_ms + 200 >= stalled_until_ms_) return;
    if (site.left_over) ++missed;
    site.left_over = true;
    ++left_over;
    place(site, skip_passed(id, site, site.due_ms, following(id, site.interval_ms, site.due_ms)));
    check(id);
  }

  void check(SiteId id) {
    ASSERT_EQ(ms(scheduler_.due_time(model_[id].slot)), model_[id].due_ms) << "site " << id.value;
  }

  void turn(std::int64_t step_ms) {
    const double required = required_in_model();
    ASSERT_NEAR(scheduler_.required_per_second(), required, 1e-6 * (1 + required));
    check_next_turn();
    now_ms_ += step_ms;
    turned_ms_ = now_ms_;
    if (std::abs(wall_offset_ms_ - anchored_offset_ms_) > 500)
      anchored_offset_ms_ = wall_offset_ms_;
    scheduler_.turn(at(now_ms_), wall());
    if (step_ms >= 5000) stalled_until_ms_ = now_ms_;
    for (auto& [id, site] : model_) leave_over(id, site);
    for (auto& [id, site] : model_) {
      if (site.in_order || site.stands != Stands::Waiting || site.fires_from_ms > now_ms_) continue;
      site.in_order = true;
      site.order_interval_ms = site.interval_ms;
      site.order_priority = site.priority;
    }
    overloaded_ = scheduler_.stats().overloaded.value() > 0;  // Its own test says when.

    // At most 1.45 times the required rate, from a bucket of 50 ms, or 8.
    const double rate = 1.45 * std::max(required, 16.0);
    const double bucket = std::max(8.0, std::max(required, 16.0) * 0.05);
    allowance_ = std::min(bucket, allowance_ + rate * static_cast<double>(step_ms) / 1000);
    allowance_ = std::max(allowance_, 0.0);
    ASSERT_EQ(scheduler_.queued(), due_in_model());
    ASSERT_LE(scheduler_.left_over(), 3 * 60U) << "three entries for each site that there may be";
    take();
  }

  // Nothing may fall due, unseen, before the time for which the next turn is asked.
  void check_next_turn() {
    const SteadyTime next = scheduler_.next_turn(at(now_ms_));
    ASSERT_GE(next, at(now_ms_));
    for (const auto& [id, site] : model_) {
      if (site.stands != Stands::Waiting || site.fires_from_ms <= turned_ms_) continue;
      ASSERT_LE(next, std::max(at(now_ms_), at(site.fires_from_ms)));
    }
  }

  void take() {
    std::vector<SiteSlot> out(1 + below(20));
    out.resize(scheduler_.take_due(out, at(now_ms_)));
    allowance_ -= static_cast<double>(out.size());
    ASSERT_GE(allowance_, -1e-6) << "faster than the pacer may be";
    std::vector<PassedOver> before;
    for (const SiteSlot slot : out) {
      const SiteId id = sites_.id(slot);
      ModelSite& site = model_[id];
      ASSERT_EQ(site.slot, slot);
      ASSERT_EQ(site.stands, Stands::Waiting) << "handed out twice for one due time";
      before.push_back(passed_over_);
      if (site.left_over && !site.in_order) {
        ASSERT_EQ(due_in_model(), 0U) << "before what is due";
        site.due_ms = now_ms_;
        site.recheck = true;
        ++made_up_for;
      } else {
        ASSERT_LE(site.due_ms, now_ms_) << "started early";
        if (std::exchange(site.left_over, false)) ++missed;
        check_order(site);
      }
      if (testing::Test::HasFatalFailure()) return;
      site.stands = Stands::HandedOut;
      site.in_order = false;
      site.handed_ms = now_ms_;
      ++handed_out;
    }
    const bool closed = now_ms_ < closed_until_ms_;
    if (out.empty() || (!closed && below(10) != 0)) return;
    // Admission has no room for the last of them.
    for (std::size_t back = closed ? out.size() : 1 + below(out.size()); back > 0; --back) {
      scheduler_.refused(out.back());
      ModelSite& site = model_[sites_.id(out.back())];
      site.stands = Stands::Waiting;
      if (site.left_over) {
        site.recheck = false;
        place(site, following(sites_.id(out.back()), site.interval_ms, site.last_ms));
      } else {
        site.in_order = true;
      }
      passed_over_ = before.back();
      before.pop_back();
      out.pop_back();
      allowance_ += 1;
      --handed_out;
      ++refused;
    }
  }

  // How late it is, in intervals.
  [[nodiscard]] double lateness(const ModelSite& site) const {
    return static_cast<double>(now_ms_ - site.due_ms) / static_cast<double>(site.order_interval_ms);
  }

  // The three rules, each found by walking all that wait.
  void check_order(const ModelSite& site) {
    bool routine_waits = false;
    std::array<bool, core::kPriorityCount> waits{};
    std::array<double, core::kPriorityCount> latest{};
    for (const auto& [id, other] : model_) {
      if (!other.in_order || &other == &site) continue;
      routine_waits = routine_waits || !other.suspect;
      if (other.suspect) {
        ASSERT_TRUE(site.suspect || passed_over_.routine >= 3) << "routine before suspicion";
      }
      if (other.suspect != site.suspect) continue;
      waits[other.order_priority] = true;
      latest[other.order_priority] = std::max(latest[other.order_priority], lateness(other));
      if (other.order_priority != site.order_priority) continue;
      if (site.suspect || other.order_interval_ms == site.order_interval_ms) {
        ASSERT_LE(site.due_ms, other.due_ms + 100) << "none that waits in the same queue is older";
      } else {
        const double a_tick = 100.0 / static_cast<double>(site.order_interval_ms) +
                              100.0 / static_cast<double>(other.order_interval_ms);
        ASSERT_GE(lateness(site) + a_tick, lateness(other)) << "another is relatively later";
      }
    }
    auto& passed = passed_over_.priority[site.suspect ? 0 : 1];
    for (std::size_t higher = 0; higher < site.order_priority; ++higher) {
      if (!waits[higher]) continue;
      ASSERT_GE(passed[site.order_priority], 9U) << "a lower priority first";
      ASSERT_GE(lateness(site) + 0.2, latest[higher]) << "better off than a higher priority";
      ++lower_first;
      break;
    }
    for (std::size_t other = 0; other < core::kPriorityCount; ++other) {
      if (other == site.order_priority) {
        passed[other] = 0;
      } else if (waits[other]) {
        ++passed[other];
      }
    }
    if (!site.suspect)
      passed_over_.routine = 0;
    else if (routine_waits)
      ++passed_over_.routine;
  }

  [[nodiscard]] std::size_t due_in_model() const {
    return static_cast<std::size_t>(
        std::count_if(model_.begin(), model_.end(), [this](const auto& one) {
          return one.second.stands == Stands::Waiting && one.second.fires_from_ms <= now_ms_;
        }));
  }
  [[nodiscard]] double required_in_model() const {
    double sum = 0;
    for (const auto& [id, site] : model_) sum += 1000.0 / static_cast<double>(site.period_ms);
    return sum;
  }

  std::mt19937_64 random_;
  std::int64_t now_ms_ = kStartMs;
  std::int64_t turned_ms_ = kStartMs;
  std::int64_t wall_offset_ms_ = 1'700'000'000'000 - kStartMs;
  std::int64_t anchored_offset_ms_ = wall_offset_ms_;
  SiteTable sites_{100};
  Scheduler scheduler_{{.tick = kTick, .horizon = 20s}, sites_, at(kStartMs), wall()};
  std::map<SiteId, ModelSite> model_;
  std::map<SiteId, bool> unasked_;
  std::uint64_t last_id_ = 0;
  double allowance_ = 8;
  PassedOver passed_over_;
  std::int64_t closed_until_ms_ = 0;
  std::int64_t stalled_until_ms_ = 0;
  bool overloaded_ = false;
  double stretched_ = 0;  // Intervals that went by without a check because others stretched.
};

TEST(SchedulerProperty, AgreesWithANaiveModel) {
  std::uint64_t handed_out = 0;
  std::uint64_t missed = 0;
  std::uint64_t refused = 0;
  std::uint64_t jumps = 0;
  std::uint64_t stretched = 0;
  std::uint64_t lower_first = 0;
  std::uint64_t left_over = 0;
  std::uint64_t made_up_for = 0;
  for (std::uint64_t round = 0; round < 10; ++round) {
    const std::uint64_t seed = seed_of(round);
    SCOPED_TRACE("WATCHWHEEL_SEED=" + std::to_string(seed));
    SchedulerRun run(seed);
    run.steps(20'000);
    if (HasFatalFailure()) return;
    handed_out += run.handed_out;
    missed += run.missed;
    refused += run.refused;
    jumps += run.jumps;
    stretched += run.stretched;
    lower_first += run.lower_first;
    left_over += run.left_over;
    made_up_for += run.made_up_for;
  }
  std::printf(
      "handed out %lu, missed %lu, refused %lu, clock jumps %lu, stretched %lu, lower first %lu, "
      "left over %lu, "
      "made up for %lu\n",
      handed_out, missed, refused, jumps, stretched, lower_first, left_over, made_up_for);
  EXPECT_GT(handed_out, 10'000U) << "the steps did not exercise it";
  EXPECT_GT(missed, 100U);
  EXPECT_GT(refused, 100U);
  EXPECT_GT(jumps, 100U);
  EXPECT_GT(stretched, 100U);
  EXPECT_GT(lower_first, 100U);
  EXPECT_GT(left_over, 1000U);
  EXPECT_GT(made_up_for, 500U);
}

}  // namespace
}  // namespace watchwheel::scheduler
