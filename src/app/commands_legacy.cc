// SPDX-License-Identifier: Apache-2.0
#include "app/commands_legacy.h"

#include <memory>
#include <nlohmann/json.hpp>
#include <optional>

#include "app/legacy_access.h"
#include "app/legacy_config.h"
#include "app/legacy_diff.h"
#include "app/progress_bar.h"

namespace watchwheel::app {
namespace {

using Json = nlohmann::ordered_json;

struct OpenLegacy {
  Config config;
  db::LegacyMapping mapping;
  std::unique_ptr<db::Store> store;
  std::unique_ptr<db::LegacyTable> table;
  std::unique_ptr<db::SiteCatalog> list;
};

// Nothing, after saying why. Whatever it is, nothing could be told: the status is kExitTrouble.
std::optional<OpenLegacy> open_legacy(const std::string& config_path, Io& io) {
  OpenLegacy open;
  std::optional<Config> config = config_for_command(config_path, io);
  if (!config) return std::nullopt;
  open.config = *std::move(config);
  const auto trouble = [&](const core::Error& error) {
    (void)fail(io, kExitTrouble, error.message);
    return std::nullopt;
  };
  auto mapping = legacy_mapping(open.config.legacy);
  if (!mapping) return trouble(mapping.error());
  if (!*mapping) {
    (void)fail(io, kExitTrouble,
               "the configuration names no legacy table; set legacy.table, or legacy.preset");
    return std::nullopt;
  }
  open.mapping = **std::move(mapping);
  auto store = open_migrated_store(open.config);
  if (!store) return trouble(store.error());
  open.store = *std::move(store);
  auto table = open_legacy_table(open.mapping, *open.store);
  if (!table) return trouble(table.error());
  open.table = *std::move(table);
  auto list = open.store->make_site_catalog();
  if (!list) return trouble(list.error());
  open.list = *std::move(list);
  return open;
}

std::string difference_text(const LegacyFinding& finding) {
  const std::string site = "site " + std::to_string(finding.id.value) + ": ";
  if (finding.kind == "missing")
    return site + "missing: the table has " + finding.in_table + ", and it is not checked";
  if (finding.kind == "extra")
    return site + "extra: " + finding.known + " is checked, and the table has no active row";
  if (finding.kind == "rejected")
    return site + "rejected: the row cannot be a site: " + finding.in_table;
  return site + finding.kind + ": the table says " + finding.in_table + ", and known is " +
         finding.known;
}

void print_text(const LegacyComparison& result, Io& io) {
  for (const LegacyFinding& finding : result.findings)
    io.out << printable(difference_text(finding), 8192) << "\n";
  std::uint64_t all = 0;
  std::string kinds;
  for (std::size_t i = 0; i < kLegacyDifferenceCount; ++i) {
    all += result.differences[i];
    kinds += (i == 0 ? "" : ", ") + std::string(to_string(static_cast<LegacyDifference>(i))) + " " +
             std::to_string(result.differences[i]);
  }
  io.out << result.rows << " active rows, " << result.sites << " sites that are checked, "
         << result.compared << " in both: "
         << (all == 0 ? std::string("no difference")
                      : std::to_string(all) + " differences (" + kinds + ")");
  if (result.rejected > 0) io.out << "; " << result.rejected << " rows cannot be sites";
  io.out << "\n";
}

void print_json(const std::string& table, const LegacyComparison& result, Io& io) {
  Json differences;
  for (std::size_t i = 0; i < kLegacyDifferenceCount; ++i)
    differences[std::string(to_string(static_cast<LegacyDifference>(i)))] = result.differences[i];
  Json findings = Json::array();
  for (const LegacyFinding& finding : result.findings) {
    findings.push_back({{"site", finding.id.value},
                        {"kind", finding.kind},
                        {"in_table", finding.in_table},
                        {"known", finding.known}});
  }
  io.out << Json{{"table", table},
                 {"same", result.same()},
                 {"rows", result.rows},
                 {"sites", result.sites},
                 {"compared", result.compared},
                 {"rejected", result.rejected},
                 {"differences", differences},
                 {"findings", findings}}
                .dump(2, ' ', false, Json::error_handler_t::replace)
         << "\n";
}

}  // namespace

int legacy_diff(const LegacyDiffArgs& args, Io& io) {
  const auto open = open_legacy(args.config, io);
  if (!open) return kExitTrouble;
  const core::SystemClock clock;
  ProgressBar bar(io.err, progress_for(io, !args.quiet && !args.json, false, "comparing", "rows"),
                  clock);
  const auto estimated = open->table->rows_estimated();
  const std::uint64_t all = estimated ? *estimated : 0;
  const auto result = compare_legacy({.mapping = open->mapping,
                                      .defaults = open->config.checks,
                                      .projection = open->config.projection.interval,
                                      .now = clock.wall(),
                                      .wait =
                                          [&clock] {
                                            clock.sleep_for(kLegacyOnItsWay);
                                            return clock.wall();
                                          },
                                      .listed_max = args.limit == 0 ? SIZE_MAX : args.limit},
                                     *open->table, *open->list, [&](std::uint64_t rows) {
                                       bar.update(rows, share_of(std::min(rows, all), all));
                                     });
  bar.clear();
  if (!result) return fail(io, kExitTrouble, result.error().message);
  if (args.json) {
    print_json(open->mapping.table, *result, io);
  } else {
    print_text(*result, io);
  }
  return result->same() ? kExitOk : kExitBad;
}

int legacy_adopt(const LegacyListArgs& args, Io& io) {
  const auto open = open_legacy(args.config, io);
  if (!open) return kExitTrouble;
  if (!open->mapping.source)
    return fail(io, kExitBad,
                "legacy.role is \"target\", so the list does not come from the table; set it to "
                "\"both\" or \"source\"");
  if (auto claimed = open->table->claim(true); !claimed) return fail(io, claimed.error());
  io.out << "the site list comes from " << printable(open->mapping.table)
         << "; the daemon, when it has read it, removes sites without a row in it\n";
  return kExitOk;
}

int legacy_release(const LegacyListArgs& args, Io& io) {
  std::optional<Config> config = config_for_command(args.config, io);
  if (!config) return kExitTrouble;
  auto store = open_migrated_store(*config);
  if (!store) return fail(io, store.error());
  auto list = (*store)->make_site_catalog();
  if (!list) return fail(io, list.error());
  const auto origin = (*list)->origin();
  if (!origin) return fail(io, origin.error());
  if (origin->empty()) {
    io.out << "the site list is the store's own already\n";
    return kExitOk;
  }
  if (auto released = (*list)->release_origin(); !released) return fail(io, released.error());
  io.out << "the site list is the store's own, as it stands; it came from " << printable(*origin)
         << ", which a daemon that runs follows no longer\n";
  const auto mapping = legacy_mapping(config->legacy);
  if (mapping && *mapping && (*mapping)->source)
    io.err << "the configuration still takes the list from there, so the daemon's next start would "
              "be refused: set legacy.role to \"target\", or remove [legacy]\n";
  return kExitOk;
}

core::Result<void> check_own_list(db::SiteCatalog& catalog) {
  const auto origin = catalog.origin();
  if (!origin) return origin.error();
  if (origin->empty()) return {};
  return core::Error{
      core::ErrorKind::Invalid,
      "the site list comes from the table " + *origin +
          ", and would be as it is there again within one sweep; edit it there, or run "
          "`watchwheel legacy release` to keep the list here from now on"};
}

}  // namespace watchwheel::app
