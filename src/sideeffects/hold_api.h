// SPDX-License-Identifier: Apache-2.0
// sideeffects/hold_api.h - why something is not told for now, and what of that is kept: the memo of the wake that brings it up again,
// so that a person can see it. Values only.
#pragma once

#include <array>
#include <charconv>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <optional>
#include <string>
#include <string_view>

#include "core/clock.h"

namespace watchwheel::sideeffects {

enum class HoldReason : std::uint8_t {
  Maintenance,
  Parent,  // A site on which it depends fails, or did until a moment ago.
  Flapping,
  MaintenanceUnread,  // The windows are not known yet.
  ParentsUnread,      // The store does not say what depends on what.
};
inline constexpr std::size_t kHoldReasonCount = 5;
inline constexpr std::array<std::string_view, kHoldReasonCount> kHoldReasonNames{
    "maintenance", "parent", "flapping", "maintenance_unread", "parents_unread"};
[[nodiscard]] constexpr std::string_view to_string(HoldReason reason) {
  return kHoldReasonNames.at(static_cast<std::size_t>(reason));
}

// Why something is not told for now.
struct Hold {
  HoldReason reason = HoldReason::Maintenance;
  core::Duration look_again{};  // When it may be over. Above 0.
  std::uint64_t by = 0;         // The window; the site that fails. 0: neither.
  // When it is told if nothing changes: the end of the window, the time that a child is given after its parent came up, or that a
  // site has to be as it is to be steady. kNoWallTime: nobody knows.
  core::WallTime until = core::kNoWallTime;
};

// What a store knows of it: as it was when the router last looked.
struct HeldBack {
  HoldReason reason = HoldReason::Maintenance;
  std::uint64_t by = 0;
  core::WallTime since = core::kNoWallTime;  // Whatever held it first.
  core::WallTime until = core::kNoWallTime;
  core::WallTime look_again_at = core::kNoWallTime;  // In the past: nobody has looked since.
  friend bool operator==(const HeldBack&, const HeldBack&) = default;
};

// "hold:REASON:SINCE:BY:UNTIL", times in milliseconds since the epoch, 0: none. Of a warning it stands behind what its wake says
// else ("warning:…:hold:…"). At most 100 bytes.
inline constexpr std::string_view kHoldMemo = "hold:";

[[nodiscard]] inline std::string hold_memo(const Hold& hold, core::WallTime since) {
  const auto ms = [](core::WallTime t) { return std::to_string(core::to_unix_ms(t)); };
  return std::string(kHoldMemo) + std::string(to_string(hold.reason)) + ":" + ms(since) + ":" +
         std::to_string(hold.by) + ":" + ms(hold.until);
}

// `look_again_at` is not in it. Nothing: it is no such memo, or of a reason that is not known here.
[[nodiscard]] inline std::optional<HeldBack> parse_hold_memo(std::string_view memo) {
  const std::size_t at = memo.find(kHoldMemo);
  if (at == std::string_view::npos || (at != 0 && memo[at - 1] != ':')) return std::nullopt;
  memo.remove_prefix(at + kHoldMemo.size());
  const std::string_view word = memo.substr(0, memo.find(':'));
  HeldBack held;
  bool known = false;
  for (std::size_t i = 0; i < kHoldReasonCount; ++i) {
    if (kHoldReasonNames.at(i) != word) continue;
    held.reason = static_cast<HoldReason>(i);
    known = true;
  }
  if (!known) return std::nullopt;
  memo.remove_prefix(word.size());
  std::array<std::uint64_t, 3> numbers{};
  for (std::uint64_t& number : numbers) {
    if (!memo.starts_with(':')) return std::nullopt;
    memo.remove_prefix(1);
    const auto [end, error] = std::from_chars(memo.data(), memo.data() + memo.size(), number);
    if (error != std::errc{}) return std::nullopt;
    memo.remove_prefix(static_cast<std::size_t>(end - memo.data()));
  }
  // Beyond this a WallTime overflows.
  constexpr std::uint64_t kMsMax = std::numeric_limits<std::int64_t>::max() / 1'000'000;
  if (!memo.empty() || numbers[0] > kMsMax || numbers[2] > kMsMax) return std::nullopt;
  held.since = core::from_unix_ms(static_cast<std::int64_t>(numbers[0]));
  held.by = numbers[1];
  held.until = core::from_unix_ms(static_cast<std::int64_t>(numbers[2]));
  return held;
}

}  // namespace watchwheel::sideeffects
