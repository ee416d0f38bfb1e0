// SPDX-License-Identifier: Apache-2.0
#include "app/commands_report.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdio>
#include <map>
#include <memory>
#include <nlohmann/json.hpp>
#include <string_view>
#include <utility>
#include <vector>

#include "app/commands_incidents.h"
#include "core/units.h"
#include "sideeffects/maintenance.h"

namespace watchwheel::app {
namespace {

using Json = nlohmann::ordered_json;

constexpr std::size_t kPage = 500;
// Beyond the interval of checks and of projections a check may take this long, and writing what it saw.
constexpr core::Duration kQuietSlack = 6min;

double seconds(core::Uptime::Length length) {
  return std::chrono::duration<double>(length).count();
}

void add_uptime(Json& json, const core::Uptime& uptime) {
  const auto availability = uptime.availability();
  json["availability"] = availability ? Json(*availability) : Json();
  json["up_s"] = seconds(uptime.up);
  json["seems_down_s"] = seconds(uptime.seems_down);
  json["down_s"] = seconds(uptime.down);
  json["unknown_s"] = seconds(uptime.unknown);
  json["maintenance_s"] = seconds(uptime.maintenance);
  json["unwatched_s"] = seconds(uptime.unwatched);
  json["outages"] = uptime.outages;
  json["false_alarms"] = uptime.false_alarms;
  json["longest_down_s"] = seconds(uptime.longest_down);
}

double ms(core::Duration d) {
  return std::round(core::to_ms(d) * 10) / 10;
}

constexpr std::array<std::pair<const char*, double>, 4> kPercentiles{
    {{"p50_ms", 0.5}, {"p90_ms", 0.9}, {"p95_ms", 0.95}, {"p99_ms", 0.99}}};

void add_responses(Json& json, const core::ResponseHistogram& responses) {
  json["responses"] = responses.total();
  for (const auto& [name, q] : kPercentiles) {
    const auto took = responses.quantile(q);
    json[name] = took ? Json(ms(*took)) : Json();
  }
}

// "" when there is none.
std::string responses_text(const core::ResponseHistogram& responses) {
  std::string text;
  for (const auto& [name, q] : kPercentiles) {
    const auto took = responses.quantile(q);
    if (!took) return text;
    std::array<char, 32> number{};
    if (*took < 1s) {
      (void)std::snprintf(number.data(), number.size(), "%.0fms", core::to_ms(*took));
    } else {
      (void)std::snprintf(number.data(), number.size(), "%.1fs", core::to_seconds(*took));
    }
    const std::string_view label = std::string_view(name).substr(0, 3);
    text += (text.empty() ? "" : " ") + std::string(label) + " " + number.data();
  }
  return text;
}

std::string dumped(const Json& json) {
  return json.dump(-1, ' ', false, Json::error_handler_t::replace);
}

std::string csv_field(std::string_view text) {
  if (text.find_first_of(",\"\r\n") == std::string_view::npos) return std::string(text);
  std::string quoted = "\"";
  for (const char c : text) {
    if (c == '"') quoted += '"';
    quoted += c;
  }
  return quoted + "\"";
}

// In the order of the JSON's keys; a number as JSON writes it, nothing for null.
std::string csv_values(const core::Uptime& uptime, const core::ResponseHistogram& responses) {
  Json json;
  add_uptime(json, uptime);
  add_responses(json, responses);
  std::string line;
  for (const auto& [key, value] : json.items()) line += "," + (value.is_null() ? "" : value.dump());
  return line;
}
constexpr std::string_view kCsvValues =
    ",availability,up_s,seems_down_s,down_s,unknown_s,maintenance_s,unwatched_s,outages,false_"
    "alarms,longest_down_s,responses,p50_ms,p90_ms,p95_ms,p99_ms\n";

std::string joined(const std::vector<std::string>& tags) {
  std::string text;
  for (const std::string& tag : tags) text += (text.empty() ? "" : ",") + tag;
  return text;
}

std::string text_of(const core::Uptime& uptime, const core::ResponseHistogram& responses) {
  std::string text = availability_text(uptime);
  text.insert(0, text.size() < 8 ? 8 - text.size() : 0, ' ');
  text += "  down " + core::humanize(uptime.down);
  if (uptime.outages > 0)
    text += " in " + std::to_string(uptime.outages) +
            (uptime.outages == 1 ? " outage" : " outages") + " (longest " +
            core::humanize(uptime.longest_down) + ")";
  if (uptime.unknown > uptime.unknown.zero()) text += "  unknown " + core::humanize(uptime.unknown);
  if (uptime.maintenance > uptime.maintenance.zero())
    text += "  maintenance " + core::humanize(uptime.maintenance);
  if (uptime.unwatched > uptime.unwatched.zero())
    text += "  not watched " + core::humanize(uptime.unwatched);
  if (const std::string took = responses_text(responses); !took.empty()) text += "  " + took;
  return text;
}

struct TagTotal {
  std::uint64_t sites = 0;
  core::Uptime uptime;
  core::ResponseHistogram responses;

  void add(const core::Uptime& one, const core::ResponseHistogram& answered) {
    ++sites;
    uptime += one;
    responses += answered;
  }
};

// One way to write a report: begin, then each site or each tag, then end.
class Printer {
 public:
  explicit Printer(std::ostream& out) : out_(out) {}
  virtual ~Printer() = default;
  virtual void begin(const core::TimeSpan& window, const db::ResponseSpan& responses,
                     bool by_tag) = 0;
  virtual void site(const db::SiteHistory& site, const core::Uptime& uptime) = 0;
  virtual void tag(const std::string& tag, const TagTotal& total) = 0;
  // `next`: the last of a page that is not the end; 0: there are no more.
  virtual void end(const TagTotal& all, std::uint64_t next) = 0;

 protected:
  std::ostream& out_;
};

class TextPrinter final : public Printer {
 public:
  using Printer::Printer;
  void begin(const core::TimeSpan& window, const db::ResponseSpan& responses, bool) override {
    out_ << "from " << core::to_iso8601(window.from) << " until " << core::to_iso8601(window.until)
         << " (response times: whole " << (responses.width > 2h ? "days" : "hours") << ", UTC)\n";
  }
  void site(const db::SiteHistory& site, const core::Uptime& uptime) override {
    out_ << text_of(uptime, site.responses) << "  site " << site.id.value << " "
         << printable(site.url, 2048);
    if (!site.name.empty()) out_ << " \"" << printable(site.name, 256) << "\"";
    out_ << (site.deleted_at == core::kNoWallTime ? "\n" : " (removed)\n");
  }
  void tag(const std::string& tag, const TagTotal& total) override {
    out_ << text_of(total.uptime, total.responses) << "  tag " << printable(tag, 64) << ", "
         << sites(total) << "\n";
  }
  void end(const TagTotal& all, std::uint64_t) override {
    out_ << text_of(all.uptime, all.responses) << "  all, " << sites(all) << "\n";
  }

 private:
  static std::string sites(const TagTotal& total) {
    return std::to_string(total.sites) + (total.sites == 1 ? " site" : " sites");
  }
};

class CsvPrinter final : public Printer {
 public:
  using Printer::Printer;
  void begin(const core::TimeSpan&, const db::ResponseSpan&, bool by_tag) override {
    out_ << (by_tag ? "tag,sites" : "id,url,name,tags") << kCsvValues;
  }
  void site(const db::SiteHistory& site, const core::Uptime& uptime) override {
    out_ << site.id.value << "," << csv_field(site.url) << "," << csv_field(site.name) << ","
         << csv_field(joined(site.tags)) << csv_values(uptime, site.responses) << "\n";
  }
  void tag(const std::string& tag, const TagTotal& total) override {
    out_ << csv_field(tag) << "," << total.sites << csv_values(total.uptime, total.responses)
         << "\n";
  }
  void end(const TagTotal&, std::uint64_t) override {}
};

// One document of any length: an element a line, as they come.
class JsonPrinter final : public Printer {
 public:
  using Printer::Printer;
  void begin(const core::TimeSpan& window, const db::ResponseSpan& responses,
             bool by_tag) override {
    const Json of{{"since", core::to_iso8601(responses.span.from)},
                  {"until", core::to_iso8601(responses.span.until)},
                  {"width_s", core::to_seconds(responses.width)}};
    out_ << R"({"since":")" << core::to_iso8601(window.from) << R"(","until":")"
         << core::to_iso8601(window.until) << R"(","response_times":)" << dumped(of) << ",\""
         << (by_tag ? "tags" : "sites") << "\":[";
  }
  void site(const db::SiteHistory& site, const core::Uptime& uptime) override {
    Json json{{"id", site.id.value},
              {"url", site.url},
              {"name", site.name},
              {"tags", site.tags},
              {"removed", site.deleted_at != core::kNoWallTime}};
    element(json, uptime, site.responses);
  }
  void tag(const std::string& tag, const TagTotal& total) override {
    Json json{{"tag", tag}, {"sites", total.sites}};
    element(json, total.uptime, total.responses);
  }
  void end(const TagTotal& all, std::uint64_t next) override {
    Json json{{"sites", all.sites}};
    add_uptime(json, all.uptime);
    add_responses(json, all.responses);
    out_ << "\n],\"all\":" << dumped(json)
         << ",\"next\":" << (next == 0 ? "null" : std::to_string(next)) << "}\n";
  }

 private:
  void element(Json& json, const core::Uptime& uptime, const core::ResponseHistogram& responses) {
    add_uptime(json, uptime);
    add_responses(json, responses);
    out_ << (first_ ? "\n" : ",\n") << dumped(json);
    first_ = false;
  }
  bool first_ = true;
};

std::unique_ptr<Printer> make_printer(const ReportArgs& args, std::ostream& out) {
  if (args.json) return std::make_unique<JsonPrinter>(out);
  if (args.csv) return std::make_unique<CsvPrinter>(out);
  return std::make_unique<TextPrinter>(out);
}

// The window asked for, in whole milliseconds; not beyond now, for nobody knows what will be.
core::Result<core::TimeSpan> window_of(const ReportArgs& args, core::WallTime now) {
  core::TimeSpan window{now - 24h * 30, now};
  if (!args.since.empty()) {
    const auto since = parse_since(args.since, now);
    if (!since) return since.error();
    window.from = *since;
  }
  if (!args.until.empty()) {
    const auto until = parse_since(args.until, now, "--until");
    if (!until) return until.error();
    window.until = std::min(*until, now);
  }
  window.from = std::chrono::floor<std::chrono::milliseconds>(window.from);
  window.until = std::chrono::floor<std::chrono::milliseconds>(window.until);
  if (args.window_max > core::Duration::zero() && window.until - window.from > args.window_max)
    return core::Error{core::ErrorKind::Invalid, "--since: the window is longer than " +
                                                     core::format_duration(args.window_max)};
  if (window.from < window.until) return window;
  return core::Error{core::ErrorKind::Invalid, "--since: the window is empty: it begins at " +
                                                   core::to_iso8601(window.from) + " and ends at " +
                                                   core::to_iso8601(window.until)};
}

// When which sites were in maintenance, as far as the window goes.
class MaintenanceTimes {
 public:
  MaintenanceTimes(std::span<const sideeffects::MaintenanceWindow> windows,
                   const core::TimeSpan& window) {
    for (const sideeffects::MaintenanceWindow& one : windows) {
      const auto spans = sideeffects::spans_between(one, window.from, window.until);
      if (spans.empty()) continue;
      Times times{&one, {}};
      for (const auto& span : spans) times.spans.push_back({span.from, span.until});
      all_.push_back(std::move(times));
    }
  }
  // Until it is asked again.
  [[nodiscard]] std::span<const core::TimeSpan> of(core::SiteId site,
                                                   std::span<const std::string> tags) const {
    found_.clear();
    for (const Times& times : all_) {
      if (sideeffects::covers(*times.window, site, tags))
        found_.insert(found_.end(), times.spans.begin(), times.spans.end());
    }
    return found_;
  }

 private:
  struct Times {
    const sideeffects::MaintenanceWindow* window;
    std::vector<core::TimeSpan> spans;
  };
  std::vector<Times> all_;
  mutable std::vector<core::TimeSpan> found_;
};

core::Error not_written() {
  return core::Error{core::ErrorKind::Unavailable, "the report could not be written"};
}

core::Result<void> write_minutes(const ReportArgs& args, const core::TimeSpan& window,
                                 db::UptimeLog& log, std::ostream& out) {
  if (args.csv) out << "started_at,responses,p50_ms,p90_ms,p95_ms,p99_ms\n";
  if (args.json)
    out << R"({"since":")" << core::to_iso8601(window.from) << R"(","until":")"
        << core::to_iso8601(window.until) << R"(","minutes":[)";
  bool first = true;
  core::WallTime from = std::chrono::floor<std::chrono::minutes>(window.from);
  for (std::size_t count = kPage; count == kPage;) {
    const auto page = log.minutes(from, window.until, kPage);
    if (!page) return page.error();
    count = page->size();
    for (const db::ResponsePoint& point : *page) {
      from = point.started_at + 1min;
      Json json{{"started_at", core::to_iso8601(point.started_at)}};
      add_responses(json, point.responses);
      if (args.json) {
        out << (std::exchange(first, false) ? "\n" : ",\n") << dumped(json);
      } else if (args.csv) {
        out << core::to_iso8601(point.started_at) << "," << point.responses.total();
        for (const auto& [name, q] : kPercentiles) out << "," << json[name].dump();
        out << "\n";
      } else {
        out << core::to_iso8601(point.started_at) << "  " << responses_text(point.responses)
            << "  of " << point.responses.total() << "\n";
      }
    }
    if (!out) return not_written();
  }
  if (args.json) out << "\n]}\n";
  out.flush();
  return out ? core::Result<void>() : core::Result<void>(not_written());
}

}  // namespace

core::Uptime site_uptime(const db::SiteHistory& site, const core::TimeSpan& window,
                         core::WallTime now, core::Duration quiet_max,
                         std::span<const core::TimeSpan> maintenance, core::WallTime known_from) {
  const bool removed = site.deleted_at != core::kNoWallTime;
  const core::TimeSpan life{site.created_at, removed ? site.deleted_at : window.until};
  std::vector<core::TimeSpan> unknown = site.gaps;
  core::WallTime unknown_from = core::WallTime::max();
  if (!site.seen) {
    unknown_from = site.created_at;
  } else if (removed) {
    // What was measured of it was taken away with it.
  } else if (site.checked_at == core::kNoWallTime) {
    unknown_from = site.updated_at;
  } else if (!site.active || !site.measured.value_or(false) || now - site.checked_at > quiet_max) {
    unknown_from = site.checked_at;
  }
  if (unknown_from < window.until) unknown.push_back({unknown_from, window.until});
  if (known_from > window.from) unknown.push_back({window.from, known_from});
  return core::uptime_of({.window = window,
                          .watched = life,
                          .troubles = site.troubles,
                          .unknown = unknown,
                          .maintenance = maintenance});
}

std::string availability_text(const core::Uptime& uptime) {
  const auto availability = uptime.availability();
  if (!availability) return "-";
  // Whole thousandths of a percent, in whole numbers: no rounding takes a second of downtime away.
  const std::int64_t known = (uptime.up + uptime.down).count();
  const auto up = static_cast<double>(uptime.up.count()) * 100'000.0 / static_cast<double>(known);
  auto thousandths = static_cast<std::int64_t>(up);
  if (uptime.down.count() > 0) thousandths = std::min<std::int64_t>(thousandths, 99'999);
  if (uptime.up.count() > 0) thousandths = std::max<std::int64_t>(thousandths, 1);
  std::array<char, 32> text{};
  (void)std::snprintf(text.data(), text.size(), "%d.%03d%%", static_cast<int>(thousandths / 1000),
                      static_cast<int>(thousandths % 1000));
  return text.data();
}

core::Result<void> write_report(const ReportArgs& args, const ReportSource& source,
                                core::WallTime now, std::ostream& out) {
  const auto window = window_of(args, now);
  if (!window) return window.error();
  if (args.minutes) return write_minutes(args, *window, source.log, out);
  const auto known_from = source.log.known_from();
  if (!known_from) return known_from.error();
  const auto responses = source.log.response_span(*window);
  if (!responses) return responses.error();
  const MaintenanceTimes maintenance(source.windows, *window);

  db::UptimeFilter filter;
  if (args.site != 0) filter.site = core::SiteId{args.site};
  if (!args.tag.empty()) filter.tag = args.tag;
  filter.responses = *responses;
  const std::unique_ptr<Printer> printer = make_printer(args, out);
  std::map<std::string, TagTotal> tags;
  TagTotal all;
  bool too_many_tags = false;
  bool begun = false;
  core::SiteId after{args.after};
  bool more = true;
  while (more) {
    const std::size_t wanted = args.limit == 0 ? kPage : args.limit;
    const auto page = source.log.page(filter, *window, after, wanted);
    if (!page) return page.error();
    more = page->size() == wanted;
    if (!std::exchange(begun, true)) {
      if (page->empty() && args.site != 0)
        return core::Error{core::ErrorKind::NotFound,
                           "no site " + std::to_string(args.site) + " in this window"};
      printer->begin(*window, *responses, args.by_tag);
    }
    for (const db::SiteHistory& site : *page) {
      const core::Duration quiet_max =
          site.interval.value_or(source.interval) + source.projection_interval + kQuietSlack;
      const core::Uptime uptime = site_uptime(site, *window, now, quiet_max,
                                              maintenance.of(site.id, site.tags), *known_from);
      all.add(uptime, site.responses);
      after = site.id;
      if (!args.by_tag) {
        printer->site(site, uptime);
        continue;
      }
      for (const std::string& tag : site.tags) {
        if (tags.size() >= kTagsMax && !tags.contains(tag)) {
          too_many_tags = true;
          continue;
        }
        tags[tag].add(uptime, site.responses);
      }
    }
    if (!out) return not_written();
    if (args.limit != 0) break;
  }
  for (const auto& [tag, total] : tags) printer->tag(tag, total);
  printer->end(all, more ? after.value : 0);
  out.flush();
  if (!out) return not_written();
  if (too_many_tags)
    return core::Error{core::ErrorKind::Unavailable,
                       "more than " + std::to_string(kTagsMax) +
                           " tags: those that came later are left out; use --tag"};
  return {};
}

int show_report(const ReportArgs& args, Io& io) {
  if (args.minutes && (args.by_tag || args.site != 0 || !args.tag.empty()))
    return fail(io, kExitUsage,
                "--minutes is of all sites together: without --site, --tag, --by-tag");
  const core::WallTime now = core::SystemClock().wall();
  if (const auto window = window_of(args, now); !window)
    return fail(io, kExitUsage, window.error().message);
  const std::optional<Config> config = config_for_command(args.config, io);
  if (!config) return kExitTrouble;
  const auto store = open_migrated_store(*config);
  if (!store) return fail(io, store.error());
  const auto log = (*store)->make_uptime_log();
  if (!log) return fail(io, log.error());
  const auto windows = [&]() -> core::Result<std::vector<sideeffects::MaintenanceWindow>> {
    const auto all = (*store)->make_maintenance_store();
    if (!all) return all.error();
    return (*all)->list(core::kNoWallTime);
  }();
  if (!windows) return fail(io, windows.error());
  const ReportSource source{.log = **log,
                            .windows = *windows,
                            .interval = config->checks.interval,
                            .projection_interval = config->projection.interval};
  if (const auto written = write_report(args, source, now, io.out); !written) {
    const bool none = written.error().kind == core::ErrorKind::NotFound;
    return none ? fail(io, kExitBad, written.error().message) : fail(io, written.error());
  }
  return kExitOk;
}

}  // namespace watchwheel::app
