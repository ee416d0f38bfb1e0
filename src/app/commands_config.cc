// SPDX-License-Identifier: Apache-2.0
#include "app/commands_config.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "app/legacy_access.h"
#include "app/legacy_config.h"
#include "app/limits.h"
#include "app/progress_bar.h"
#include "app/store_access.h"
#include "core/units.h"

namespace watchwheel::app {
namespace {

using Json = nlohmann::ordered_json;

std::string dumped(const Json& json) {
  return json.dump(2, ' ', false, Json::error_handler_t::replace);
}

Json place_or_null(std::uint64_t number) {
  return number == 0 ? Json() : Json(number);
}

// What "auto" means for this process on this machine; nothing for a configuration that is not in force.
std::vector<EffectiveLimit> limits_here(const ConfigReport& report) {
  if (!report.ok()) return {};
  return derive_limits(report.config, read_machine()).list;
}

void print_json(const std::string& file, const ConfigReport& report, Io& io) {
  Json problems = Json::array();
  for (const Problem& p : report.problems) {
    problems.push_back({{"file", p.file},
                        {"line", place_or_null(p.line)},
                        {"column", place_or_null(p.column)},
                        {"severity", to_string(p.severity)},
                        {"message", p.message}});
  }
  Json values = Json::array();
  if (report.ok()) {  // With an error nothing is in force.
    for (const EffectiveValue& v : report.values)
      values.push_back({{"key", v.key}, {"value", v.value}, {"origin", to_string(v.origin)}});
  }
  Json limits = Json::array();
  for (const EffectiveLimit& l : limits_here(report)) {
    limits.push_back({{"name", l.name},
                      {"value", l.value},
                      {"origin", to_string(l.origin)},
                      {"source", l.source}});
  }
  io.out << dumped({{"file", file},
                    {"valid", report.ok()},
                    {"problems", problems},
                    {"values", values},
                    {"limits", limits}})
         << "\n";
}

void print_values(const std::vector<EffectiveValue>& values, std::ostream& out) {
  std::size_t width = 0;
  for (const EffectiveValue& v : values) width = std::max(width, v.key.size());
  for (const EffectiveValue& v : values) {
    const std::string_view origin = to_string(v.origin);
    out << origin << std::string(8 - origin.size(), ' ') << v.key
        << std::string(width - v.key.size(), ' ') << " = " << printable(v.value, 4096) << "\n";
  }
}

// As values, but each with how it came about.
void print_limits(const std::vector<EffectiveLimit>& limits, std::ostream& out) {
  out << "limits that follow, for this user on this machine:\n";
  std::size_t width = 0;
  for (const EffectiveLimit& l : limits) width = std::max(width, l.name.size());
  for (const EffectiveLimit& l : limits) {
    const std::string_view origin = to_string(l.origin);
    const std::string value =
        l.name.find("_bytes") != std::string::npos ? core::format_size(l.value)
                                                   : std::to_string(l.value);
    out << origin << std::string(8 - origin.size(), ' ') << l.name
        << std::string(width - l.name.size(), ' ') << " = " << value << "  (" << l.source << ")\n";
  }
}

// Only the table itself can say whether a mapping fits. One that cannot be reached says nothing about the file.
void look_at_legacy_table(const std::string& file, ConfigReport& report) {
  if (!report.ok()) return;
  const auto mapping = legacy_mapping(report.config.legacy);
  if (!mapping || !*mapping) return;
  const auto problems = [&]() -> core::Result<std::vector<std::string>> {
    const auto store = db::open_store(store_access(report.config.store));
    if (!store) return store.error();
    return check_legacy_table(**mapping, **store);
  }();
  if (!problems) {
    report.problems.push_back({file, 0, 0, Severity::Warning,
                               "legacy.table: whether the mapping fits was not looked at: " + problems.error().message});
    return;
  }
  for (const std::string& problem : *problems) report.problems.push_back({file, 0, 0, Severity::Error, problem});
}

}  // namespace

int validate_config(const ValidateArgs& args, Io& io) {
  ConfigReport report = load_config(args.file);
  look_at_legacy_table(args.file, report);
  if (args.json) {
    print_json(args.file, report, io);
    return report.ok() ? kExitOk : kExitBad;
  }
  for (const Problem& problem : report.problems) io.err << format(problem) << "\n";
  const auto errors = std::count_if(report.problems.begin(), report.problems.end(),
                                    [](const Problem& p) { return p.severity == Severity::Error; });
  const auto warnings = static_cast<std::ptrdiff_t>(report.problems.size()) - errors;
  if (report.ok()) {
    print_values(report.values, io.out);
    print_limits(limits_here(report), io.out);
  }
  io.err << printable(args.file, 4096) << ": " << (report.ok() ? "valid" : "invalid") << ", "
         << errors << (errors == 1 ? " error, " : " errors, ") << warnings
         << (warnings == 1 ? " warning" : " warnings") << "\n";
  return report.ok() ? kExitOk : kExitBad;
}

int migrate_store(const MigrateArgs& args, Io& io) {
  const std::optional<Config> config = config_for_command(args.config, io);
  if (!config) return kExitTrouble;
  const auto store = db::open_store(store_access(config->store));
  if (!store) return fail(io, store.error());
  const core::SystemClock clock;
  // One step may take minutes and tells nothing meanwhile: the line stands there from its beginning.
  ProgressStyle style = progress_for(io, !args.quiet && !args.json, false, "migrating", "steps");
  style.after = core::Duration::zero();
  ProgressBar bar(io.err, style, clock);
  const auto report = (*store)->migrate(args.dry_run, [&](std::size_t done, std::size_t steps) {
    bar.update(done, share_of(done, steps));
  });
  bar.clear();
  if (!report) return fail(io, report.error());
  if (args.json) {
    Json applied = Json::array();
    for (const db::Migration& step : report->applied)
      applied.push_back({{"version", step.version}, {"title", step.title}});
    io.out << dumped({{"store", config->store.url},
                      {"dry_run", args.dry_run},
                      {"before", report->before},
                      {"after", report->after},
                      {"applied", applied}})
           << "\n";
    return kExitOk;
  }
  const std::string_view verb = args.dry_run ? "would apply " : "applied ";
  for (const db::Migration& step : report->applied)
    io.out << verb << step.version << ": " << step.title << "\n";
  if (report->applied.empty()) {
    io.out << "the schema is at version " << report->after << "; nothing to do\n";
  } else {
    io.out << "schema version " << report->before << " -> " << report->after
           << (args.dry_run ? " (dry run: nothing was changed)\n" : "\n");
  }
  return kExitOk;
}

}  // namespace watchwheel::app
