// SPDX-License-Identifier: Apache-2.0
// core/testimony.h - what other vantages saw of an outage, and what was decided with it. Values.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/check_options.h"
#include "core/clock.h"
#include "core/probe.h"

namespace watchwheel::core {

// How it was decided whether a site that fails here is down. A closed list; the names are stored and shown.
enum class Basis : std::uint8_t {
  None,          // Nothing is decided: nobody was asked yet, or answers are awaited.
  LocalOnly,     // There are no other vantages: our own failures are enough.
  Quorum,        // As many vantages as were asked for see it down.
  Disagreement,  // Others see it up, and the quorum was not reached: not down.
  Unanswered,    // No other vantage saw it up, and too few said anything in time: our own failures are enough.
  Unasked,       // Nobody could be asked in time: our own failures are enough.
  Bound,         // The check needs a file of this host, so nobody else can make it: our own failures are enough.
  Outlasted,     // It went on failing here for too long, and no more vantages see it up than down: our own failures are enough.
};
inline constexpr std::size_t kBasisCount = 8;
[[nodiscard]] std::string_view to_string(Basis basis);  // "local_only"
[[nodiscard]] std::optional<Basis> parse_basis(std::string_view name);

// What came of asking one vantage. Down and Up are votes, the others are none.
enum class Saw : std::uint8_t { Down, Up, NotMeasured, Overloaded, Silent, Error };
inline constexpr std::size_t kSawCount = 6;
[[nodiscard]] std::string_view to_string(Saw saw);  // "not_measured"
[[nodiscard]] std::optional<Saw> parse_saw(std::string_view name);
[[nodiscard]] constexpr bool is_vote(Saw saw) { return saw == Saw::Down || saw == Saw::Up; }

struct Witness {
  std::string vantage{};  // "local", or a verifier's name.
  std::string region{};
  Saw saw = Saw::Silent;
  Cause cause = Cause::Cancelled;  // Where it made the check.
  std::uint16_t http_status = 0;
  std::string detail{};
  WallTime at = kNoWallTime;
  friend bool operator==(const Witness&, const Witness&) = default;
};

struct Testimony {
  Basis basis = Basis::None;
  WallTime outage = kNoWallTime;   // Which one, by its start; not stored. Of LocalOnly: any.
  std::uint32_t quorum = 1;        // Of vantages, ours included.
  std::uint32_t round = 0;         // How often the others have answered about this outage.
  WallTime decided_at = kNoWallTime;
  std::vector<Witness> witnesses{};  // Ours first.
  friend bool operator==(const Testimony&, const Testimony&) = default;
};

// What another vantage must know to make the same check. Shared; immutable.
struct Subject {
  std::string url;
  std::shared_ptr<const CheckOptions> options;
  bool own_resolvers = false;  // The site's, where others are to ask too; else they are this host's.
};

}  // namespace watchwheel::core
