// SPDX-License-Identifier: Apache-2.0
#include "bench/rig/scenarios.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "bench/rig/knee.h"
#include "fleet/config.h"

namespace watchwheel::rig {
namespace {

constexpr double kSlack_s = 1.0;
// A reload reads the list again at 40,000 sites a second (app/feeder).
constexpr double kRereadRate = 40'000;
constexpr double kMebi = 1024.0 * 1024;

template <typename T>
T or_else(T wish, T otherwise) {
  return wish > 0 ? wish : otherwise;
}

double reread_s(double sites) {
  return sites / kRereadRate + 2;
}

Chart state_chart(const std::string& title, const Step& step) {
  Chart chart{title, "seconds since the window began", "sites", {}, false};
  Series confirmed{"down (told)", {}};
  Series recovered{"recovered (told)", {}};
  Series in_flight{"checks in flight", {}};
  for (const Sample& sample : step.samples) {
    confirmed.points.emplace_back(sample.at_s, sample.confirmed);
    recovered.points.emplace_back(sample.at_s, sample.recovered);
    in_flight.points.emplace_back(sample.at_s, sample.in_flight);
  }
  chart.series = {confirmed, recovered, in_flight};
  return chart;
}

Chart memory_chart(const Step& step) {
  Chart chart{"Resident memory of the engine", "seconds since the window began", "MiB", {}, false};
  Series rss{"RSS", {}};
  for (const Sample& sample : step.samples)
    rss.points.emplace_back(sample.at_s, sample.rss_bytes / kMebi);
  chart.series = {rss};
  return chart;
}

// Where the engine's CPU time goes, by thread.
Table thread_table(const Step& step, const Figures& figures) {
  Table table{"CPU time of the engine by thread", {"thread", "us a check", "cores"}, {}};
  const double finished =
      figures.engine_us > 0 ? figures.engine_cores * figures.seconds / figures.engine_us * 1e6 : 0;
  for (const auto& [name, cpu_s] : step.after.engine.thread_cpu_s) {
    const auto before = step.before.engine.thread_cpu_s.find(name);
    const double used =
        cpu_s - (before == step.before.engine.thread_cpu_s.end() ? 0 : before->second);
    if (finished <= 0 || used < 0.01) continue;
    table.rows.push_back({name, readable(used / finished * 1e6), readable(used / figures.seconds)});
  }
  return table;
}

void find_memory(const Figures& figures, Record& record) {
  record.require("RSS beyond 100 MiB, bytes a site", figures.bytes_a_site,
                 figures.bytes_a_site <= 256, "at most 256");
}

// The least a check costs on these sites at this rate, measured by the hand-written client.
double floor_us(const Bed& bed, const Wishes& wishes, double rate, std::uint32_t sites) {
  if (wishes.clients_s <= 0) return 0;
  return bed.client_us({bed.program("tools/bench/watchwheel-bench-floor")}, "floor", sites, rate,
                       wishes.clients_s);
}

double mean_of(double a, double b) {
  if (a <= 0) return b;
  return b <= 0 ? a : (a + b) / 2;
}

void find_promise_or_tell(const Wishes& wishes, const Step& step, const Figures& figures,
                          Record& record) {
  if (!wishes.is_trial) return find_promise(step, figures, record);
  record.require("healthy sites never seen", step.fleet.never_seen, step.fleet.never_seen == 0,
                 "0");
  record.tell("p99 of gaps, s", step.fleet.gap.p99);
}

// One step of the ladder at `rate`: a start of the engine with its interval, a warm-up, a window. Not a reload: after a change of
// the interval sites walk to their new phases for 16 checks, at a rate up to a fifteenth above the one that is meant.
Step ladder_step(Bed& bed, std::uint32_t sites, double rate) {
  const double interval = sites / rate;
  const std::string name = readable(std::round(rate)) + "/s";
  bed.stop_engine();
  bed.start_engine(interval);
  bed.settle(interval + 3, name + ": warming up");
  return bed.watch(name, 0, sites, std::max(1.5 * interval, 20.0));
}

struct Ladder {
  std::vector<Trial> trials;
  double knee = 0;
  double done_max = 0;
  Table table{"The ladder", ladder_columns(), {}};
  Chart rates{"Asked for and done", "checks a second asked for", "checks a second", {}, true};
  Chart costs{"CPU time of a check", "checks a second asked for", "us", {}, true};
};

Ladder climb(Bed& bed, std::uint32_t sites, double first, double highest) {
  Ladder out;
  KneeSearch search({first, first / 8, highest, 0.05, 8});
  Series asked{"asked for", {}};
  Series done{"done", {}};
  Series engine{"engine", {}};
  Series fleet{"simulator", {}};
  while (const auto rate = search.next()) {
    const Step step = ladder_step(bed, sites, *rate);
    const Figures figures = figures_of(step);
    const bool was_kept = is_kept(step, figures);
    search.tell({*rate, was_kept, figures.done});
    out.table.rows.push_back(ladder_row(step, figures));
    asked.points.emplace_back(*rate, *rate);
    done.points.emplace_back(*rate, figures.done);
    engine.points.emplace_back(*rate, figures.engine_us);
    fleet.points.emplace_back(*rate, figures.fleet_us);
    say(step.name + ": " + (was_kept ? "kept" : "not kept") + ", done " +
        readable(std::round(figures.done)) + "/s, " + readable(figures.engine_us) + " us a check");
  }
  for (Series* series : {&asked, &done, &engine, &fleet}) {
    std::sort(series->points.begin(), series->points.end());
  }
  out.trials = search.trials();
  out.knee = search.knee();
  out.done_max = search.done_max();
  out.rates.series = {asked, done};
  out.costs.series = {engine, fleet};
  return out;
}

void put(const Ladder& ladder, Record& record) {
  record.require("knee: the highest rate that was kept, checks a second", ladder.knee,
                 ladder.knee > 0, "above 0");
  record.tell("most that was done, checks a second", ladder.done_max);
  record.tell("knee as sites at 5 minutes", std::floor(ladder.knee * 300));
  record.add(ladder.table);
  record.add(ladder.rates);
  record.add(ladder.costs);
}

double highest_for(std::uint32_t sites) {
  return sites / 1.5;  // Below an interval of 1 s nothing can be configured.
}

BedOptions bed_for(const Wishes& wishes, std::uint32_t fleet_sites) {
  BedOptions options = wishes.bed;
  options.fleet_sites = fleet_sites;
  options.https = std::min(options.https, fleet_sites);
  options.distinct_certs = options.https <= fleet::kHttpsDistinctMax;
  return options;
}

// A bed with `sites` loaded and under way for one interval.
double start(Bed& bed, std::uint32_t sites, double interval_s, Record& record) {
  const double import_s = bed.import(0, sites);
  record.tell("imported, sites a second", sites / import_s);
  const double load_s = bed.start_engine(interval_s);
  record.tell("loaded at the start, s", load_s);
  bed.settle(interval_s + 3, "warming up for one interval");
  return load_s;
}

}  // namespace

Record find_knee(const Wishes& wishes, double& knee) {
  const std::uint32_t sites = or_else(wishes.sites, 200'000U);
  const double first = or_else(wishes.first, 6000.0);
  Record record("knee", "The knee, with " + readable(sites) + " plain sites");
  Bed bed(bed_for(wishes, sites));
  record.tell("imported, sites a second", sites / bed.import(0, sites));
  const double floor_before = floor_us(bed, wishes, first, sites);
  const Ladder ladder = climb(bed, sites, first, highest_for(sites));
  bed.stop_engine();
  put(ladder, record);
  const double floor =
      mean_of(floor_before, floor_us(bed, wishes, or_else(ladder.knee, first), sites));
  if (floor > 0) record.tell("floor: CPU us a check", floor);
  record.note("Engine: " + bed.engine_version());
  knee = ladder.knee;
  return record;
}

Record hold(const Wishes& wishes) {
  const std::uint32_t sites = or_else(wishes.sites, 2'000'000U);
  const double interval = or_else(wishes.interval_s, 300.0);
  // A window below the interval could not tell who was left out.
  const double seconds =
      std::max(or_else(wishes.seconds, 2 * interval), interval + (wishes.is_trial ? 0 : 2));
  Record record("hold", readable(sites) + " sites every " + readable(interval) + " s for " +
                            readable(seconds + interval) + " s");
  Bed bed(bed_for(wishes, sites));
  const double rate = sites / interval;
  const double floor_before = floor_us(bed, wishes, rate, sites);
  start(bed, sites, interval, record);
  const Step step = bed.watch("hold", 0, sites, seconds);
  record.quote("What `watchwheel status` says at the end", bed.status_text());
  const Figures figures = figures_of(step);
  bed.stop_engine();
  const double floor = mean_of(floor_before, floor_us(bed, wishes, rate, sites));
  find_promise_or_tell(wishes, step, figures, record);
  record.require("done of offered", figures.done / figures.offered,
                 wishes.is_trial || figures.done >= 0.99 * figures.offered, "at least 0.99");
  if (!wishes.is_trial) find_memory(figures, record);
  tell_figures(figures, record);
  if (floor > 0) {
    record.tell("floor: CPU us a check", floor);
    record.require("engine: CPU a check, times the floor", figures.engine_us / floor,
                   figures.engine_us <= 1.8 * floor, "at most 1.8");
  }
  record.tell("simulator: RSS, MiB", step.fleet.rss_bytes / kMebi);
  record.tell("askings on another site's address", step.fleet.wrong_addresses);
  record.add(thread_table(step, figures));
  record.add(rates_chart("Asked for and done", step));
  record.add(memory_chart(step));
  record.note("Engine: " + bed.engine_version());
  return record;
}

Record overload(const Wishes& wishes) {
  const std::uint32_t sites = or_else(wishes.sites, 200'000U);
  Record record("overload", "1.5 times the knee, with " + readable(sites) + " sites");
  Bed bed(bed_for(wishes, sites));
  bed.import(0, sites);
  const double first = or_else(wishes.first, 6000.0);
  double knee = wishes.knee;
  double knee_done = knee;
  if (knee <= 0) {
    const Ladder ladder = climb(bed, sites, first, highest_for(sites));
    put(ladder, record);
    knee = ladder.knee;
    for (const Trial& trial : ladder.trials) {
      if (trial.offered == knee) knee_done = trial.done;
    }
    if (knee <= 0) return record;
  }

  const double interval = sites / (1.5 * knee);
  const double seconds = or_else(wishes.seconds, 180.0);
  bed.stop_engine();
  bed.start_engine(interval);
  bed.settle(4 * interval, "at 1.5 times the knee: until it has stretched");
  const Step over = bed.watch("1.5 times the knee", 0, sites, seconds);
  record.quote("What `watchwheel status` says meanwhile", bed.status_text());
  const Figures figures = figures_of(over);

  // The load drops to what is surely possible; one interval later everything must be in time.
  const double calm = sites / (0.7 * knee);
  bed.set_interval(calm);
  bed.settle(reread_s(sites) + calm, "the load drops to 0.7 of the knee: one interval");
  const Step after = bed.watch("after the load dropped", 0, sites, 2 * calm);
  const Figures calm_figures = figures_of(after);

  record.tell("knee, checks a second", knee);
  record.tell("offered, checks a second", figures.offered);
  record.require("done, checks a second", figures.done, figures.done >= 0.9 * knee_done,
                 "at least 0.9 of the knee's: " + readable(std::round(0.9 * knee_done)));
  const double even = over.fleet.longest_wait.p50 > 0
                          ? over.fleet.longest_wait.p99 / over.fleet.longest_wait.p50
                          : std::numeric_limits<double>::infinity();
  record.tell("gap p50, of the interval", over.fleet.gap.p50 / interval);
  record.tell("gap p99, of the interval", over.fleet.gap.p99 / interval);
  record.tell("longest wait p50, of the interval", over.fleet.longest_wait.p50 / interval);
  record.tell("longest wait max, of the interval", over.fleet.longest_wait.max / interval);
  record.require("evenness: p99 of the sites' longest waits over their p50", even, even <= 1.25,
                 "at most 1.25");
  record.require("healthy sites never seen", over.fleet.never_seen, over.fleet.never_seen == 0,
                 "0");
  record.require("events opened among healthy sites", figures.opened + calm_figures.opened,
                 figures.opened + calm_figures.opened == 0, "0");
  record.require("afterwards: waits above interval + timeout, sites", after.fleet.expired,
                 after.fleet.expired == 0, "0");
  record.require("afterwards: p99 of gaps, s", after.fleet.gap.p99,
                 after.fleet.gap.p99 <= calm + kSlack_s, "at most " + readable(calm + kSlack_s));
  tell_figures(figures, record);
  Table table{"The two loads", ladder_columns(), {}};
  table.rows = {ladder_row(over, figures), ladder_row(after, calm_figures)};
  record.add(table);
  record.add(rates_chart("At 1.5 times the knee", over));
  record.add(rates_chart("After the load dropped", after));
  return record;
}

Record mass_outage(const Wishes& wishes) {
  const std::uint32_t sites = or_else(wishes.sites, 200'000U);
  const double interval = or_else(wishes.interval_s, 120.0);
  const auto failing = static_cast<std::uint32_t>(wishes.share * sites);
  Record record("mass-outage", readable(failing) + " of " + readable(sites) +
                                   " sites begin to time out, interval " + readable(interval) +
                                   " s");
  BedOptions options = bed_for(wishes, sites);
  options.spread = true;  // The failing ones are in every network.
  Bed bed(options);
  start(bed, sites, interval, record);

  bed.begin_window("outage", 0, sites);
  bed.fault("no_answer", 0, failing);
  const double limit = interval + 60;
  bed.sample_for(limit + 15);
  const Step outage = bed.end_window();
  const Figures figures = figures_of(outage);
  record.quote("What `watchwheel status` says at the end of the outage", bed.status_text());
  const std::vector<std::uint32_t> down = bed.open_incidents("down");
  const auto wrongly = static_cast<double>(
      std::count_if(down.begin(), down.end(), [&](std::uint32_t site) { return site >= failing; }));

  bed.begin_window("recovery", 0, sites);
  bed.post("/clear?sites=all");
  bed.sample_for(interval + 30,
                 [failing](const Sample& sample) { return sample.recovered >= failing; });
  const Step recovery = bed.end_window();

  const double all_s = reached_s(outage.samples, Counted::Confirmed, failing, 1);
  record.require("down, sites", static_cast<double>(down.size()) - wrongly,
                 down.size() - static_cast<std::size_t>(wrongly) == failing, readable(failing));
  record.require("healthy sites told as down", wrongly, wrongly == 0, "0");
  record.tell("half of them reported after, s",
              reached_s(outage.samples, Counted::Confirmed, failing, 0.5));
  record.tell("99 in 100 reported after, s",
              reached_s(outage.samples, Counted::Confirmed, failing, 0.99));
  record.require("all reported after, s", all_s, all_s <= limit,
                 "interval + 60 s: at most " + readable(limit));
  record.require("healthy sites never seen", outage.fleet.never_seen, outage.fleet.never_seen == 0,
                 "0");
  record.require("healthy: waits above interval + timeout, sites", outage.fleet.expired,
                 outage.fleet.expired == 0, "0");
  record.require("healthy: p99 of gaps, s", outage.fleet.gap.p99,
                 outage.fleet.gap.p99 <= interval + kSlack_s,
                 "at most " + readable(interval + kSlack_s));
  // What is in flight at once, at 32 KiB each, and the state of every failing site.
  const double grown = figures.rss_peak_bytes - static_cast<double>(outage.before.engine.rss_bytes);
  const double allowed = figures.in_flight_max * 32 * 1024 + failing * 1024.0 + 64 * kMebi;
  record.require(
      "RSS grew by, MiB", grown / kMebi, grown <= allowed,
      "32 KiB in flight, 1 KiB failing, 64 MiB: at most " + readable(std::round(allowed / kMebi)));
  record.tell("half recovered after, s",
              reached_s(recovery.samples, Counted::Recovered, failing, 0.5));
  const double recovered_s = reached_s(recovery.samples, Counted::Recovered, failing, 1);
  record.require("all recovered after, s", recovered_s, recovered_s <= interval + 30,
                 "at most " + readable(interval + 30));
  tell_figures(figures, record);
  record.add(state_chart("The outage", outage));
  record.add(state_chart("The recovery", recovery));
  record.add(rates_chart("Rates in the outage", outage));
  record.add(memory_chart(outage));
  return record;
}

Record dead_resolvers(const Wishes& wishes) {
  const std::uint32_t sites = or_else(wishes.sites, 50'000U);
  const double interval = or_else(wishes.interval_s, 30.0);
  const double dead_s = or_else(wishes.seconds, 4 * interval);
  Record record("dead-resolvers", "The name server falls silent for " + readable(dead_s) + " s, " +
                                      readable(sites) + " sites every " + readable(interval) +
                                      " s");
  BedOptions options = bed_for(wishes, sites);
  options.dns_ttl = "5s";
  Bed bed(options);
  start(bed, sites, interval, record);

  bed.begin_window("dead", 0, sites);
  bed.post("/dns?answering=no");
  bed.sample_for(dead_s);
  const Step dead = bed.end_window();
  const Figures figures = figures_of(dead);
  record.quote("What `watchwheel status` says at the end of it", bed.status_text());
  bed.post("/dns?answering=yes");
  // Names that failed may be remembered for a while; one interval asks everybody again.
  bed.settle(interval + bed.options().timeout_s, "the name server is back");
  const Step after = bed.watch("after", 0, sites, interval + bed.options().timeout_s + 5);
  const Figures calm = figures_of(after);

  const double told = figures.opened + calm.opened;
  record.require("events opened", told, told == 0, "0");
  record.require("sites told as down", figures.confirmed + calm.confirmed,
                 figures.confirmed + calm.confirmed == 0, "0");
  record.require("checks that said nothing (not measured)", figures.not_measured,
                 figures.not_measured > 0, "above 0");
  const double unknown = dead.after.page.sum("watchwheel_sites", "\"unknown\"");
  record.tell("sites unknown at the end of it", unknown);
  record.require("afterwards: sites never seen", after.fleet.never_seen,
                 after.fleet.never_seen == 0, "0");
  record.require("afterwards: p99 of gaps, s", after.fleet.gap.p99,
                 wishes.is_trial || after.fleet.gap.p99 <= interval + kSlack_s,
                 "at most " + readable(interval + kSlack_s));
  const double still = after.after.page.sum("watchwheel_sites", "\"unknown\"");
  record.require("afterwards: sites unknown", still, wishes.is_trial || still == 0, "0");
  tell_figures(figures, record);
  record.add(rates_chart("While the name server is silent", dead));
  return record;
}

Record sigstop(const Wishes& wishes) {
  const std::uint32_t sites = or_else(wishes.sites, 200'000U);
  const double interval = or_else(wishes.interval_s, 60.0);
  const double stop_s = or_else(wishes.seconds, 120.0);
  Record record("sigstop", "The engine stands still for " + readable(stop_s) + " s, " +
                               readable(sites) + " sites every " + readable(interval) + " s");
  Bed bed(bed_for(wishes, sites));
  start(bed, sites, interval, record);
  const Step before = bed.watch("before", 0, sites, interval + 2);
  bed.post("/observe/mark");
  bed.freeze_engine();
  bed.settle(stop_s, "the engine stands still");
  bed.thaw_engine();
  const Step back = bed.watch("catching up", 0, sites, interval);
  const Step after = bed.watch("after one interval", 0, sites, interval + 5);
  const Figures catching = figures_of(back);
  const Figures figures = figures_of(after);

  const double required = sites / interval;
  // What was saved up for two ticks, and what was on its way, comes in the first second as well.
  const std::vector<double>& seconds = back.fleet.per_second;
  const double first = seconds.empty() ? 0 : seconds.front();
  double most = 0;
  for (std::size_t i = 1; i + 1 < seconds.size(); ++i) most = std::max(most, seconds[i]);
  record.tell("required, checks a second", required);
  record.tell("starts in the first second, times the required rate", first / required);
  record.require("most starts in a later second, times the required rate", most / required,
                 most <= 1.55 * required, "1.5, and a little for the edges of a second");
  record.require("seen within one interval: sites missed", back.fleet.never_seen,
                 back.fleet.never_seen == 0, "0");
  record.require("phases moved by p99, s", after.fleet.phase_shift.p99,
                 after.fleet.phase_shift.p99 <= kSlack_s, "at most 1");
  record.tell("phases moved by, most, s", after.fleet.phase_shift.max);
  record.require("sites with a phase", after.fleet.phase_sites,
                 after.fleet.phase_sites >= 0.999 * sites, readable(sites));
  record.require("after one interval: p99 of gaps, s", after.fleet.gap.p99,
                 after.fleet.gap.p99 <= interval + kSlack_s,
                 "at most " + readable(interval + kSlack_s));
  record.require("after one interval: waits above interval + timeout, sites", after.fleet.expired,
                 after.fleet.expired == 0, "0");
  record.require("events opened", catching.opened + figures.opened,
                 catching.opened + figures.opened == 0, "0");
  record.tell("told as local overload, checks",
              after.after.page.sum("watchwheel_checks_overload_discounted_total"));
  tell_figures(figures, record);
  record.add(rates_chart("Before it stood still", before));
  record.add(rates_chart("Catching up", back));
  record.add(rates_chart("After one interval", after));
  return record;
}

Record import_while_running(const Wishes& wishes) {
  const std::uint32_t sites = or_else(wishes.sites, 200'000U);
  const std::uint32_t more = or_else(wishes.more, 1'000'000U);
  const double interval = or_else(wishes.interval_s, 180.0);
  const std::uint32_t all = sites + more;
  Record record("import", readable(more) + " sites imported while " + readable(sites) +
                              " are checked every " + readable(interval) + " s");
  Bed bed(bed_for(wishes, all));
  start(bed, sites, interval, record);

  bed.begin_window("import", 0, sites);
  const double import_s = bed.import(sites, all);
  double loaded_s = std::numeric_limits<double>::infinity();
  const double begun_s = bed.read().at_s;
  bed.sample_for(60, [&](const Sample&) {
    const Reading now = bed.read();
    const bool is_all = now.page.sum("watchwheel_sites") >= all;
    if (is_all) loaded_s = now.at_s - begun_s;
    return is_all;
  });
  bed.sample_for(interval + 5);
  const Step during = bed.end_window();
  const Figures figures = figures_of(during);
  const Step after = bed.watch("everybody", 0, all, interval + bed.options().timeout_s + 2);
  const Figures calm = figures_of(after);

  record.tell("imported, sites a second", more / import_s);
  record.require("in force after the import ended, s", loaded_s, loaded_s <= 5, "at most 5");
  record.require("old sites never seen", during.fleet.never_seen, during.fleet.never_seen == 0,
                 "0");
  record.require("old sites: waits above interval + timeout", during.fleet.expired,
                 during.fleet.expired == 0, "0");
  record.require("old sites: p99 of gaps, s", during.fleet.gap.p99,
                 during.fleet.gap.p99 <= interval + kSlack_s,
                 "at most " + readable(interval + kSlack_s));
  record.require("all sites, an interval later: never seen", after.fleet.never_seen,
                 after.fleet.never_seen == 0, "0");
  record.require("all sites: waits above interval + timeout", after.fleet.expired,
                 after.fleet.expired == 0, "0");
  record.require("all sites: p99 of gaps, s", after.fleet.gap.p99,
                 after.fleet.gap.p99 <= interval + kSlack_s,
                 "at most " + readable(interval + kSlack_s));
  record.require("events opened", figures.opened + calm.opened, figures.opened + calm.opened == 0,
                 "0");
  record.tell("loop lag while importing, worst, s", figures.loop_lag_s_max);
  record.tell("turns while importing p99.9, s (none is meant to be above 0.02)",
              figures.turn_p999_s);
  record.tell("the longest turn while importing, s", figures.turn_max_s);
  tell_figures(calm, record);
  record.add(rates_chart("While importing, and an interval after", during));
  record.add(memory_chart(during));
  return record;
}

Record https(const Wishes& wishes) {
  const std::uint32_t sites = or_else(wishes.sites, 20'000U);
  const double first = or_else(wishes.first, 600.0);
  Record record("https", readable(sites) + " HTTPS sites, distinct certificates and names");
  BedOptions options = bed_for(wishes, sites);
  options.https = sites;
  options.distinct_certs = sites <= fleet::kHttpsDistinctMax;
  Bed bed(options);
  bed.import(0, sites);
  const auto clients = [&](double rate, double& floor, double& go) {
    floor = mean_of(floor, floor_us(bed, wishes, rate, sites));
    if (!wishes.go_client.empty() && wishes.clients_s > 0) {
      go = mean_of(go, bed.client_us({"env", "GOMAXPROCS=1", wishes.go_client}, "Go", sites, rate,
                                     wishes.clients_s));
    }
  };
  double floor = 0;
  double go = 0;
  clients(first, floor, go);
  // The cost, at the rate of the clients; then the knee.
  bed.start_engine(sites / first);
  bed.settle(sites / first + 3, "warming up for one interval");
  const Step step = bed.watch("https", 0, sites, sites / first + bed.options().timeout_s + 2);
  const Figures figures = figures_of(step);
  const Ladder ladder = climb(bed, sites, first * 1.6, highest_for(sites));
  bed.stop_engine();
  clients(first, floor, go);

  find_promise(step, figures, record);
  tell_figures(figures, record);
  put(ladder, record);
  if (floor > 0) {
    record.tell("bare OpenSSL: CPU us a check", floor);
    record.require("engine: CPU a check, times bare OpenSSL", figures.engine_us / floor,
                   figures.engine_us <= 0.6 * floor, "at most 0.6");
  }
  if (go > 0) {
    record.tell("Go crypto/tls: CPU us a check", go);
    record.require("engine: CPU a check, times Go", figures.engine_us / go, figures.engine_us <= go,
                   "at most 1.0");
  }
  record.tell("1,000,000 HTTPS sites at 5 minutes need, cores",
              1e6 / 300 * figures.engine_us / 1e6);
  record.tell("RSS of the simulator, MiB", step.fleet.rss_bytes / kMebi);
  record.tell("distinct certificates", options.distinct_certs ? sites : 1);
  record.note(
      "The cores for 1,000,000 sites are 3,333 checks a second times the CPU time of one, of "
      "cores like this one's and used fully.");
  record.note("Engine: " + bed.engine_version());
  record.add(rates_chart("Asked for and done", step));
  return record;
}

Record trial(const Wishes& wishes) {
  const std::uint32_t sites = or_else(wishes.sites, 1000U);
  Wishes small = wishes;
  small.is_trial = true;
  small.sites = sites;
  small.interval_s = 3;
  small.seconds = 5;
  small.clients_s = 0;
  small.bed.timeout_s = 2;
  small.bed.failing_share = 0;
  small.bed.settings.insert(small.bed.settings.end(),
                            {{"confirm.retry_interval", "\"1s\""}, {"confirm.failures", "2"}});
  Record record("quick", "A trial of the rig: it measures nothing");
  const std::uint32_t failing = sites / 10;
  Bed bed(bed_for(small, sites));
  start(bed, sites, small.interval_s, record);
  Step step = bed.watch("quick", 0, sites, small.seconds);
  // Beside anything: who is slow gets more time, who is never asked is found out.
  for (int i = 0; i < 6 && step.fleet.never_seen > 0; ++i) step = bed.watch("again", 0, sites, 10);
  const Figures figures = figures_of(step);
  find_promise_or_tell(small, step, figures, record);
  record.require("askings seen by the observer", step.fleet.requests, step.fleet.requests > 0,
                 "above 0");
  record.require("checks done a second, as the engine counts", figures.done, figures.done > 0,
                 "above 0");
  record.require("engine: CPU us a check", figures.engine_us, figures.engine_us > 0, "above 0");
  record.require("simulator: CPU us a check", figures.fleet_us, figures.fleet_us > 0, "above 0");
  record.require("RSS of the engine, MiB", figures.rss_peak_bytes / kMebi,
                 figures.rss_peak_bytes > 0, "above 0");
  // A generous end: this must work beside anything.
  bed.begin_window("outage", 0, sites);
  bed.fault("status_500", 0, failing);
  bed.sample_for(120, [failing](const Sample& sample) { return sample.confirmed >= failing; });
  const Step outage = bed.end_window();
  const double reported_s = reached_s(outage.samples, Counted::Confirmed, failing, 1);
  record.require("all broken sites reported after, s", reported_s, std::isfinite(reported_s),
                 "at all");
  const std::vector<std::uint32_t> down = bed.open_incidents("down");
  const auto rightly = static_cast<double>(
      std::count_if(down.begin(), down.end(), [&](std::uint32_t site) { return site < failing; }));
  record.require("incidents of broken sites", rightly, rightly == failing, readable(failing));
  bed.set_interval(4);
  bed.settle(1, "reloading");
  const Step slower = bed.watch("slower", 0, sites, 2);
  record.require("interval after the reload, s", slower.fleet.interval_s,
                 slower.fleet.interval_s == 4, "4");
  bed.stop_engine();
  tell_figures(figures, record);
  record.add(thread_table(step, figures));
  record.add(rates_chart("Asked for and done", step));
  record.add(state_chart("An outage", outage));
  Table table{"The ladder", ladder_columns(), {ladder_row(step, figures)}};
  record.add(table);
  return record;
}

}  // namespace watchwheel::rig
