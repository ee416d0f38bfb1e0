// SPDX-License-Identifier: Apache-2.0
// db/legacy_table.h - another program's table of sites: read a page at a time, and told what we know.
//
// Owns     its session with the store's server.
// Thread   one at a time. Calls block.
// Bounded  a page holds at most the `limit` asked for; project() takes at most kLegacyTransactionMax sites at once, and begins nothing
//          more when it has held rows for kLegacyHeldMost.
// Fails    core::Error as every store; the cursor given stays good.
//
// Reading goes by the primary key, or, where a bucket column is named, bucket by bucket through the index over bucket and active
// flag, which holds the key too: then only rows of sites that are to be watched are read at all.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "core/clock.h"
#include "core/ids.h"
#include "core/pinned.h"
#include "core/result.h"
#include "db/legacy_mapping.h"

namespace watchwheel::db {

inline constexpr std::size_t kLegacyWriteMax = 100;  // Rows a statement.
// One sync of the server's disk for so many rows, where so many wait. Their owners' edits wait meanwhile.
inline constexpr std::size_t kLegacyTransactionMax = 1000;
inline constexpr core::Duration kLegacyHeldMost = std::chrono::milliseconds{100};
// Above it there must be room for ids that the store gives; see kGivenSiteIdMax.
inline constexpr std::uint64_t kLegacyIdMax = std::uint64_t{1} << 62U;

// As it stands there, unjudged.
struct LegacyRow {
  core::SiteId id;
  std::int64_t bucket = 0;  // 0 where there is no such column.
  bool active = false;
  std::optional<std::string> url;  // Nothing when it is NULL; not read of a row that is not active.
  std::optional<std::int64_t> interval;  // In units of the mapping's.
  std::string name;
  std::optional<std::string> status;
  core::WallTime status_changed_at = core::kNoWallTime;
  core::WallTime checked_at = core::kNoWallTime;
};

// After which row a page begins: rows are in the order of bucket and id.
struct LegacyCursor {
  std::int64_t bucket = INT64_MIN;
  core::SiteId after;
  friend auto operator<=>(const LegacyCursor&, const LegacyCursor&) = default;
};

struct LegacyPage {
  std::vector<LegacyRow> rows;  // Where it reads by buckets, only active ones.
  LegacyCursor until;           // Every row up to here was among these pages.
  bool last = false;
  std::uint64_t rows_read = 0;  // By the server, about.
};

struct LegacyWrites {
  std::size_t sites = 0;  // So many of them, from the first on, is this about; the others were not begun.
  std::uint64_t status = 0;     // Rows whose status was changed.
  std::uint64_t checked = 0;    // Rows whose checked_at was.
  std::uint64_t overruled = 0;  // Of the first, those that another program had set meanwhile.
  std::uint64_t not_ours = 0;   // Left alone: paused, gone, or about another URL.
  std::vector<core::SiteId>
      locked;  // Another program held their rows; they are to be projected again.
};

// What a sweep needs of the table.
class LegacySource {
 public:
  virtual ~LegacySource() = default;
  // Without status and times, which a sweep has no use for.
  [[nodiscard]] virtual core::Result<LegacyPage> page(const LegacyCursor& from,
                                                      std::size_t limit) = 0;
  // Those of `ids` (at most kLegacyWriteMax, rising) that have a row in the mapping's buckets, active or not.
  [[nodiscard]] virtual core::Result<std::vector<LegacyRow>> find(
      std::span<const core::SiteId> ids) = 0;
};

class LegacyTable : public LegacySource, core::Pinned {
 public:
  // What is wrong with the mapping, as the table stands: each names the key, and what would be right. Empty: nothing.
  // Before any other call; once.
  [[nodiscard]] virtual core::Result<std::vector<std::string>> check() = 0;
  // From now on only rows of these buckets are read; empty: all.
  virtual void set_buckets(std::vector<BucketRange> buckets) = 0;
  // All rows of the mapping's buckets in the order of ids, whether active or not; with everything.
  [[nodiscard]] virtual core::Result<LegacyPage> page_by_key(core::SiteId after,
                                                             std::size_t limit) = 0;
  // How many rows the server believes it has.
  [[nodiscard]] virtual core::Result<std::uint64_t> rows_estimated() = 0;
  [[nodiscard]] virtual bool by_buckets() const = 0;

  // The site list of the store comes from this table from now on. Invalid when it has sites of its own (unless `replace`: then
  // those without a row here are removed as the table is read), or comes from another table.
  [[nodiscard]] virtual core::Result<void> claim(bool replace) = 0;
  // Since when the list comes from this table, without a break; nothing when it does not.
  [[nodiscard]] virtual core::Result<std::optional<core::WallTime>> claimed_since() = 0;

  // Reads what the store knows of each site, now, and writes it to the rows that do not say so yet: one short transaction, of all
  // sites or of the first of them, at least kLegacyWriteMax. `sites` rise; those without a row or without anything measured are
  // passed over. A row that another program holds in this moment is left and told. May be repeated.
  [[nodiscard]] virtual core::Result<LegacyWrites> project(std::span<const core::SiteId> sites) = 0;
};

}  // namespace watchwheel::db
