// SPDX-License-Identifier: Apache-2.0
// sideeffects/rate_limit.h - how many messages a minute a target is sent.
//
// A token bucket, told by one time (the generic cell rate algorithm): tokens come evenly, one each minute / per_minute, and at
// most `burst` are kept. In any span of time there go at most burst + span · per_minute; so with 600 a minute and a burst of 10
// at most 610 in any minute. Whole nanoseconds: it neither drifts nor rounds upwards.
//
// Thread   one, for every call.
// Time     steady, passed in, never backwards.
#pragma once

#include <cstdint>
#include <optional>

#include "core/clock.h"

namespace watchwheel::sideeffects {

struct RateLimit {
  std::uint32_t per_minute = 0;  // 0: no limit.
  std::uint32_t burst = 1;       // At least 1.
  friend bool operator==(const RateLimit&, const RateLimit&) = default;
};

// What one of `processes` may send so that all together keep to `limit`; `index` from 0. Each gets a burst of at least 1 and a
// rate of at least 1: only where there are fewer than processes do the shares come to more.
[[nodiscard]] RateLimit share_of(RateLimit limit, std::uint32_t index, std::uint32_t processes);

class TokenBucket {
 public:
  // Full at first.
  explicit TokenBucket(RateLimit limit = {}) : limit_(limit) {}

  // From now on. What was taken stays taken.
  void set(RateLimit limit) { limit_ = limit; }
  [[nodiscard]] RateLimit limit() const { return limit_; }

  // Nothing: one was taken. Else when there will be one.
  [[nodiscard]] std::optional<core::SteadyTime> take(core::SteadyTime now);
  // One was taken and nothing was sent.
  void give_back();

 private:
  [[nodiscard]] core::Duration interval() const;

  RateLimit limit_;
  core::SteadyTime full_at_ = core::kNoSteadyTime;  // When all tokens will be there.
};

}  // namespace watchwheel::sideeffects
