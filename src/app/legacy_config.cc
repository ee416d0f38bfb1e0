// SPDX-License-Identifier: Apache-2.0
#include "app/legacy_config.h"

#include <utility>

namespace watchwheel::app {
namespace {

constexpr std::string_view kNoSuchColumn = "-";

core::Duration unit_of(std::string_view word, core::Duration preset) {
  if (word == "milliseconds") return std::chrono::milliseconds{1};
  if (word == "seconds") return std::chrono::seconds{1};
  if (word == "minutes") return std::chrono::minutes{1};
  if (word == "hours") return std::chrono::hours{1};
  return preset;
}

db::LegacyTime kind_of(std::string_view word) {
  if (word == "datetime") return db::LegacyTime::Datetime;
  if (word == "seconds") return db::LegacyTime::Seconds;
  if (word == "milliseconds") return db::LegacyTime::Milliseconds;
  return db::LegacyTime::Auto;
}

}  // namespace

core::Result<std::optional<db::LegacyMapping>> legacy_mapping(const LegacyConfig& config) {
  if (config.table.empty() && config.preset.empty()) return std::optional<db::LegacyMapping>{};
  db::LegacyMapping mapping =
      config.preset == "jetpack" ? db::jetpack_mapping() : db::LegacyMapping{};
  const auto put = [](std::string& into, const std::string& from) {
    if (!from.empty()) into = from == kNoSuchColumn ? "" : from;
  };
  put(mapping.table, config.table);
  put(mapping.id, config.id);
  put(mapping.url, config.url);
  put(mapping.active, config.active);
  put(mapping.active_when, config.active_when);
  put(mapping.interval, config.interval);
  put(mapping.bucket, config.bucket);
  put(mapping.name, config.name);
  put(mapping.status, config.status);
  put(mapping.status_up, config.status_up);
  put(mapping.status_seems_down, config.status_seems_down);
  put(mapping.status_down, config.status_down);
  put(mapping.status_changed_at, config.status_changed_at);
  put(mapping.checked_at, config.checked_at);
  put(mapping.next_check_at, config.next_check_at);
  mapping.scheme = config.scheme;
  mapping.interval_unit = unit_of(config.interval_unit, mapping.interval_unit);
  mapping.status_changed_kind = kind_of(config.status_changed_kind);
  mapping.checked_kind = kind_of(config.checked_kind);
  mapping.next_check_kind = kind_of(config.next_check_kind);
  mapping.source = config.role != "target";
  mapping.target = config.role != "source";
  auto ranges = db::parse_bucket_ranges(config.buckets);
  if (!ranges) return core::Error{ranges.error().kind, "legacy.buckets: " + ranges.error().message};
  mapping.buckets = *std::move(ranges);
  if (auto fits = db::check_mapping(mapping); !fits) return fits.error();
  return std::optional(std::move(mapping));
}

}  // namespace watchwheel::app
