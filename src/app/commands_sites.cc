// SPDX-License-Identifier: Apache-2.0
#include "app/commands_sites.h"

#include <algorithm>
#include <charconv>
#include <memory>
#include <nlohmann/json.hpp>
#include <set>
#include <optional>

#include "app/commands_legacy.h"
#include "app/progress_bar.h"
#include "app/site_fields.h"
#include "app/site_list.h"
#include "app/site_parents.h"
#include "core/units.h"
#include "db/site_catalog.h"
#include "sideeffects/maintenance.h"

namespace watchwheel::app {
namespace {

using Json = nlohmann::ordered_json;

constexpr std::size_t kListPage = 1000;

// A store and its site list, open as long as the command runs.
struct OpenCatalog {
  Config config;
  std::unique_ptr<db::Store> store;
  std::unique_ptr<db::SiteCatalog> catalog;
  std::unique_ptr<db::SiteParents> parents;
};

// Nothing, after saying why; `status` is then what to return.
std::optional<OpenCatalog> open_catalog(const std::string& config_path, Io& io, int& status) {
  OpenCatalog open;
  std::optional<Config> config = config_for_command(config_path, io);
  status = kExitTrouble;
  if (!config) return std::nullopt;
  open.config = *std::move(config);
  auto store = open_migrated_store(open.config);
  if (!store) {
    status = fail(io, store.error());
    return std::nullopt;
  }
  open.store = *std::move(store);
  auto catalog = open.store->make_site_catalog();
  if (!catalog) {
    status = fail(io, catalog.error());
    return std::nullopt;
  }
  open.catalog = *std::move(catalog);
  auto parents = open.store->make_site_parents();
  if (!parents) {
    status = fail(io, parents.error());
    return std::nullopt;
  }
  open.parents = *std::move(parents);
  return open;
}

Json time_or_null(core::WallTime t) {
  return t == core::kNoWallTime ? Json() : Json(core::to_iso8601(t));
}

// Those of which people were told so.
core::Result<std::set<core::SiteId>> flapping_sites(db::Store& store) {
  const auto flapping = store.make_flapping_store();
  if (!flapping) return flapping.error();
  const auto list = (*flapping)->flapping();
  if (!list) return list.error();
  std::set<core::SiteId> sites;
  for (const sideeffects::FlappingSite& site : *list) sites.insert(site.site);
  return sites;
}

std::string view_json(const db::SiteView& site, bool flapping) {
  Json json = Json::parse(site_jsonl(site.record));
  json["state"] = site.state ? Json(core::to_string(*site.state)) : Json();
  json["state_since"] = time_or_null(site.state_since);
  json["checked_at"] = time_or_null(site.checked_at);
  json["cause"] = site.cause ? Json(core::to_string(*site.cause)) : Json();
  json["flapping"] = flapping;
  json["open_event"] = site.open_event.value == 0 ? Json() : Json(site.open_event.value);
  return json.dump(-1, ' ', false, Json::error_handler_t::replace);
}

core::Result<sideeffects::MaintenanceCalendar> calendar_at(db::Store& store, core::WallTime now) {
  const auto windows = store.make_maintenance_store();
  if (!windows) return windows.error();
  auto list = (*windows)->list(now);
  if (!list) return list.error();
  sideeffects::MaintenanceCalendar calendar(*std::move(list));
  calendar.move_to(now);
  return calendar;
}

// Of a site that nobody looks at, `paused` says more.
void show_maintenance(db::SiteView& site, const sideeffects::MaintenanceCalendar& calendar) {
  if (site.record.active && calendar.of(site.record.id, site.record.tags))
    site.state = core::SiteState::Maintenance;
}

std::string padded(std::string text, std::size_t width) {
  text.resize(std::max(text.size(), width), ' ');
  return text;
}

std::string view_text(const db::SiteView& site, bool flapping) {
  const core::SiteRecord& record = site.record;
  std::string line = padded(std::to_string(record.id.value), 8) + " ";
  line += padded(site.state      ? std::string(core::to_string(*site.state))
                 : record.active ? "unchecked"
                                 : "paused",
                 11) +
          " ";
  line +=
      padded(site.checked_at == core::kNoWallTime ? "-" : core::to_iso8601(site.checked_at), 24) +
      " ";
  line += padded(record.interval ? core::format_duration(*record.interval) : "default", 8) + " " +
          record.url;
  if (!record.name.empty()) line += "  \"" + record.name + "\"";
  for (const std::string& tag : record.tags) line += "  #" + tag;
  const std::string parents = get_site_field(record, kParentsColumn);
  if (!parents.empty()) line += "  behind " + parents;
  if (flapping) line += "  flapping";
  const bool failing = site.cause && core::outcome_of(*site.cause) != core::Outcome::Up;
  if (failing) line += "  " + std::string(core::to_string(*site.cause));
  return printable(line, 8192);
}

// The id itself, or the one site with this URL. NotFound, or Invalid when several have it.
core::Result<core::SiteId> find(db::SiteCatalog& catalog, const std::string& which) {
  std::uint64_t number = 0;
  const auto [end, error] = std::from_chars(which.data(), which.data() + which.size(), number);
  if (error == std::errc{} && end == which.data() + which.size()) {
    const auto site = catalog.get(core::SiteId{number});
    if (site) return core::SiteId{number};
    if (site.error().kind != core::ErrorKind::NotFound) return site.error();
    return core::Error{core::ErrorKind::NotFound,
                       "there is no site " + which + "; `watchwheel sites list` shows them"};
  }
  const auto ids = catalog.find_url(which);
  if (!ids) return ids.error();
  if (ids->empty())
    return core::Error{core::ErrorKind::NotFound, "there is no site with the URL " + which +
                                                      "; `watchwheel sites list` shows them"};
  if (ids->size() > 1) {
    std::string list;
    for (const core::SiteId id : *ids)
      list += (list.empty() ? "" : ", ") + std::to_string(id.value);
    return core::Error{core::ErrorKind::Invalid,
                       "several sites have the URL " + which + "; name one by its id: " + list};
  }
  return ids->front();
}

core::Result<void> apply(core::SiteRecord& record, const Fields& fields,
                         const ChecksConfig& defaults) {
  for (const auto& [column, text] : fields) {
    if (auto fit = set_site_field(record, column, text); !fit) return fit;
  }
  return check_site(record, defaults);
}

std::string_view done_word(SiteAction action) {
  switch (action) {
    case SiteAction::Pause:
      return "paused";
    case SiteAction::Resume:
      return "resumed";
    case SiteAction::Remove:
      return "removed";
  }
  return "";
}

}  // namespace

int list_sites(const ListArgs& args, Io& io) {
  db::SiteFilter filter;
  if (!args.tag.empty()) filter.tag = args.tag;
  if (!args.state.empty()) {
    filter.state = core::parse_site_state(args.state);
    if (!filter.state)
      return fail(io, kExitUsage,
                  "--state: '" + args.state +
                      "' is no state; use up, seems_down, down, unknown, maintenance or paused");
  }
  int status = kExitOk;
  const auto open = open_catalog(args.config, io, status);
  if (!open) return status;
  std::size_t left = args.limit == 0 ? SIZE_MAX : args.limit;
  const core::SystemClock clock;
  const auto calendar = calendar_at(*open->store, clock.wall());
  if (!calendar) return fail(io, calendar.error());
  const auto flapping = flapping_sites(*open->store);
  if (!flapping) return fail(io, flapping.error());
  // What is stored of a site's state does not know of windows that hold.
  const std::optional<core::SiteState> wanted_state = filter.state;
  if (wanted_state == core::SiteState::Maintenance) filter.state.reset();
  ProgressBar bar(io.err, progress_for(io, !args.quiet && !args.json, true, "listing", "sites"), clock);
  // How many a filter lets through nobody knows beforehand.
  std::uint64_t all = 0;
  if (!filter.tag && !wanted_state) {
    if (const auto count = open->catalog->count()) all = std::min<std::uint64_t>(*count, left);
  }
  std::uint64_t written = 0;
  core::SiteId after;
  while (left > 0 && io.out) {
    // Of a page that was read by state some rows may be shown as another one.
    const std::size_t wanted = wanted_state ? kListPage : std::min(left, kListPage);
    auto page = open->catalog->list(filter, after, wanted);
    if (!page) return fail(io, page.error());
    if (const auto shown = show_parents(*open->parents, *page); !shown)
      return fail(io, shown.error());
    for (db::SiteView site : *page) {
      show_maintenance(site, *calendar);
      if (left == 0) break;
      if (wanted_state && site.state != wanted_state) continue;
      const bool flaps = flapping->contains(site.record.id);
      io.out << (args.json ? view_json(site, flaps) : view_text(site, flaps)) << "\n";
      ++written;
      --left;
    }
    bar.update(written, share_of(written, all));
    if (page->size() < wanted) break;
    after = page->back().record.id;
  }
  return kExitOk;
}

int add_site(const AddArgs& args, Io& io) {
  int status = kExitOk;
  const auto open = open_catalog(args.config, io, status);
  if (!open) return status;
  if (auto own = check_own_list(*open->catalog); !own) return fail(io, own.error());
  core::SiteRecord record;
  if (const auto fit = set_site_field(record, "url", args.url); !fit)
    return fail(io, kExitUsage, fit.error().message);
  if (const auto fit = apply(record, args.fields, open->config.checks); !fit)
    return fail(io, kExitUsage, fit.error().message);
  const auto same = open->catalog->find_url(record.url);
  if (!same) return fail(io, same.error());
  if (!same->empty()) {
    return fail(io, kExitBad,
                "site " + std::to_string(same->front().value) +
                    " has this URL already; change it with `watchwheel sites set`");
  }
  const auto parents = resolve_parents(*open->catalog, take_parents(record));
  if (!parents) return fail(io, parents.error());
  for (const core::SiteId parent : *parents) {  // Before the site is there without them.
    if (const auto there = open->catalog->get(parent); !there)
      return fail(io, kExitBad, "parents: " + there.error().message);
  }
  std::vector<core::SiteId> ids;
  const auto written = open->catalog->upsert(std::span(&record, 1), &ids);
  if (!written) return fail(io, written.error());
  if (!parents->empty() && !ids.empty()) {
    const db::Parentage parentage{.site = ids.front(), .parents = *parents};
    if (const auto set = open->parents->set(std::span(&parentage, 1)); !set)
      return fail(io, set.error());
  }
  io.out << "added site " << (ids.empty() ? 0 : ids.front().value) << "\n";
  return kExitOk;
}

int set_site(const SetArgs& args, Io& io) {
  if (args.fields.empty())
    return fail(io, kExitUsage,
                "nothing to set; name at least one option, see `watchwheel sites set --help`");
  int status = kExitOk;
  const auto open = open_catalog(args.config, io, status);
  if (!open) return status;
  // The options of a check are ours, whoever keeps the list; the rest stands in the table.
  const bool of_the_list = std::any_of(args.fields.begin(), args.fields.end(), [](const auto& field) {
    return field.first == "url" || field.first == "interval" || field.first == "active" || field.first == "name";
  });
  if (of_the_list) {
    if (auto own = check_own_list(*open->catalog); !own) return fail(io, own.error());
  }
  const auto id = find(*open->catalog, args.which);
  if (!id) return fail(io, id.error());
  const auto site = open->catalog->get(*id);
  if (!site) return fail(io, site.error());
  core::SiteRecord record = site->record;
  if (const auto fit = apply(record, args.fields, open->config.checks); !fit)
    return fail(io, kExitUsage, fit.error().message);
  const bool names_parents = std::any_of(args.fields.begin(), args.fields.end(), [](const auto& f) {
    return f.first == kParentsColumn;
  });
  const auto parents = resolve_parents(*open->catalog, take_parents(record));
  if (!parents) return fail(io, parents.error());
  // Each may be refused, and then nothing is changed: so the parents are asked about before anything is written.
  std::vector<db::Parentage> parentage;
  if (names_parents) parentage.push_back({.site = *id, .parents = *parents});
  if (const auto would = open->parents->would_set(parentage); !would)
    return fail(io, would.error());
  const auto written = open->catalog->upsert(std::span(&record, 1));
  if (!written) return fail(io, written.error());
  const auto reparented = open->parents->set(parentage);
  if (!reparented)
    return fail(io, core::Error{reparented.error().kind,
                                reparented.error().message +
                                    (written->changed != 0 ? " (the rest was changed)" : "")});
  io.out << "site " << id->value
         << (written->changed + *reparented != 0 ? " changed\n" : " unchanged: it was so already\n");
  return kExitOk;
}

int act_on_sites(const ActionArgs& args, Io& io) {
  int status = kExitOk;
  const auto open = open_catalog(args.config, io, status);
  if (!open) return status;
  if (auto own = check_own_list(*open->catalog); !own) return fail(io, own.error());
  std::vector<core::SiteId> ids;
  for (const std::string& which : args.which) {
    const auto id = find(*open->catalog, which);
    if (!id)
      return fail(io, id.error().kind == core::ErrorKind::Unavailable ? kExitTrouble : kExitBad,
                  id.error().message + " (nothing was done)");
    if (std::find(ids.begin(), ids.end(), *id) == ids.end()) ids.push_back(*id);
  }
  const auto changed = args.action == SiteAction::Remove
                           ? open->catalog->remove(ids)
                           : open->catalog->set_active(ids, args.action == SiteAction::Resume);
  if (!changed) return fail(io, changed.error());
  io.out << done_word(args.action) << " " << *changed << " of " << ids.size()
         << (*changed == ids.size() ? "\n" : "; the others were so already\n");
  return kExitOk;
}

}  // namespace watchwheel::app
