// SPDX-License-Identifier: Apache-2.0
#include "db/legacy_mapping.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <utility>

namespace watchwheel::db {
namespace {

constexpr std::size_t kNameBytesMax = 64;
constexpr std::size_t kCodeBytesMax = 64;
constexpr std::size_t kRangesMax = 1024;
// How far two clocks that are both right may differ.
constexpr core::Duration kClockSlack = std::chrono::minutes{1};

core::Error invalid(std::string message) {
  return {core::ErrorKind::Invalid, std::move(message)};
}

bool has_control(std::string_view text) {
  return std::any_of(text.begin(), text.end(),
                     [](char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7f; });
}

// What can be written between backquotes in a query's text, where a question mark is a parameter.
core::Result<void> check_name(std::string_view key, std::string_view name) {
  const bool fits = name.size() <= kNameBytesMax && name.find_first_of("`?.;") == name.npos &&
                    !has_control(name) && !name.starts_with(' ') && !name.ends_with(' ');
  if (fits) return {};
  return invalid("legacy." + std::string(key) + ": '" + std::string(name.substr(0, 80)) +
                 "' is no name of a column; write it as the table has it, without quotes");
}

// As the server compares the names of columns.
bool same_name(std::string_view a, std::string_view b) {
  const auto lower = [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; };
  return std::equal(a.begin(), a.end(), b.begin(), b.end(),
                    [&](char x, char y) { return lower(x) == lower(y); });
}

std::string_view trimmed(std::string_view text) {
  constexpr std::string_view kBlank = " \t\r\n";
  const std::size_t first = text.find_first_not_of(kBlank);
  if (first == std::string_view::npos) return {};
  return text.substr(first, text.find_last_not_of(kBlank) - first + 1);
}

// "https://…"; "example.org:8080/" has no scheme, although a colon follows a word.
bool has_scheme(std::string_view url) {
  const std::size_t end = url.find("://");
  if (end == std::string_view::npos || end == 0) return false;
  return std::all_of(url.begin(), url.begin() + static_cast<std::ptrdiff_t>(end), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '+' ||
           c == '-' || c == '.';
  });
}

std::optional<std::int64_t> number(std::string_view text) {
  std::int64_t value = 0;
  const auto [end, failed] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (failed != std::errc{} || end != text.data() + text.size()) return std::nullopt;
  return value;
}

core::Result<void> check_table(std::string_view table) {
  if (table.empty()) return invalid("legacy.table: is empty; name the table");
  const std::size_t dot = table.find('.');
  const bool fits =
      check_name("table", table.substr(0, dot)).has_value() && dot != 0 &&
      (dot == table.npos || (check_name("table", table.substr(dot + 1)) && dot + 1 < table.size()));
  if (fits) return {};
  return invalid("legacy.table: '" + std::string(table.substr(0, 160)) +
                 "' is no name of a table; write \"table\" or \"database.table\"");
}

}  // namespace

LegacyMapping jetpack_mapping() {
  LegacyMapping mapping;
  mapping.table = "jetpack_monitor_sites";
  mapping.id = "jetpack_monitor_site_id";
  mapping.name = "blog_id";
  mapping.bucket = "bucket_no";
  mapping.url = "monitor_url";
  mapping.active = "monitor_active";
  mapping.status = "site_status";
  mapping.status_up = "1";
  mapping.status_seems_down = "0";
  mapping.status_down = "2";
  mapping.status_changed_at = "last_status_change";
  mapping.interval = "check_interval";
  mapping.interval_unit = std::chrono::minutes{1};
  return mapping;
}

core::Result<void> check_mapping(const LegacyMapping& mapping) {
  if (auto fits = check_table(mapping.table); !fits) return fits;
  const std::array<std::pair<std::string_view, const std::string*>, 10> names{
      {{"id", &mapping.id},
       {"url", &mapping.url},
       {"active", &mapping.active},
       {"interval", &mapping.interval},
       {"bucket", &mapping.bucket},
       {"name", &mapping.name},
       {"status", &mapping.status},  // From here on: what is written.
       {"status_changed_at", &mapping.status_changed_at},
       {"checked_at", &mapping.checked_at},
       {"next_check_at", &mapping.next_check_at}}};
  for (const auto& [key, name] : names) {
    if (auto fits = check_name(key, *name); !fits) return fits;
  }
  // What is written must be no column that is read, or written as something else: it would change the site itself, and its row.
  constexpr std::size_t kRead = 6;
  for (std::size_t i = kRead; mapping.target && i < names.size(); ++i) {
    for (std::size_t j = 0; j < i; ++j) {
      if (names[i].second->empty() || !same_name(*names[i].second, *names[j].second)) continue;
      return invalid("legacy." + std::string(names[i].first) + ": the column " + *names[i].second +
                     " is that of legacy." + std::string(names[j].first) +
                     " too; name a column of its own");
    }
  }
  for (const auto* const key : {"id", "url"}) {
    const std::string& name = std::string_view(key) == "id" ? mapping.id : mapping.url;
    if (name.empty())
      return invalid("legacy." + std::string(key) + ": is empty; name the table's column");
  }
  for (const auto& [key, code] :
       {std::pair{"active_when", &mapping.active_when}, std::pair{"status_up", &mapping.status_up},
        std::pair{"status_seems_down", &mapping.status_seems_down},
        std::pair{"status_down", &mapping.status_down}}) {
    if (code->size() > kCodeBytesMax || has_control(*code))
      return invalid("legacy." + std::string(key) +
                     ": holds a control character or is longer than " +
                     std::to_string(kCodeBytesMax) + " bytes");
  }
  if (!mapping.active.empty() && mapping.active_when.empty())
    return invalid(
        "legacy.active_when: is empty; write what the column holds for a site that is "
        "to be watched, like \"1\"");
  if (!mapping.buckets.empty() && mapping.bucket.empty())
    return invalid(
        "legacy.buckets: without legacy.bucket nothing says which rows these are; name "
        "the column");
  if (mapping.target && mapping.status.empty() && mapping.checked_at.empty())
    return invalid(
        "legacy.status: to write to the table at least status or checked_at is needed; "
        "name a column, or set legacy.role to \"source\"");
  if (mapping.target && !mapping.status.empty() &&
      (mapping.status_up.empty() || mapping.status_down.empty()))
    return invalid(
        "legacy.status_up and legacy.status_down: what the status column holds is "
        "missing; write both, like \"1\" and \"2\"");
  if (mapping.status.empty() && !mapping.status_changed_at.empty())
    return invalid(
        "legacy.status_changed_at: without legacy.status it would never be written; "
        "name the status column too");
  return {};
}

core::Result<std::vector<BucketRange>> parse_bucket_ranges(std::string_view text) {
  std::vector<BucketRange> ranges;
  const auto refused = [&] {
    return invalid("'" + std::string(text.substr(0, 80)) +
                   "' is no list of buckets; write numbers and ranges that rise, like "
                   "\"0-127,300\"");
  };
  while (!trimmed(text).empty()) {
    const std::size_t comma = text.find(',');
    const std::string_view one = trimmed(text.substr(0, comma));
    const std::size_t dash = one.find('-', one.empty() ? 0 : 1);  // Not the sign of the first.
    const auto low = number(trimmed(one.substr(0, dash)));
    const auto high = dash == one.npos ? low : number(trimmed(one.substr(dash + 1)));
    if (!low || !high || *high < *low) return refused();
    if (!ranges.empty() && *low <= ranges.back().high) return refused();
    if (ranges.size() == kRangesMax) return refused();
    ranges.push_back({*low, *high});
    text.remove_prefix(comma == text.npos ? text.size() : comma + 1);
  }
  return ranges;
}

std::string format_bucket_ranges(const std::vector<BucketRange>& ranges) {
  std::string text;
  for (const BucketRange& range : ranges) {
    if (!text.empty()) text += ",";
    text += std::to_string(range.low);
    if (range.high != range.low) text += "-" + std::to_string(range.high);
  }
  return text;
}

std::string legacy_url(const LegacyMapping& mapping, std::string_view text) {
  const std::string_view url = trimmed(text);
  if (url.empty() || has_scheme(url) || mapping.scheme.empty()) return std::string(url);
  const std::string_view rest = url.starts_with("//") ? url.substr(2) : url;
  return mapping.scheme + "://" + std::string(rest);
}

std::optional<std::string> status_for(const LegacyMapping& mapping,
                                      std::optional<core::SiteState> state) {
  const std::string* code = nullptr;
  if (state == core::SiteState::Up) code = &mapping.status_up;
  if (state == core::SiteState::SeemsDown) code = &mapping.status_seems_down;
  if (state == core::SiteState::Down) code = &mapping.status_down;
  if (code == nullptr || code->empty() || mapping.status.empty()) return std::nullopt;
  return *code;
}

LegacyChange legacy_change(const LegacyMapping& mapping, const LegacyTruth& truth,
                           const LegacyWord& word, core::WallTime now) {
  LegacyChange change;
  change.ours = truth.active && legacy_url(mapping, word.url) == truth.url;
  if (!change.ours || !truth.state) return change;
  if (auto status = status_for(mapping, truth.state); status && status != word.status) {
    change.status = std::move(status);
    // A site that was never down has no time at which it came up: what is known is when it was seen up.
    change.status_changed_at = truth.since != core::kNoWallTime ? truth.since : truth.checked_at;
    change.overruled = word.status_changed_at != core::kNoWallTime &&
                       change.status_changed_at != core::kNoWallTime &&
                       word.status_changed_at >= change.status_changed_at + std::chrono::seconds{1};
  }
  if (mapping.checked_at.empty() || truth.checked_at == core::kNoWallTime) return change;
  // A second: what the column may have cut off.
  change.fresh = word.checked_at == core::kNoWallTime ||
                 truth.checked_at >= word.checked_at + std::chrono::seconds{1} ||
                 word.checked_at > now + kClockSlack;
  return change;
}

}  // namespace watchwheel::db
