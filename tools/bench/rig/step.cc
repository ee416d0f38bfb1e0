// SPDX-License-Identifier: Apache-2.0
#include "bench/rig/step.h"

#include <algorithm>
#include <limits>
#include <nlohmann/json.hpp>
#include <stdexcept>

namespace watchwheel::rig {
namespace {

constexpr double kSlack_s = 1.0;
constexpr double kDoneShareMin = 0.99;
constexpr double kMebi = 1024.0 * 1024;

constexpr const char* kChecks = "watchwheel_checks_total";
constexpr const char* kTransitions = "watchwheel_transitions_total";
constexpr const char* kTurns = "watchwheel_turn_seconds";
constexpr const char* kLag = "watchwheel_schedule_lag_seconds";

Spread spread_of(const nlohmann::json& json) {
  return {json.at("p50"), json.at("p90"), json.at("p99"), json.at("p999"), json.at("max")};
}

double conclusive(const MetricsPage& page) {
  return page.sum(kChecks, "\"up\"") + page.sum(kChecks, "\"down\"");
}

double transitions(const MetricsPage& page, const char* reason) {
  return page.sum(kTransitions, std::string("\"") + reason + "\"");
}

}  // namespace

FleetReport fleet_report_of(const std::string& text) {
  try {
    const nlohmann::json json = nlohmann::json::parse(text);
    FleetReport out;
    out.window_s = json.at("window_s");
    out.interval_s = json.at("interval_s");
    out.sites = json.at("sites");
    out.healthy_sites = json.at("healthy_sites");
    out.requests = json.at("requests");
    out.healthy_requests = json.at("healthy_requests");
    out.request_ratio = json.at("request_ratio");
    out.never_seen = json.at("never_seen");
    out.stale = json.at("stale");
    out.expired = json.at("expired");
    out.gap = spread_of(json.at("gap_s"));
    out.age = spread_of(json.at("age_s"));
    out.longest_wait = spread_of(json.at("longest_wait_s"));
    out.phase_shift = spread_of(json.at("phase_shift_s"));
    out.phase_sites = json.at("phase_sites");
    out.dns_queries = json.at("dns").at("queries");
    out.wrong_addresses = json.at("connections").at("wrong_addresses");
    out.table_full = json.at("connections").at("table_full");
    out.rss_bytes = json.at("own").at("rss_bytes");
    out.per_second = json.at("per_second").get<std::vector<double>>();
    return out;
  } catch (const nlohmann::json::exception& error) {
    throw std::runtime_error(std::string("not a report of the fleet: ") + error.what());
  }
}

Sample sample_of(const Reading& window_start, const Reading& previous, const Reading& now) {
  Sample out;
  const double seconds = now.at_s - previous.at_s;
  out.at_s = now.at_s - window_start.at_s;
  out.required = now.page.sum("watchwheel_checks_required_per_second");
  out.done = seconds > 0 ? (conclusive(now.page) - conclusive(previous.page)) / seconds : 0;
  out.due = now.page.sum("watchwheel_checks_due");
  out.in_flight = now.page.sum("watchwheel_in_flight");
  out.in_flight_limit = now.page.sum("watchwheel_in_flight_limit");
  out.stale_sites = now.page.sum("watchwheel_stale_sites");
  out.oldest_age_s = now.page.sum("watchwheel_oldest_result_age_seconds");
  out.loop_lag_s = now.page.max("watchwheel_loop_lag_seconds");
  out.rss_bytes = static_cast<double>(now.engine.rss_bytes);
  out.opened = transitions(now.page, "opened") - transitions(window_start.page, "opened");
  out.confirmed = transitions(now.page, "confirmed") - transitions(window_start.page, "confirmed");
  out.recovered = transitions(now.page, "recovered") - transitions(window_start.page, "recovered");
  return out;
}

Figures figures_of(const Step& step) {
  const Reading& a = step.before;
  const Reading& b = step.after;
  Figures out;
  out.seconds = b.at_s - a.at_s;
  out.offered = step.interval_s > 0 ? step.sites / step.interval_s : 0;
  const double finished = b.page.sum(kChecks) - a.page.sum(kChecks);
  if (out.seconds > 0) {
    out.done = (conclusive(b.page) - conclusive(a.page)) / out.seconds;
    out.engine_cores = (b.engine.cpu_s - a.engine.cpu_s) / out.seconds;
    out.fleet_cores = (b.fleet.cpu_s - a.fleet.cpu_s) / out.seconds;
  }
  out.not_measured =
      b.page.sum(kChecks, "\"not_measured\"") - a.page.sum(kChecks, "\"not_measured\"");
  if (finished > 0) {
    out.engine_us = (b.engine.cpu_s - a.engine.cpu_s) / finished * 1e6;
    out.fleet_us = (b.fleet.cpu_s - a.fleet.cpu_s) / finished * 1e6;
    out.dns_a_check =
        (b.page.sum("watchwheel_dns_queries_total") - a.page.sum("watchwheel_dns_queries_total")) /
        finished;
  }
  out.rss_peak_bytes = static_cast<double>(std::max(a.engine.rss_bytes, b.engine.rss_bytes));
  for (const Sample& sample : step.samples) {
    out.rss_peak_bytes = std::max(out.rss_peak_bytes, sample.rss_bytes);
    out.loop_lag_s_max = std::max(out.loop_lag_s_max, sample.loop_lag_s);
    out.in_flight_max = std::max(out.in_flight_max, sample.in_flight);
  }
  if (step.sites > 0) {
    out.bytes_a_site = std::max(0.0, out.rss_peak_bytes - kFixedBytes) / step.sites;
  }
  out.opened = transitions(b.page, "opened") - transitions(a.page, "opened");
  out.confirmed = transitions(b.page, "confirmed") - transitions(a.page, "confirmed");
  out.recovered = transitions(b.page, "recovered") - transitions(a.page, "recovered");
  out.turn_p999_s = b.page.quantile(a.page, kTurns, 0.999);
  out.turn_max_s = b.page.quantile(a.page, kTurns, 1);
  out.lag_p50_s = b.page.quantile(a.page, kLag, 0.5);
  out.lag_p99_s = b.page.quantile(a.page, kLag, 0.99);
  out.lag_p999_s = b.page.quantile(a.page, kLag, 0.999);
  return out;
}

bool is_kept(const Step& step, const Figures& figures) {
  return step.fleet.never_seen == 0 && step.fleet.expired == 0 &&
         step.fleet.gap.p99 <= step.interval_s + kSlack_s &&
         figures.done >= kDoneShareMin * figures.offered && figures.opened == 0;
}

void find_promise(const Step& step, const Figures& figures, Record& record) {
  const FleetReport& fleet = step.fleet;
  record.require("healthy sites never seen", fleet.never_seen, fleet.never_seen == 0, "0");
  record.require("waits above interval + timeout, sites", fleet.expired, fleet.expired == 0, "0");
  record.require("p99 of gaps, s", fleet.gap.p99, fleet.gap.p99 <= step.interval_s + kSlack_s,
                 "interval + 1 s: at most " + readable(step.interval_s + kSlack_s));
  record.tell("waits above interval + 1 s, sites", fleet.stale);
  record.tell("longest gap, s", fleet.gap.max);
  record.tell("p50 of ages at the end, s", fleet.age.p50);
  record.tell("p99 of ages at the end, s", fleet.age.p99);
  record.require("events opened among healthy sites", figures.opened, figures.opened == 0, "0");
  record.tell("coverage: askings made of those wanted", fleet.request_ratio);
}

void tell_figures(const Figures& figures, Record& record) {
  record.tell("offered, checks a second", figures.offered);
  record.tell("done, checks a second", figures.done);
  record.tell("not measured, checks", figures.not_measured);
  record.tell("questions to the name server a check", figures.dns_a_check);
  record.tell("engine: CPU us a check", figures.engine_us);
  record.tell("simulator: CPU us a check", figures.fleet_us);
  record.tell("engine: cores busy", figures.engine_cores);
  record.tell("simulator: cores busy", figures.fleet_cores);
  record.tell("start lag p50 / s", figures.lag_p50_s);
  record.tell("start lag p99 / s", figures.lag_p99_s);
  record.tell("start lag p99.9 / s", figures.lag_p999_s);
  record.tell("loop lag, worst, s", figures.loop_lag_s_max);
  record.tell("turns of the lanes' loops p99.9, s", figures.turn_p999_s);
  record.tell("the longest turn, s", figures.turn_max_s);
  record.tell("in flight, most", figures.in_flight_max);
  record.tell("engine: RSS peak, MiB", figures.rss_peak_bytes / kMebi);
}

std::vector<std::string> ladder_columns() {
  return {"step",         "sites",        "interval s", "offered/s", "done/s",
          "kept",         "gap p50 s",    "gap p99 s",  "gap max s", "engine us",
          "simulator us", "engine cores", "sim cores",  "RSS MiB",   "not meas."};
}

std::vector<std::string> ladder_row(const Step& step, const Figures& figures) {
  return {step.name,
          readable(step.sites),
          readable(step.interval_s),
          readable(figures.offered),
          readable(figures.done),
          is_kept(step, figures) ? "yes" : "no",
          readable(step.fleet.gap.p50),
          readable(step.fleet.gap.p99),
          readable(step.fleet.gap.max),
          readable(figures.engine_us),
          readable(figures.fleet_us),
          readable(figures.engine_cores),
          readable(figures.fleet_cores),
          readable(figures.rss_peak_bytes / kMebi),
          readable(figures.not_measured)};
}

double reached_s(const std::vector<Sample>& samples, Counted what, double total, double share) {
  for (const Sample& sample : samples) {
    const double count = what == Counted::Confirmed ? sample.confirmed : sample.recovered;
    if (count >= share * total) return sample.at_s;
  }
  return std::numeric_limits<double>::infinity();
}

Chart rates_chart(const std::string& title, const Step& step) {
  Chart chart{title, "seconds since the window began", "checks a second", {}, false};
  Series required{"asked for", {}};
  Series done{"done", {}};
  Series starts{"seen by the observer", {}};
  for (const Sample& sample : step.samples) {
    required.points.emplace_back(sample.at_s, sample.required);
    done.points.emplace_back(sample.at_s, sample.done);
  }
  // The last second is under way.
  for (std::size_t i = 0; i + 1 < step.fleet.per_second.size(); ++i) {
    starts.points.emplace_back(static_cast<double>(i), step.fleet.per_second[i]);
  }
  chart.series = {required, starts, done};
  return chart;
}

}  // namespace watchwheel::rig
