// SPDX-License-Identifier: Apache-2.0
// app/legacy_pace.h - how fast the legacy table is read: a whole sweep in its time, and never more rows a second than allowed.
// Values; pure: it is told the time.
//
// A row is read once a sweep, always at about the same place of it, so a change is seen within the time that one sweep takes. It
// is planned for four fifths of the time wanted: pages take time themselves, and the feeder asks the list once a second. Where the
// rows are too many for the rate allowed, the rate holds and the sweep takes longer; what it took is shown.
#pragma once

#include <algorithm>
#include <cstdint>

#include "core/clock.h"

namespace watchwheel::app {

class LegacyPace {
 public:
  LegacyPace(core::Duration sweep, double rows_per_second_max)
      : planned_(sweep * 4 / 5), rate_max_(rows_per_second_max), rate_(rows_per_second_max) {}

  // The first sweep goes as fast as allowed: what changed while nobody looked is seen soonest.
  void begin(core::SteadyTime now) {
    begun_ = due_ = now;
    rows_ = 0;
  }
  // After a page of so many rows: when the next one may be read. Time that pages took beyond the plan is made up for, at the
  // rate allowed, so that a sweep is in time on a busy server too.
  [[nodiscard]] core::SteadyTime after_page(std::uint64_t rows, core::SteadyTime now) {
    rows_ += rows;
    due_ += time_for(rows, rate_);
    return std::max(due_, now + time_for(rows, rate_max_));
  }
  // After the last page: when the next sweep begins. Its rate follows from how many rows this one had.
  [[nodiscard]] core::SteadyTime after_sweep(core::SteadyTime now) {
    took_ = now - begun_;
    constexpr double kRateMin = 50;
    rate_ = std::clamp(static_cast<double>(rows_) / core::to_seconds(planned_),
                       std::min(kRateMin, rate_max_), rate_max_);
    return std::max({due_, begun_ + planned_, now});
  }

  [[nodiscard]] double rate() const { return rate_; }
  [[nodiscard]] core::Duration took() const { return took_; }  // The last whole sweep.
  // A tenth of a second's rows, so that the server's work is spread.
  [[nodiscard]] std::size_t page_rows() const {
    return static_cast<std::size_t>(std::clamp(rate_ / 10, 50.0, 1000.0));
  }

 private:
  static core::Duration time_for(std::uint64_t rows, double rate) {
    return core::duration_cast<core::Duration>(std::chrono::duration<double>(
        static_cast<double>(std::max<std::uint64_t>(rows, 1)) / rate));
  }

  core::Duration planned_;
  double rate_max_;
  double rate_;
  core::SteadyTime begun_, due_;
  core::Duration took_{};
  std::uint64_t rows_ = 0;
};

}  // namespace watchwheel::app
