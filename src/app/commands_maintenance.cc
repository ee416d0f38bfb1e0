// SPDX-License-Identifier: Apache-2.0
#include "app/commands_maintenance.h"

#include <pwd.h>
#include <unistd.h>

#include <array>
#include <cstdlib>
#include <nlohmann/json.hpp>

#include "core/units.h"

namespace watchwheel::app {
namespace {

using Json = nlohmann::ordered_json;
using sideeffects::MaintenanceSpan;
using sideeffects::MaintenanceWindow;

core::Error invalid(const std::string& what) {
  return core::Error{core::ErrorKind::Invalid, what};
}

core::Result<core::WallTime> time_of(const char* option, const std::string& text) {
  if (text.empty()) return core::kNoWallTime;
  const auto at = core::parse_iso8601(text);
  if (at) return at;
  return invalid(std::string(option) + ": '" + printable(text, 60) +
                 "' is no time; write 2026-11-20T22:00:00Z");
}

core::Result<void> make_recurring(MaintenanceWindow& window, const MaintenanceAddArgs& args) {
  window.weekdays = sideeffects::parse_weekdays(args.days);
  if (window.weekdays == 0)
    return invalid("--days: '" + printable(args.days, 60) +
                   "' names no days; write daily, or some of mon,tue,wed,thu,fri,sat,sun");
  const auto at = sideeffects::parse_time_of_day(args.at);
  if (!at) return invalid("--at: of --days, a time like 02:30 is needed");
  if (args.length.empty()) return invalid("--for: of --days, how long it lasts is needed, like 2h");
  if (args.zone.empty())
    return invalid("--zone: of --days, the place whose clocks count is needed, like Europe/Berlin");
  window.at = *at;
  window.zone = args.zone;
  return {};
}

std::string two_digits(std::int64_t number) {
  return std::string(number < 10 ? "0" : "") + std::to_string(number);
}
std::string minutes_text(std::chrono::minutes at) {
  return two_digits(at.count() / 60) + ":" + two_digits(at.count() % 60);
}

Json time_or_null(core::WallTime t) {
  return t == core::kNoWallTime ? Json() : Json(core::to_iso8601(t));
}

Json to_json(const MaintenanceWindow& window, core::WallTime now) {
  const std::optional<MaintenanceSpan> span = sideeffects::next_span(window, now);
  Json sites = Json::array();
  for (const core::SiteId site : window.sites) sites.push_back(site.value);
  return {{"id", window.id.value},
          {"title", window.title},
          {"all_sites", window.all_sites},
          {"sites", std::move(sites)},
          {"tags", window.tags},
          {"holds", span && span->from <= now},
          {"over", !span},
          {"next_from", span ? time_or_null(span->from) : Json()},
          {"next_until", span ? time_or_null(span->until) : Json()},
          {"from", time_or_null(window.starts_at)},
          {"until", time_or_null(window.ends_at)},
          {"days", window.recurring() ? Json(sideeffects::weekdays_text(window.weekdays)) : Json()},
          {"at", window.recurring() ? Json(minutes_text(window.at)) : Json()},
          {"length_s", window.recurring() ? Json(core::to_seconds(window.length)) : Json()},
          {"zone", window.recurring() ? Json(window.zone) : Json()},
          {"created_at", time_or_null(window.created_at)},
          {"created_by", window.created_by}};
}

std::string dumped(const Json& json) {
  return json.dump(2, ' ', false, Json::error_handler_t::replace);
}

core::Result<std::unique_ptr<sideeffects::MaintenanceStore>> open_windows(const Config& config) {
  const auto store = open_migrated_store(config);
  if (!store) return store.error();
  return (*store)->make_maintenance_store();
}

}  // namespace

std::string person_here() {
  const char* const called =
      std::getenv("SUDO_USER");  // NOLINT(concurrency-mt-unsafe): no threads yet.
  if (called != nullptr && *called != '\0') return called;
  passwd entry{};
  passwd* found = nullptr;
  std::array<char, 4096> buffer{};
  const uid_t user = geteuid();
  if (getpwuid_r(user, &entry, buffer.data(), buffer.size(), &found) == 0 && found != nullptr)
    return found->pw_name;
  return "uid " + std::to_string(user);
}

core::Result<MaintenanceWindow> window_of(const MaintenanceAddArgs& args, core::WallTime now) {
  MaintenanceWindow window;
  window.title = args.title;
  window.all_sites = args.all;
  for (const std::uint64_t site : args.sites) window.sites.push_back(core::SiteId{site});
  window.tags = args.tags;
  const auto from = time_of("--from", args.from);
  if (!from) return from.error();
  const auto until = time_of("--until", args.until);
  if (!until) return until.error();
  window.starts_at = *from;
  window.ends_at = *until;
  if (!args.length.empty()) {
    const auto length = core::parse_duration(args.length);
    if (!length) return invalid("--for: " + length.error().message);
    window.length = *length;
  }
  if (!args.days.empty()) {
    if (auto made = make_recurring(window, args); !made) return made.error();
  } else {
    if (!args.at.empty() || !args.zone.empty()) return invalid("--at and --zone are of --days");
    if (args.until.empty() == args.length.empty())
      return invalid("say when it ends: --until TIME, or --for HOW-LONG");
    if (args.from.empty()) window.starts_at = now;
    if (args.until.empty()) window.ends_at = window.starts_at + window.length;
    window.length = {};
    if (window.ends_at <= now) return invalid("it would be over already");
  }
  if (auto fits = sideeffects::check_window(window); !fits) return fits.error();
  return window;
}

std::string maintenance_json(const MaintenanceWindow& window, core::WallTime now) {
  return dumped(to_json(window, now));
}

std::string maintenance_text(const MaintenanceWindow& window, core::WallTime now) {
  const std::optional<MaintenanceSpan> span = sideeffects::next_span(window, now);
  std::string text = "#" + std::to_string(window.id.value) + " ";
  if (!span) {
    text += "over";
  } else if (span->from <= now) {
    text += "holds until " + core::to_iso8601(span->until);
  } else {
    text += "next from " + core::to_iso8601(span->from) + " until " + core::to_iso8601(span->until);
  }
  if (window.recurring())
    text += "  " + sideeffects::weekdays_text(window.weekdays) + " " + minutes_text(window.at) +
            " " + printable(window.zone, 64) + " for " + core::humanize(window.length);
  if (window.all_sites) text += "  all sites";
  for (const core::SiteId site : window.sites) text += "  site " + std::to_string(site.value);
  for (const std::string& tag : window.tags) text += "  #" + printable(tag, 64);
  if (!window.title.empty()) text += "  \"" + printable(window.title, 256) + "\"";
  return text + "  by " + printable(window.created_by, 128) + "\n";
}

int add_maintenance(const MaintenanceAddArgs& args, Io& io) {
  const core::WallTime now = core::from_unix_ms(core::to_unix_ms(core::SystemClock().wall()));
  auto window = window_of(args, now);
  if (!window) return fail(io, kExitUsage, window.error().message);
  window->created_by = person_here();
  const std::optional<Config> config = config_for_command(args.config, io);
  if (!config) return kExitTrouble;
  const auto store = open_migrated_store(*config);
  if (!store) return fail(io, store.error());
  const auto catalog = (*store)->make_site_catalog();
  if (!catalog) return fail(io, catalog.error());
  for (const core::SiteId site : window->sites) {
    if (const auto known = (*catalog)->get(site); !known) return fail(io, known.error());
  }
  const auto windows = (*store)->make_maintenance_store();
  if (!windows) return fail(io, windows.error());
  const auto id = (*windows)->add(*window);
  if (!id) return fail(io, id.error());
  window->id = *id;
  io.out << maintenance_text(*window, now);
  return kExitOk;
}

int list_maintenance(const MaintenanceListArgs& args, Io& io) {
  const core::WallTime now = core::SystemClock().wall();
  const std::optional<Config> config = config_for_command(args.config, io);
  if (!config) return kExitTrouble;
  const auto windows = open_windows(*config);
  if (!windows) return fail(io, windows.error());
  const auto list = (*windows)->list(args.all ? core::kNoWallTime : now);
  if (!list) return fail(io, list.error());
  if (args.json) {
    Json json = Json::array();
    for (const MaintenanceWindow& window : *list) json.push_back(to_json(window, now));
    Json document;
    document["maintenance"] = std::move(json);
    io.out << dumped(document) << "\n";
    return kExitOk;
  }
  for (const MaintenanceWindow& window : *list) io.out << maintenance_text(window, now);
  if (list->empty()) io.out << "no maintenance windows\n";
  return kExitOk;
}

int remove_maintenance(const MaintenanceRemoveArgs& args, Io& io) {
  const std::optional<Config> config = config_for_command(args.config, io);
  if (!config) return kExitTrouble;
  const auto windows = open_windows(*config);
  if (!windows) return fail(io, windows.error());
  if (auto done = (*windows)->remove(sideeffects::MaintenanceId{args.id}); !done)
    return fail(io, done.error());
  io.out << "removed maintenance window " << args.id << "\n";
  return kExitOk;
}

}  // namespace watchwheel::app
