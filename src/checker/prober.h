// SPDX-License-Identifier: Apache-2.0
// checker/prober.h - asks sites, many at a time, and tells what each one answered.
//
// Thread   the lane's, for every call.
// Bounded  `in_flight_limit` probes at once, one row each; start() refuses beyond it.
// Fails    never by exception. Whatever happens to a started probe, exactly one result comes, at
//          the latest at its deadline plus one turn; our own trouble comes as NotMeasured.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string_view>

#include "core/check_options.h"
#include "core/clock.h"
#include "core/pinned.h"
#include "core/probe.h"
#include "core/result.h"

namespace watchwheel::checker {

// Check options made ready for use: parsed, resolved to addresses, files read. Made once for each set of options and shared by
// all the sites that have it. Immutable; defined behind this room.
struct ProbePlan;
using PlanRef = std::shared_ptr<const ProbePlan>;

// Names a started probe to the one who started it; the lane uses the site's slot.
using ProbeToken = std::uint64_t;

class ResultHandler {
 public:
  virtual ~ResultHandler() = default;
  // Called from turn() or cancel_all(), never from inside start(). May call start().
  virtual void on_result(ProbeToken token, core::ProbeResult&& result) noexcept = 0;
};

enum class Start : std::uint8_t {
  Started,
  Full,  // No room now; the check stays due.
};

class Prober : core::Pinned {
 public:
  virtual ~Prober() = default;

  // Invalid: an option that only shows unfit when it is used (a CA file that cannot be read).
  [[nodiscard]] virtual core::Result<PlanRef> prepare(const core::CheckOptions& options) = 0;

  // Starts one probe. `url` is copied. A URL that cannot be asked gives the result target_invalid, on a later turn.
  [[nodiscard]] virtual Start start(ProbeToken token, std::string_view url, const PlanRef& plan, core::SteadyTime now) = 0;

  // Ends every probe in flight with the result `cancelled`.
  virtual void cancel_all(core::SteadyTime now) = 0;

  virtual void set_in_flight_limit(std::size_t limit) = 0;
  // Memory is short: lets go of what is only kept to be quick. What was used last stays.
  virtual void give_back_memory() {}
  [[nodiscard]] virtual std::size_t in_flight() const = 0;
};

}  // namespace watchwheel::checker
