// SPDX-License-Identifier: Apache-2.0
// sideeffects/parents_api.h - sites that depend on others, as the router asks for them: while a parent is down nobody is told of what
// is behind it. Implemented in db, joined by app.
//
// Thread   one at a time. Calls block.
// Bounded  a site has at most kParentsMax parents, and at most kSitesAboveMax sites above it.
// Fails    core::Error.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "core/clock.h"
#include "core/ids.h"
#include "core/result.h"

namespace watchwheel::sideeffects {

inline constexpr std::size_t kParentsMax = 16;
inline constexpr std::size_t kSitesAboveMax = 1000;

// An outage of a site that another one depends on.
struct ParentOutage {
  core::SiteId parent;
  core::WallTime started_at = core::kNoWallTime;
  core::WallTime confirmed_at = core::kNoWallTime;  // kNoWallTime: it only seemed so.
  core::WallTime ended_at = core::kNoWallTime;      // kNoWallTime: it is open.
  friend bool operator==(const ParentOutage&, const ParentOutage&) = default;
};

// A site that fails, since when. What ended before that has nothing to do with it.
struct Failing {
  core::SiteId site;
  core::WallTime since = core::kNoWallTime;
};

// What a site has above and below it.
struct SiteKin {
  core::SiteId site;
  bool is_parent = false;                  // Others depend on it.
  std::optional<core::Duration> interval;  // Its own; nothing: it goes by the configuration's.
  // Of each parent, their parents and so on: the newest outage and the newest that was confirmed, when it is open or ended at `since`
  // or later.
  std::vector<ParentOutage> above;
};

class ParentStore {
 public:
  virtual ~ParentStore() = default;

  // False: the store is known to be away, and every question has Unavailable for an answer, at once.
  [[nodiscard]] virtual bool reachable() const { return true; }
  // Whether any site names a parent.
  [[nodiscard]] virtual core::Result<bool> any() = 0;
  // Of those of `sites` that have parents or are some, each once, in any order. Cost: with the number of sites by fifties, and with
  // that of all that stand above them, each once.
  [[nodiscard]] virtual core::Result<std::vector<SiteKin>> kin(std::span<const Failing> sites) = 0;
  // How many sites that are checked depend on `parent`, directly or not. It stops counting at `limit`.
  [[nodiscard]] virtual core::Result<std::uint64_t> below(core::SiteId parent,
                                                          std::uint64_t limit) = 0;
};

}  // namespace watchwheel::sideeffects
