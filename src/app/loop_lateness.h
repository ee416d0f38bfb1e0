// SPDX-License-Identifier: Apache-2.0
// app/loop_lateness.h - when a lane's loop was late to look at its sockets, and what of a result is
// ours because of that.
//
// A check goes in steps (a name, a connection, a handshake, an answer), and each step waits for the
// loop once. So lateness costs a check at most as many of the loop's longest absences as it has
// steps, and a loop that is a fifth of a second late at every turn is as bad as one that stood still
// once. The answers that wait in the sockets are read before any deadline is looked at
// (checker/reactor.h), so what is judged here is only what came too late for that. After a burst an
// answer waits for many turns, none of them long: that is an absence too, from when it was there
// until its turn came.
//
// A turn of a busy loop takes up to kBusyTurn. That much of an absence is no lateness: else eight
// such turns would explain every timeout of a second or two, at every check, for ever.
//
// Owns     the longest absence of each tenth of a second, for the last seven minutes.
// Thread   the lane's.
// Bounded  kWindows entries, taken in the constructor.
// Time     steady, passed in.
// Cost     note: O(1). cost_since: one look at each tenth of a second since then, and only a
//          failure asks for it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "core/check_options.h"
#include "core/clock.h"
#include "core/probe.h"

namespace watchwheel::app {

class LoopLateness {
 public:
  static constexpr core::Duration kWindow = std::chrono::milliseconds{100};
  // Longer than the longest timeout there is (5 min), so nothing is forgotten that a check saw.
  static constexpr std::size_t kWindows = 4096;
  static constexpr std::size_t kStepsMost = 8;
  static constexpr core::Duration kBusyTurn = std::chrono::milliseconds{20};

  LoopLateness() : windows_(kWindows) {}

  // The loop was away from its sockets for `absence`, until `until`.
  void note(core::Duration absence, core::SteadyTime until);
  // As of `now` answers wait since `since` for their turn; kNoSteadyTime: none do. One absence, which
  // grows; its whole length is told to note() when it is over.
  void note_waiting(core::SteadyTime since, core::SteadyTime now);

  // How long answers wait for their turn right now.
  [[nodiscard]] core::Duration waiting() const { return waiting_; }
  // The sum of the `steps` (at most kStepsMost) longest absences that ended at `from` or later, each
  // less kBusyTurn.
  [[nodiscard]] core::Duration cost_since(core::SteadyTime from, std::size_t steps) const;

 private:
  struct Window {
    std::int64_t number = -1;
    core::Duration longest{};
    core::SteadyTime until;
  };
  std::vector<Window> windows_;  // By number modulo their count.
  std::int64_t last_ = -1;
  core::Duration waiting_{};  // So far.
};

// How much of a failure our own loop's lateness may explain. Some: once or twice, but not again and
// again. Most: the site had less than half of the time that it was allowed.
enum class OurShare : std::uint8_t { None, Some, Most };

// Some or more of
// - a timeout, when the lateness is a tenth of the time that was allowed (and at least 50 ms); of a server that was asked and said
//   nothing, only the lateness until it was asked counts (unless the loop was away for 2 s at once: then the machine may have stood still);
// - a lost connection, or a server's "408 Request Timeout", when the loop was away for 2 s: servers
//   hang up on a client that does not move.
[[nodiscard]] OurShare our_share(const core::ProbeResult& result, const core::CheckOptions& options,
                                 const LoopLateness& loop);

// Whether this failure is told as ours; if so and `discounted` has grown, the site wants to be asked again soon. Of a site's failures in a row of which lateness explains
// Some, kDiscountsInARow are; what follows is the site's, or a loop that is always somewhat late
// would hide its outage for ever. `discounted` is the site's own count of them; a conclusive result
// that came without lateness starts it anew.
inline constexpr std::uint8_t kDiscountsInARow = 2;
[[nodiscard]] bool is_discounted(const core::ProbeResult& result, const core::CheckOptions& options,
                                 const LoopLateness& loop, std::uint8_t& discounted);

}  // namespace watchwheel::app
