// SPDX-License-Identifier: Apache-2.0
// db/site_catalog.h - the site list as people edit it: `watchwheel sites …`.
//
// Thread   one at a time. Calls block, and each is one short transaction, so that a running daemon
//          is never kept waiting long.
// Fails    core::Error. Every change gets the next change sequence, in the same transaction: the
//          daemon sees it within seconds.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "core/ids.h"
#include "core/result.h"
#include "core/site.h"

namespace watchwheel::db {

struct UpsertCounts {
  std::uint64_t added = 0;
  std::uint64_t changed = 0;
  std::uint64_t unchanged = 0;  // Already exactly so: no change is recorded.
};

struct SiteFilter {
  std::optional<std::string> tag;
  std::optional<core::SiteState> state;
  std::optional<std::string> url_contains;
};

// A site with what is known of it, as `sites list` shows it.
struct SiteView {
  core::SiteRecord record;
  std::optional<core::SiteState>
      state;  // Nothing: never checked. Paused whenever it is not active.
  core::WallTime state_since = core::kNoWallTime;
  core::WallTime checked_at = core::kNoWallTime;
  std::optional<core::Cause> cause;
  core::EventId open_event;  // 0: none.
};

class SiteCatalog {
 public:
  virtual ~SiteCatalog() = default;

  // Adds or replaces each record, all in one transaction. A record with an id is that site; one
  // without (id 0) is the site of the same URL, if there is one, else a new one. Invalid names the
  // first record that cannot be stored, and nothing is. When `ids` is given, it receives the id of
  // each record, in order.
  // The write lock is held throughout: give 1000 to 5000 at a time. A given id is at most 2^62.
  // When a site's URL changes, what was measured of the other one is forgotten.
  [[nodiscard]] virtual core::Result<UpsertCounts> upsert(
      std::span<const core::SiteRecord> records, std::vector<core::SiteId>* ids = nullptr) = 0;

  // Up to `limit` sites above `after`, in id order, that pass the filter.
  [[nodiscard]] virtual core::Result<std::vector<SiteView>> list(const SiteFilter& filter,
                                                                 core::SiteId after,
                                                                 std::size_t limit) = 0;
  // NotFound when there is none.
  [[nodiscard]] virtual core::Result<SiteView> get(core::SiteId id) = 0;
  // The sites with exactly this URL (usually one).
  [[nodiscard]] virtual core::Result<std::vector<core::SiteId>> find_url(
      const std::string& url) = 0;
  // How many of `ids` there were and changed.
  [[nodiscard]] virtual core::Result<std::uint64_t> set_active(std::span<const core::SiteId> ids,
                                                               bool active) = 0;
  [[nodiscard]] virtual core::Result<std::uint64_t> remove(std::span<const core::SiteId> ids) = 0;
  [[nodiscard]] virtual core::Result<std::uint64_t> count() = 0;
  // The table of another program that the list comes from, "database.table"; "": the list is the store's own.
  [[nodiscard]] virtual core::Result<std::string> origin() { return std::string(); }
  // The list is the store's own from now on, as it stands.
  [[nodiscard]] virtual core::Result<void> release_origin() { return {}; }
};

}  // namespace watchwheel::db
