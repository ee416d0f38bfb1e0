// SPDX-License-Identifier: Apache-2.0
// db/legacy_mapping.h - which column of another program's table means what. Values; pure.
//
// The table is on the store's own server. Where a name is "" the table has no such column: it is neither read nor written.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/clock.h"
#include "core/ids.h"
#include "core/result.h"
#include "core/site.h"

namespace watchwheel::db {

// How a column holds a moment. Auto: by its type, whole numbers as seconds.
enum class LegacyTime : std::uint8_t { Auto, Datetime, Seconds, Milliseconds };

struct BucketRange {
  std::int64_t low = 0;
  std::int64_t high = 0;  // Included.
  friend bool operator==(const BucketRange&, const BucketRange&) = default;
};

struct LegacyMapping {
  std::string table;   // "table" or "database.table".
  bool source = true;  // The site list comes from it.
  bool target = true;  // What we know is written to it.

  std::string id, url, active, interval, bucket, name;
  std::string active_when = "1";  // What `active` holds for a site that is to be watched.
  core::Duration interval_unit = std::chrono::seconds{1};
  std::string scheme = "http";       // Of a URL that is written without one.
  std::vector<BucketRange> buckets;  // Only these; empty: all.

  std::string status, status_changed_at, checked_at, next_check_at;
  std::string status_up, status_seems_down, status_down;  // "": this state is not written.
  LegacyTime status_changed_kind = LegacyTime::Auto;
  LegacyTime checked_kind = LegacyTime::Auto;
  LegacyTime next_check_kind = LegacyTime::Auto;
  friend bool operator==(const LegacyMapping&, const LegacyMapping&) = default;
};

// The columns of `jetpack_monitor_sites`: a row is one monitor, and a blog may have several.
[[nodiscard]] LegacyMapping jetpack_mapping();

// Invalid, naming the key of [legacy], when a name cannot be one or a needed one is missing.
[[nodiscard]] core::Result<void> check_mapping(const LegacyMapping& mapping);

// "0-127,300": ranges that rise and do not overlap.
[[nodiscard]] core::Result<std::vector<BucketRange>> parse_bucket_ranges(std::string_view text);
[[nodiscard]] std::string format_bucket_ranges(const std::vector<BucketRange>& ranges);

// The URL as it is checked: without the blanks around it, with a scheme.
[[nodiscard]] std::string legacy_url(const LegacyMapping& mapping, std::string_view text);

// What we know of a site, as the store has it.
struct LegacyTruth {
  std::string url;
  bool active = false;
  std::optional<core::SiteState> state;  // Nothing: never measured.
  core::WallTime since = core::kNoWallTime;
  core::WallTime checked_at = core::kNoWallTime;
  core::WallTime next_due_at = core::kNoWallTime;
};

// What the table says of it now.
struct LegacyWord {
  std::string url;
  std::optional<std::string> status;
  core::WallTime status_changed_at = core::kNoWallTime;
  core::WallTime checked_at = core::kNoWallTime;
};

struct LegacyChange {
  bool ours =
      true;  // False: the row is about another URL than we measured, or is paused with us. Nothing is written.
  std::optional<std::string> status;
  core::WallTime status_changed_at = core::kNoWallTime;
  bool overruled =
      false;           // Another program had set the status after the state began that we write.
  bool fresh = false;  // checked_at and next_check_at are written.
  [[nodiscard]] bool any() const { return status.has_value() || fresh; }
};

// What has to be written so that the table says what we know. A state that was not measured says nothing, and a newer
// checked_at of another program stays, unless it lies beyond `now` by more than clocks differ.
[[nodiscard]] LegacyChange legacy_change(const LegacyMapping& mapping, const LegacyTruth& truth,
                                         const LegacyWord& word, core::WallTime now);
// The status that stands for `state`; nothing when it has none.
[[nodiscard]] std::optional<std::string> status_for(const LegacyMapping& mapping,
                                                    std::optional<core::SiteState> state);

}  // namespace watchwheel::db
