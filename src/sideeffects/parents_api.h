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
#include <vector>

#include "core/clock.h"
#include "core/ids.h"
#include "core/result.h"

namespace watchwheel::sideeffects {

inline constexpr std::size_t kParentsMax = 16;
inline constexpr std::size_t kSitesAboveMax = 1000;

// The newest outage of a site that another one depends on.
struct ParentOutage {
  core::SiteId parent;
  core::WallTime confirmed_at = core::kNoWallTime;  // kNoWallTime: it only seemed so.
  core::WallTime ended_at = core::kNoWallTime;      // kNoWallTime: it is open.
  friend bool operator==(const ParentOutage&, const ParentOutage&) = default;
};

class ParentStore {
 public:
  virtual ~ParentStore() = default;

  // False: the store is known to be away, and every question has Unavailable for an answer, at once.
  [[nodiscard]] virtual bool reachable() const { return true; }
  // Whether any site names a parent.
  [[nodiscard]] virtual core::Result<bool> any() = 0;
  // Of each parent of `site`, their parents and so on: the newest outage, when it is open or ended at `since` or later.
  [[nodiscard]] virtual core::Result<std::vector<ParentOutage>> above(core::SiteId site,
                                                                      core::WallTime since) = 0;
  // How many sites that are checked depend on `parent`, directly or not. It stops counting at `limit`.
  [[nodiscard]] virtual core::Result<std::uint64_t> below(core::SiteId parent,
                                                          std::uint64_t limit) = 0;
  // The site's own; nothing: it goes by the configuration's.
  [[nodiscard]] virtual core::Result<std::optional<core::Duration>> interval_of(
      core::SiteId site) = 0;
};

}  // namespace watchwheel::sideeffects
