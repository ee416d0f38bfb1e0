// SPDX-License-Identifier: Apache-2.0
// scheduler/due_order.h - which of the checks that are due comes next.
//
// Three rules, the first that decides wins:
//
// 1. Suspicion before routine, but of four starts one is routine while any routine check waits: in
//    a mass outage thousands of sites are looked at again every ten seconds, and who only does
//    that no longer sees whether the others are well.
// 2. High before normal before low. A lower priority that waits, has been passed over nine times
//    and is relatively later than the one before it comes next: it is never starved wholly (every
//    tenth start is its own), and never better off than what is more important.
// 3. Within a priority the check that is latest *relative to its interval*. With one queue by due
//    time a wait of 30 s would be half a percent of a day and three intervals of a 10 s site; this
//    way every interval stretches by the same factor. Such an order changes while checks wait, so
//    there is a queue, oldest due first, for each class of intervals (eight an octave, at most
//    an eighth wide), and only their heads are compared. Re-checks have one queue: oldest due first.
//
// Owns     the order of the waiting checks; where one stands is kept in its row.
// Thread   the lane's.
// Bounded  one entry a site; at most 771 queues, made at their first use.
// Cost     put, remove: O(1). take: O(classes of intervals in use), one or two nanoseconds each.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>

#include "core/check_options.h"
#include "core/clock.h"
#include "core/ids.h"
#include "core/pinned.h"
#include "scheduler/due_queue.h"
#include "scheduler/site_table.h"

namespace watchwheel::scheduler {

class DueOrder : core::Pinned {
 public:
  // Of so many starts in a row one is routine while routine checks wait.
  static constexpr unsigned kRoutineEvery = 4;
  // Of so many starts one is of a lower priority that waits and is later.
  static constexpr unsigned kLowerEvery = 10;
  static constexpr std::size_t kIntervalClasses = 256;

  // How often who waited was passed over.
  struct Turns {
    std::uint8_t routine = 0;
    std::array<std::array<std::uint8_t, core::kPriorityCount>, 2> priority{};
    friend bool operator==(const Turns&, const Turns&) = default;
  };
  struct Taken {
    core::SiteSlot site;
    Turns before;  // For put_back().
  };

  explicit DueOrder(SiteTable& sites);

  // The site stands nowhere and is due. Its suspicion, priority and interval are read now, and hold until it is taken.
  void put(core::SiteSlot site);
  // Not empty. The site stands nowhere then.
  [[nodiscard]] Taken take(core::SteadyTime now);
  // It was taken and could not start: it stands at the head of its queue again, and its turn is still to come. Several are put
  // back in the reverse of the order in which they were taken.
  void put_back(const Taken& taken);
  void remove(core::SiteSlot site);

  [[nodiscard]] bool empty() const { return size_ == 0; }
  [[nodiscard]] std::size_t size() const { return size_; }
  // How late the oldest is; zero when none waits.
  [[nodiscard]] core::Duration oldest(core::SteadyTime now) const;
  // How late the latest routine check of a priority is, in intervals; below zero when none waits.
  [[nodiscard]] double lateness(core::Priority priority, core::SteadyTime now) const;
  [[nodiscard]] std::size_t bytes() const;

 private:
  struct Queue {
    explicit Queue(SiteTable& sites) : checks(sites) {}
    DueQueue checks;
    // Of the first of `checks`.
    core::SteadyTime due = core::kNoSteadyTime;
    double per_second = 0;  // 1 / interval.
  };
  struct Group {
    std::array<std::unique_ptr<Queue>, kIntervalClasses> queues;
    std::array<std::uint64_t, kIntervalClasses / 64> used{};  // A bit for each that is not empty.
    std::size_t size = 0;
  };
  struct Latest {
    std::size_t queue = 0;
    double lateness = -1;
  };
  using Groups = std::array<Group, core::kPriorityCount>;  // By priority.

  static constexpr std::size_t kSuspects = 0;
  static constexpr std::size_t kRoutine = 1;

  [[nodiscard]] static Latest latest(const Group& group, core::SteadyTime now);
  [[nodiscard]] static std::size_t count(const Groups& groups);
  [[nodiscard]] std::size_t choose_kind();
  [[nodiscard]] std::size_t choose_priority(std::size_t kind, core::SteadyTime now);
  [[nodiscard]] std::uint16_t number_of(core::SiteSlot site) const;
  [[nodiscard]] Queue& queue_of(std::uint16_t number);
  void enter(core::SiteSlot site, std::uint16_t number, bool at_head);
  void head_changed(std::uint16_t number);

  SiteTable& sites_;
  std::array<Groups, 2> kinds_;  // kSuspects, kRoutine.
  std::size_t size_ = 0;
  Turns turns_;
};

}  // namespace watchwheel::scheduler
