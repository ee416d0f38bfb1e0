// SPDX-License-Identifier: Apache-2.0
// app/legacy_diff.h - where the legacy table and what Watchwheel knows do not say the same.
//
// Both are read once, in the order of ids. Of a site that was never down nobody knows since when it is up: whose check has only just
// ended, and whose row does not say so yet, is looked at again when what is under way must have arrived.
//
// Thread   one. Bounded  a page of each, `listed_max` of each kind of finding, and the ids of those that are looked at again.
// Fails    core::Error of the table or of the list.
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "app/config.h"
#include "core/result.h"
#include "db/legacy_table.h"
#include "db/site_catalog.h"

namespace watchwheel::app {

enum class LegacyDifference : std::uint8_t {
  Missing,  // An active row, and no site of that id that is checked.
  Extra,    // A site that is checked, and no active row.
  Url,
  Interval,
  Status,
  CheckedAt,  // The table's is older than a projection could leave it.
};
inline constexpr std::size_t kLegacyDifferenceCount = 6;
[[nodiscard]] std::string_view to_string(LegacyDifference difference);

struct LegacyFinding {
  core::SiteId id;
  std::string kind;             // to_string(LegacyDifference), or "rejected".
  std::string in_table, known;  // As people read them.
};

struct LegacyComparison {
  std::uint64_t rows = 0;      // Of the table, active ones of the mapping's buckets.
  std::uint64_t sites = 0;     // That are checked.
  std::uint64_t compared = 0;  // Both.
  std::uint64_t rejected =
      0;  // Active rows that cannot be sites. No difference: neither program can check them.
  std::array<std::uint64_t, kLegacyDifferenceCount> differences{};
  std::vector<LegacyFinding> findings;
  [[nodiscard]] bool same() const {
    for (const std::uint64_t count : differences) {
      if (count != 0) return false;
    }
    return true;
  }
};

// A state that has just changed is on its way to the table.
inline constexpr core::Duration kLegacyOnItsWay = std::chrono::seconds{10};

struct LegacyDiffSettings {
  db::LegacyMapping mapping;
  ChecksConfig defaults;
  core::Duration projection{};  // How often a site's freshness is projected.
  core::WallTime now;
  // Waits for kLegacyOnItsWay; what time it is then.
  std::function<core::WallTime()> wait;
  std::size_t listed_max = 20;
};

// Told now and then how many rows were read.
using LegacyDiffWatch = std::function<void(std::uint64_t rows)>;

[[nodiscard]] core::Result<LegacyComparison> compare_legacy(const LegacyDiffSettings& settings,
                                                            db::LegacyTable& table,
                                                            db::SiteCatalog& list,
                                                            const LegacyDiffWatch& watch);

}  // namespace watchwheel::app
