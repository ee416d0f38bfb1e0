// SPDX-License-Identifier: Apache-2.0
#include "core/flapping.h"

#include <algorithm>
#include <array>

namespace watchwheel::core {
namespace {

// 1.2 for the newest down to 0.8, in parts of 1900, so that all 20 together are kFlapWhole.
constexpr std::int64_t weight(std::int64_t looks_ago) {
  return 2280 - 40 * looks_ago;
}

std::int64_t look_of(WallTime at, Duration look) {
  const std::int64_t since = at.time_since_epoch().count();
  const std::int64_t whole = since / look.count();
  return since % look.count() < 0 ? whole - 1 : whole;
}

using Looks = std::array<bool, kFlapLooks>;  // By looks ago: whether there was a change.

Looks changed_looks(std::span<const WallTime> changes, WallTime now, Duration look) {
  Looks changed{};
  const std::int64_t current = look_of(now, look);
  for (const WallTime at : changes) {
    const std::int64_t ago = std::max<std::int64_t>(current - look_of(at, look), 0);
    if (ago < kFlapLooks) changed.at(static_cast<std::size_t>(ago)) = true;
  }
  return changed;
}

// When `later` more looks have passed without a change.
std::int64_t share_of(const Looks& changed, std::int64_t later) {
  std::int64_t share = 0;
  for (std::int64_t ago = 0; ago + later < kFlapLooks; ++ago) {
    if (changed.at(static_cast<std::size_t>(ago))) share += weight(ago + later);
  }
  return share;
}

}  // namespace

std::int64_t flap_share(std::span<const WallTime> changes, WallTime now, Duration look) {
  return share_of(changed_looks(changes, now, look), 0);
}

bool flaps(std::int64_t share, bool did, const FlapPolicy& policy) {
  if (did) return share > 0 && share * 100 >= std::int64_t{policy.low} * kFlapWhole;
  return share * 100 > std::int64_t{policy.high} * kFlapWhole;
}

WallTime steady_at(std::span<const WallTime> changes, WallTime now, Duration look,
                   const FlapPolicy& policy) {
  const Looks changed = changed_looks(changes, now, look);
  std::int64_t later = 0;
  while (flaps(share_of(changed, later), true, policy)) ++later;
  if (later == 0) return now;
  return WallTime{look * (look_of(now, look) + later)};
}

}  // namespace watchwheel::core
