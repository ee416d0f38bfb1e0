// SPDX-License-Identifier: Apache-2.0
#include "app/commands_report.h"

#include <algorithm>
#include <array>
#include <cstdio>
#include <map>
#include <memory>
#include <nlohmann/json.hpp>
#include <string_view>
#include <utility>
#include <vector>

#include "app/commands_incidents.h"
#include "core/units.h"

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
std::string csv_uptime(const core::Uptime& uptime) {
  Json json;
  add_uptime(json, uptime);
  std::string line;
  for (const auto& [key, value] : json.items()) line += "," + (value.is_null() ? "" : value.dump());
  return line;
}
constexpr std::string_view kCsvUptime =
    ",availability,up_s,seems_down_s,down_s,unknown_s,maintenance_s,unwatched_s,outages,false_"
    "alarms,longest_down_s\n";

std::string joined(const std::vector<std::string>& tags) {
  std::string text;
  for (const std::string& tag : tags) text += (text.empty() ? "" : ",") + tag;
  return text;
}

std::string text_of(const core::Uptime& uptime) {
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
  return text;
}

struct TagTotal {
  std::uint64_t sites = 0;
  core::Uptime uptime;
};

// One way to write a report: begin, then each site or each tag, then end.
class Printer {
 public:
  explicit Printer(std::ostream& out) : out_(out) {}
  virtual ~Printer() = default;
  virtual void begin(const core::TimeSpan& window, bool by_tag) = 0;
  virtual void site(const db::SiteHistory& site, const core::Uptime& uptime) = 0;
  virtual void tag(const std::string& tag, const TagTotal& total) = 0;
  virtual void end(const TagTotal& all) = 0;

 protected:
  std::ostream& out_;
};

class TextPrinter final : public Printer {
 public:
  using Printer::Printer;
  void begin(const core::TimeSpan& window, bool) override {
    out_ << "from " << core::to_iso8601(window.from) << " until " << core::to_iso8601(window.until)
         << "\n";
  }
  void site(const db::SiteHistory& site, const core::Uptime& uptime) override {
    out_ << text_of(uptime) << "  site " << site.id.value << " " << printable(site.url, 2048);
    if (!site.name.empty()) out_ << " \"" << printable(site.name, 256) << "\"";
    out_ << (site.deleted_at == core::kNoWallTime ? "\n" : " (removed)\n");
  }
  void tag(const std::string& tag, const TagTotal& total) override {
    out_ << text_of(total.uptime) << "  tag " << printable(tag, 64) << ", " << sites(total) << "\n";
  }
  void end(const TagTotal& all) override {
    out_ << text_of(all.uptime) << "  all, " << sites(all) << "\n";
  }

 private:
  static std::string sites(const TagTotal& total) {
    return std::to_string(total.sites) + (total.sites == 1 ? " site" : " sites");
  }
};

class CsvPrinter final : public Printer {
 public:
  using Printer::Printer;
  void begin(const core::TimeSpan&, bool by_tag) override {
    out_ << (by_tag ? "tag,sites" : "id,url,name,tags") << kCsvUptime;
  }
  void site(const db::SiteHistory& site, const core::Uptime& uptime) override {
    out_ << site.id.value << "," << csv_field(site.url) << "," << csv_field(site.name) << ","
         << csv_field(joined(site.tags)) << csv_uptime(uptime) << "\n";
  }
  void tag(const std::string& tag, const TagTotal& total) override {
    out_ << csv_field(tag) << "," << total.sites << csv_uptime(total.uptime) << "\n";
  }
  void end(const TagTotal&) override {}
};

// One document of any length: an element a line, as they come.
class JsonPrinter final : public Printer {
 public:
  using Printer::Printer;
  void begin(const core::TimeSpan& window, bool by_tag) override {
    out_ << R"({"since":")" << core::to_iso8601(window.from) << R"(","until":")"
         << core::to_iso8601(window.until) << "\",\"" << (by_tag ? "tags" : "sites") << "\":[";
  }
  void site(const db::SiteHistory& site, const core::Uptime& uptime) override {
    Json json{{"id", site.id.value},
              {"url", site.url},
              {"name", site.name},
              {"tags", site.tags},
              {"removed", site.deleted_at != core::kNoWallTime}};
    element(json, uptime);
  }
  void tag(const std::string& tag, const TagTotal& total) override {
    Json json{{"tag", tag}, {"sites", total.sites}};
    element(json, total.uptime);
  }
  void end(const TagTotal& all) override {
    Json json{{"sites", all.sites}};
    add_uptime(json, all.uptime);
    out_ << "\n],\"all\":" << dumped(json) << "}\n";
  }

 private:
  void element(Json& json, const core::Uptime& uptime) {
    add_uptime(json, uptime);
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
  if (window.from < window.until) return window;
  return core::Error{core::ErrorKind::Invalid, "--since: the window is empty: it begins at " +
                                                   core::to_iso8601(window.from) + " and ends at " +
                                                   core::to_iso8601(window.until)};
}

}  // namespace

core::Uptime site_uptime(const db::SiteHistory& site, const core::TimeSpan& window,
                         core::WallTime now, core::Duration quiet_max) {
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
  return core::uptime_of({.window = window,
                          .watched = life,
                          .troubles = site.troubles,
                          .unknown = unknown,
                          .maintenance = {}});
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

int show_report(const ReportArgs& args, Io& io) {
  const core::WallTime now = core::SystemClock().wall();
  const auto window = window_of(args, now);
  if (!window) return fail(io, kExitUsage, window.error().message);
  const std::optional<Config> config = config_for_command(args.config, io);
  if (!config) return kExitTrouble;
  const auto store = open_migrated_store(*config);
  if (!store) return fail(io, store.error());
  const auto log = (*store)->make_uptime_log();
  if (!log) return fail(io, log.error());

  db::UptimeFilter filter;
  if (args.site != 0) filter.site = core::SiteId{args.site};
  if (!args.tag.empty()) filter.tag = args.tag;
  const std::unique_ptr<Printer> printer = make_printer(args, io.out);
  std::map<std::string, TagTotal> tags;
  TagTotal all;
  bool too_many_tags = false;
  bool begun = false;
  core::SiteId after{};
  for (std::size_t count = kPage; count == kPage;) {
    const auto page = (*log)->page(filter, *window, after, kPage);
    if (!page) return fail(io, page.error());
    count = page->size();
    if (!std::exchange(begun, true)) {
      if (page->empty() && args.site != 0)
        return fail(io, kExitBad, "no site " + std::to_string(args.site) + " in this window");
      printer->begin(*window, args.by_tag);
    }
    for (const db::SiteHistory& site : *page) {
      const core::Duration quiet_max = site.interval.value_or(config->checks.interval) +
                                       config->projection.interval + kQuietSlack;
      const core::Uptime uptime = site_uptime(site, *window, now, quiet_max);
      ++all.sites;
      all.uptime += uptime;
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
        TagTotal& total = tags[tag];
        ++total.sites;
        total.uptime += uptime;
      }
    }
    if (!io.out) return fail(io, kExitTrouble, "the report could not be written");
  }
  for (const auto& [tag, total] : tags) printer->tag(tag, total);
  printer->end(all);
  io.out.flush();
  if (!io.out) return fail(io, kExitTrouble, "the report could not be written");
  if (too_many_tags)
    return fail(io, kExitTrouble,
                "more than " + std::to_string(kTagsMax) +
                    " tags: those that came later are left out; use --tag");
  return kExitOk;
}

}  // namespace watchwheel::app
