// SPDX-License-Identifier: Apache-2.0
#include "sideeffects/maintenance.h"

#include <cctz/time_zone.h>

#include <algorithm>
#include <array>

namespace watchwheel::sideeffects {
namespace {

using std::chrono::hours;
using std::chrono::minutes;
using std::chrono::seconds;

constexpr std::array<std::string_view, 7> kDays{"mon", "tue", "wed", "thu", "fri", "sat", "sun"};
constexpr std::uint8_t kEveryDay = 0x7F;
constexpr std::size_t kListMax = 100;
constexpr std::size_t kTitleBytesMax = 256;
constexpr std::size_t kTagBytesMax = 64;

core::Error invalid(const std::string& what) {
  return core::Error{core::ErrorKind::Invalid, "maintenance window: " + what};
}

// The library takes paths too, and "localtime", which is another place on every machine.
bool is_name(std::string_view name) {
  const auto fits = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
           c == '/' || c == '-' || c == '+';
  };
  return !name.empty() && name.size() <= 64 && name.front() >= 'A' && name.front() <= 'Z' &&
         std::all_of(name.begin(), name.end(), fits);
}

std::optional<cctz::time_zone> zone_of(const std::string& name) {
  cctz::time_zone zone;
  if (!is_name(name) || !cctz::load_time_zone(name, &zone)) return std::nullopt;
  return zone;
}

cctz::time_point<cctz::seconds> to_library(core::WallTime t) {
  return cctz::time_point<cctz::seconds>(
      cctz::seconds(std::chrono::floor<seconds>(t.time_since_epoch()).count()));
}
core::WallTime from_library(cctz::time_point<cctz::seconds> t) {
  return core::WallTime{seconds{t.time_since_epoch().count()}};
}

// When the occurrence of that day begins.
core::WallTime beginning(const cctz::time_zone& zone, cctz::civil_day day, minutes at) {
  return from_library(cctz::convert(cctz::civil_second(day) + at.count() * 60, zone));
}

// The occurrence of that day; nothing: there is none, or its bounds leave nothing of it.
std::optional<MaintenanceSpan> on_day(const MaintenanceWindow& window, const cctz::time_zone& zone,
                                      cctz::civil_day day) {
  const auto weekday = static_cast<unsigned>(cctz::get_weekday(day));  // Monday is 0.
  if ((window.weekdays >> weekday & 1U) == 0) return std::nullopt;
  MaintenanceSpan span;
  span.from = beginning(zone, day, window.at);
  span.until = span.from + window.length;
  if (window.starts_at != core::kNoWallTime && span.from < window.starts_at) return std::nullopt;
  if (window.ends_at != core::kNoWallTime) span.until = std::min(span.until, window.ends_at);
  if (span.until <= span.from) return std::nullopt;
  return span;
}

// What holds now, else (with `ahead` days to look) what comes next.
std::optional<MaintenanceSpan> find(const MaintenanceWindow& window, core::WallTime now,
                                    int ahead) {
  if (!window.recurring()) {
    const bool matters = ahead > 0 || window.starts_at <= now;
    if (!matters || now >= window.ends_at) return std::nullopt;
    return MaintenanceSpan{.from = window.starts_at, .until = window.ends_at};
  }
  const std::optional<cctz::time_zone> zone = zone_of(window.zone);
  if (!zone) return std::nullopt;
  // One that began on an earlier day may last; a day more on either side for what the clocks' changes shift.
  const cctz::civil_day today(zone->lookup(to_library(now)).cs);
  const int back = static_cast<int>(window.length / hours{24}) + 2;
  std::optional<MaintenanceSpan> holding;
  for (int i = -back; i <= 1; ++i) {
    const auto span = on_day(window, *zone, today + i);
    const bool holds = span && span->from <= now && now < span->until;
    if (holds && (!holding || span->until > holding->until)) holding = span;
  }
  if (holding) return holding;
  core::WallTime from = now;
  if (ahead > 0 && window.starts_at != core::kNoWallTime) from = std::max(from, window.starts_at);
  const cctz::civil_day first(zone->lookup(to_library(from)).cs);
  for (int i = -1; i < ahead; ++i) {
    const auto span = on_day(window, *zone, first + i);
    if (span && span->from > now) return span;
  }
  return std::nullopt;
}

}  // namespace

bool is_time_zone(const std::string& name) {
  return zone_of(name).has_value();
}

core::Result<void> check_window(const MaintenanceWindow& window) {
  if (window.title.size() > kTitleBytesMax) return invalid("its title is longer than 256 bytes");
  if (!window.all_sites && window.sites.empty() && window.tags.empty())
    return invalid("it covers nobody: name sites or tags, or all sites");
  if (window.all_sites && (!window.sites.empty() || !window.tags.empty()))
    return invalid("it covers all sites, so it names none");
  if (window.sites.size() > kListMax || window.tags.size() > kListMax)
    return invalid("it names more than 100 sites or tags; give the sites a tag of their own");
  for (const std::string& tag : window.tags) {
    if (tag.empty() || tag.size() > kTagBytesMax) return invalid("a tag is 1 to 64 bytes long");
  }
  if (!window.recurring()) {
    if (window.starts_at == core::kNoWallTime || window.ends_at == core::kNoWallTime)
      return invalid("it needs a beginning and an end");
    if (window.ends_at - window.starts_at < kMaintenanceMin)
      return invalid("it ends before it began, or lasts less than a minute");
    if (window.ends_at - window.starts_at > kOnceMax) return invalid("it lasts longer than a year");
    return {};
  }
  if (window.weekdays > kEveryDay) return invalid("it has a day that no week has");
  if (window.at < minutes{0} || window.at >= hours{24})
    return invalid("it begins at no time of day; use 00:00 to 23:59");
  if (window.length < kMaintenanceMin || window.length > kRecurringMax)
    return invalid("each time it lasts a minute to a week");
  if (!is_time_zone(window.zone))
    return invalid(
        "'" + window.zone +
        "' is no time zone that this machine knows; use a name like Europe/Berlin or UTC "
        "(package tzdata)");
  if (window.starts_at != core::kNoWallTime && window.ends_at != core::kNoWallTime &&
      window.ends_at <= window.starts_at)
    return invalid("it ends before it begins");
  return {};
}

std::optional<MaintenanceSpan> span_at(const MaintenanceWindow& window, core::WallTime now) {
  return find(window, now, 0);
}

std::optional<MaintenanceSpan> next_span(const MaintenanceWindow& window, core::WallTime now) {
  return find(window, now, 9);
}

std::vector<MaintenanceSpan> spans_between(const MaintenanceWindow& window, core::WallTime from,
                                           core::WallTime until) {
  if (!window.recurring()) {
    if (window.starts_at >= until || window.ends_at <= from) return {};
    return {{.from = window.starts_at, .until = window.ends_at}};
  }
  if (window.created_at != core::kNoWallTime) from = std::max(from, window.created_at);
  const std::optional<cctz::time_zone> zone = zone_of(window.zone);
  if (!zone || from >= until) return {};
  const int back = static_cast<int>(window.length / hours{24}) + 2;  // As in find().
  const cctz::civil_day last(zone->lookup(to_library(until)).cs);
  std::vector<MaintenanceSpan> spans;
  for (cctz::civil_day day = cctz::civil_day(zone->lookup(to_library(from)).cs) - back;
       day <= last + 1; ++day) {
    auto span = on_day(window, *zone, day);
    if (!span || span->from >= until || span->until <= from) continue;
    if (window.created_at != core::kNoWallTime) span->from = std::max(span->from, window.created_at);
    spans.push_back(*span);
  }
  return spans;
}

bool covers(const MaintenanceWindow& window, core::SiteId site, std::span<const std::string> tags) {
  if (window.all_sites) return true;
  if (std::find(window.sites.begin(), window.sites.end(), site) != window.sites.end()) return true;
  return std::any_of(tags.begin(), tags.end(), [&](const std::string& tag) {
    return std::find(window.tags.begin(), window.tags.end(), tag) != window.tags.end();
  });
}

std::uint8_t parse_weekdays(std::string_view text) {
  if (text == "daily") return kEveryDay;
  unsigned days = 0;
  for (std::size_t first = 0; first <= text.size();) {
    const std::size_t comma = std::min(text.find(',', first), text.size());
    const auto* const day =
        std::find(kDays.begin(), kDays.end(), text.substr(first, comma - first));
    if (day == kDays.end()) return 0;
    days |= 1U << static_cast<unsigned>(day - kDays.begin());
    first = comma + 1;
  }
  return static_cast<std::uint8_t>(days);
}

std::string weekdays_text(std::uint8_t weekdays) {
  if (weekdays == kEveryDay) return "daily";
  std::string text;
  for (std::size_t day = 0; day < kDays.size(); ++day) {
    const unsigned left = static_cast<unsigned>(weekdays) >> day;
    if ((left & 1U) != 0) text += (text.empty() ? "" : ",") + std::string(kDays.at(day));
  }
  return text;
}

std::optional<minutes> parse_time_of_day(std::string_view text) {
  const auto digit = [&](std::size_t i) { return text[i] >= '0' && text[i] <= '9'; };
  if (text.size() != 5 || text[2] != ':' || !digit(0) || !digit(1) || !digit(3) || !digit(4))
    return std::nullopt;
  const int hour = (text[0] - '0') * 10 + (text[1] - '0');
  const int minute = (text[3] - '0') * 10 + (text[4] - '0');
  if (hour > 23 || minute > 59) return std::nullopt;
  return minutes{hour * 60 + minute};
}

void MaintenanceCalendar::move_to(core::WallTime now) {
  now_.clear();
  for (std::size_t i = 0; i < windows_.size(); ++i) {
    if (const auto span = span_at(windows_[i], now)) now_.push_back({i, span->until});
  }
}

std::optional<MaintenanceCalendar::Holding> MaintenanceCalendar::of(
    core::SiteId site, std::span<const std::string> tags) const {
  std::optional<Holding> last;
  for (const Open& open : now_) {
    const MaintenanceWindow& window = windows_[open.window];
    if (last && open.until <= last->until) continue;
    if (covers(window, site, tags)) last = Holding{window.id, open.until};
  }
  return last;
}

}  // namespace watchwheel::sideeffects
