// SPDX-License-Identifier: Apache-2.0
// app/memory_watch.h - the backstop under all reckoning: what the process really takes, held against
// its budget.
//
// What is reserved by checks in flight is a reckoning, and sites, caches and the allocator have none.
// So the resident memory is read once a second, and has levels:
//   0  fine
//   1  caches are given back, and free memory to the system
//   2  no new checks with kept bodies; when that lasts, none over TLS either
//   3  no new checks at all
// Beyond a floor: so many of each tier and lane go on at any level (scheduler::kInFlightFloor).
//
// A level begins at once and ends one at a time, when the memory has been well below where it began
// for a while: what was shed is not taken again at the next moment. What is refused frees nothing
// once its last check is over. So when a minute of it has not lowered the memory, it was in vain: at
// level 2 everything is let in until the memory has grown, and level 3 ends if the memory is below
// where it begins. Above that, a site list that alone exceeds the budget leaves only the floor.
// Levels 2 and 3 are told in the log every minute.
//
// Owns     the level. MemoryRequest is written here and read by lanes.
// Thread   look(): one, the daemon's main thread. request() and the gauges: any.
// Time     passed in.
// Blocks   for the reader and, where a level begins, for what gives memory back to the system: some
//          ms to some hundreds. Not on a lane's thread, but while one arena of the allocator is gone through, the lane whose memory
//          it holds waits for its next allocation: with half of 0.9 GB free it took 0.05 to 0.08 s of a processor, and where they
//          were scarce (ten threads for each) half a second to one and a half. It is once where a level begins, then ever more
//          rarely when it frees nothing; what times out meanwhile is told as our overload (loop_lateness.h).
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <string>

#include "app/log.h"
#include "core/clock.h"
#include "core/pinned.h"
#include "core/stats.h"
#include "scheduler/admission.h"

namespace watchwheel::app {

// What is asked of lanes. Each value stands for itself; a lane that reads it a turn late is a turn
// late.
struct MemoryRequest {
  std::atomic<std::uint8_t> refuse{0};    // A bit for each scheduler::Tier.
  std::atomic<std::uint32_t> shrinks{0};  // Goes up each time caches are to be given back.
  core::Gauge share;                      // Resident memory / budget.

  [[nodiscard]] scheduler::MemoryRelief relief() const;
};

class MemoryWatch : core::Pinned {
 public:
  static constexpr int kLevelMost = 3;
  // Shares of the budget at which level 1, 2 and 3 begin, and the share below which one ends.
  static constexpr double kBegins[] = {0.85, 0.92, 1.0};
  static constexpr double kEnds[] = {0.78, 0.86, 0.94};
  static constexpr core::Duration kEvery = std::chrono::seconds{1};
  // How long it must have been below before a level ends, and how long level 2 lasts before TLS goes too.
  static constexpr core::Duration kDwell = std::chrono::seconds{10};
  // While a level lasts, caches are given back again that often; half as often each time that it
  // has freed nothing.
  static constexpr core::Duration kShrinkEvery = std::chrono::seconds{30};
  static constexpr core::Duration kShrinkEveryMost = std::chrono::minutes{16};
  // What is refused is in vain when so long of it lowers the share by less than kGain; it is refused
  // again when the share has grown by kGrowth.
  static constexpr core::Duration kInVainAfter = std::chrono::seconds{60};
  static constexpr double kGain = 0.01;
  static constexpr double kGrowth = 0.02;
  static constexpr core::Duration kTellEvery = std::chrono::seconds{60};

  struct Means {
    std::function<std::uint64_t()> resident;  // 0: unknown, nothing changes.
    std::function<void()> trim;               // Gives free memory back to the system.
  };
  MemoryWatch(std::uint64_t budget_bytes, Means means, Log& log);

  // As often as one likes; it reads once in kEvery.
  void look(core::SteadyTime now);

  [[nodiscard]] const MemoryRequest& request() const { return request_; }
  [[nodiscard]] int level() const { return static_cast<int>(level_gauge_.value()); }
  [[nodiscard]] std::uint64_t resident_bytes() const {
    return static_cast<std::uint64_t>(resident_.value());
  }
  [[nodiscard]] std::uint64_t budget_bytes() const { return budget_; }
  [[nodiscard]] std::uint64_t changes() const { return changes_.value(); }  // Of the level.

 private:
  [[nodiscard]] int level_for(double share, core::SteadyTime now);
  void change(int to, core::SteadyTime now);
  void act(double share, core::SteadyTime now);
  [[nodiscard]] bool is_in_vain(double share, core::SteadyTime now);
  void begin_refusing(double share, core::SteadyTime now);
  void shrink(double share, core::SteadyTime now);
  void tell(core::SteadyTime now);

  const std::uint64_t budget_;
  const Means means_;
  Log& log_;
  MemoryRequest request_;
  core::Gauge level_gauge_;
  core::Gauge resident_;
  core::Counter changes_;
  int level_ = 0;
  bool tls_out_ = false;
  bool trim_due_ = false;
  core::SteadyTime looked_ = core::kNoSteadyTime;
  core::SteadyTime since_ = core::kNoSteadyTime;        // This level.
  core::SteadyTime below_since_ = core::kNoSteadyTime;  // Where this level ends.
  bool resting_ = false;  // At level 2: refusing was in vain, so nothing is refused.
  core::SteadyTime refusing_since_ = core::kNoSteadyTime;
  core::SteadyTime measured_since_ = core::kNoSteadyTime;  // For kInVainAfter, and the share then.
  double measured_from_ = 0;
  double rested_at_ = 0;  // The share.
  core::SteadyTime shrunk_ = core::kNoSteadyTime;
  core::Duration shrink_every_ = kShrinkEvery;
  double shrunk_at_ = 0;  // The share.
  core::SteadyTime told_ = core::kNoSteadyTime;
};

}  // namespace watchwheel::app
