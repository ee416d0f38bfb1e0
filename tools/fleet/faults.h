// SPDX-License-Identifier: Apache-2.0
// fleet/faults.h - what can be wrong with a site, and what is wrong with which site right now.
//
// Owns     each site's fault and the switches still to come.
// Thread   the fleet's one thread, for every call.
// Bounded  8 bytes a site, taken in the constructor; kSwitchesMax switches to come.
// Time     steady time, passed in.
// Fails    set() and schedule() refuse with a reason; nothing is switched then.
// Cost     kind: O(1). A switch: O(sites in its range). advance: O(switches due).
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "fleet/site_map.h"
#include "fleet/units.h"

namespace watchwheel::fleet {

enum class FaultKind : std::uint8_t {
  None,
  // Seen while the name is looked up.
  Nxdomain,
  Nodata,
  Servfail,
  DnsRefused,
  DnsSilent,
  DnsMalformed,
  // Seen while connecting; switched by where the name points to.
  Refused,
  Silent,
  // Seen in the TLS handshake.
  TlsExpired,
  TlsNotYet,
  TlsWrongHost,
  TlsSelfSigned,
  TlsUnknownIssuer,
  TlsAlert,
  TlsStall,
  // Seen after the request.
  NoAnswer,
  Reset,
  Closed,
  Garbage,
  Status500,
  Status404,
  RedirectLoop,
  RedirectInvalid,
  Truncated,
  SlowBody,
  BadChunks,
  EndlessHead,
  ErrorPage,
  // Odd, but healthy: a site with one of these is up.
  SlowOk,
  RedirectOk,
  ChunkedOk,
  ArticleOk,
  EndlessBody,
  GzipBomb,
};
inline constexpr std::size_t kFaultKinds = static_cast<std::size_t>(FaultKind::GzipBomb) + 1;

enum class FaultStage : std::uint8_t { None, Dns, Connect, Tls, Http, Fine };

struct FaultFacts {
  FaultKind kind;
  std::string_view name;
  FaultStage stage;
  std::string_view cause;  // What the engine must report.
  std::string_view what;   // What this program does.
};

// Every kind in the order of the enumeration; FaultKind::None first.
[[nodiscard]] const std::array<FaultFacts, kFaultKinds>& fault_table() noexcept;
[[nodiscard]] const FaultFacts& facts_of(FaultKind kind) noexcept;
[[nodiscard]] std::optional<FaultKind> fault_by_name(std::string_view name) noexcept;
[[nodiscard]] std::string_view stage_name(FaultStage stage) noexcept;

// True when a site with this kind is not up.
[[nodiscard]] inline bool is_broken(FaultKind kind) noexcept {
  return kind != FaultKind::None && kind < FaultKind::SlowOk;
}

// One wish: `kind` on `sites`, from `at` (after the start), for `lasts` or for good.
struct FaultSwitch {
  FaultKind kind = FaultKind::None;
  SiteRange sites;
  Duration at{0};
  std::optional<Duration> lasts;
};

class FaultBoard {
 public:
  static constexpr std::size_t kSwitchesMax = 10'000;

  explicit FaultBoard(const SiteMap& map);

  [[nodiscard]] FaultKind kind(std::uint32_t site) const noexcept {
    return static_cast<FaultKind>(sites_[site].kind);
  }

  // True when `site` was broken at any moment since begin_window().
  [[nodiscard]] bool was_broken(std::uint32_t site) const noexcept {
    return sites_[site].was_broken;
  }
  void begin_window() noexcept;

  // Why `wish` cannot be had, empty when it can: a TLS fault on a site that is not HTTPS.
  [[nodiscard]] std::string problem_of(const FaultSwitch& wish) const;

  // Does `wish` when its time comes, counted from `start`; at once when that is `now` or past. A
  // later switch of a site replaces the one it has. Returns a problem, or nothing.
  [[nodiscard]] std::string schedule(const FaultSwitch& wish, Time start, Time now);

  // Ends whatever is on `sites` now; switches still to come stay.
  void clear(SiteRange sites) noexcept;

  // Does what fell due until `now`, oldest first.
  void advance(Time now);

  // When advance() has something to do next; Time::max() when never.
  [[nodiscard]] Time next() const noexcept;

  struct Run {
    FaultKind kind;
    SiteRange sites;
  };
  // What is on now, as runs of neighbouring sites; no more than `runs_max` of them.
  [[nodiscard]] std::vector<Run> runs(std::size_t runs_max) const;
  [[nodiscard]] std::size_t pending() const noexcept { return due_.size(); }

 private:
  struct Site {
    std::uint32_t switch_no = 0;  // Which switch set `kind`: only that one's end may clear it.
    std::uint8_t kind = 0;
    bool was_broken = false;
  };
  struct Due {
    Time when;
    std::uint64_t order;  // Equal times keep the order in which they were asked for.
    std::uint32_t switch_no;
    bool is_end;
    FaultKind kind;
    SiteRange sites;
  };
  static bool later(const Due& a, const Due& b) noexcept;
  void push(Due due);
  void apply(const Due& due) noexcept;

  const SiteMap& map_;
  std::vector<Site> sites_;
  std::vector<Due> due_;  // A heap, soonest on top.
  std::uint32_t switch_last_ = 0;
  std::uint64_t order_last_ = 0;
};

}  // namespace watchwheel::fleet
