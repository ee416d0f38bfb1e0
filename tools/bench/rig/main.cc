// SPDX-License-Identifier: Apache-2.0
// watchwheel-bench-capacity: how much the engine holds, and what it does beyond. See ../README.md.
#include <sys/utsname.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <functional>
#include <iostream>
#include <map>
#include <stdexcept>

#include "bench/rig/bed.h"
#include "bench/rig/record.h"
#include "bench/rig/scenarios.h"

namespace {

using namespace watchwheel::rig;

extern "C" void on_signal(int) {
  request_stop();
}

struct Scenario {
  const char* name;
  const char* what;
  std::function<Record(const Wishes&)> run;
};

const std::vector<Scenario>& scenarios() {
  static const std::vector<Scenario> kAll{
      {"quick", "A trial that measures nothing, 20 seconds", trial},
      {"knee", "Finds the highest rate that is kept, about 7 minutes",
       [](const Wishes& wishes) {
         double knee = 0;
         return find_knee(wishes, knee);
       }},
      {"hold", "One size at one interval: 2,000,000 sites at 5 minutes for 15, 17 minutes", hold},
      {"overload", "1.5 times the knee, then back; with --knee 5 minutes, else it finds it first",
       overload},
      {"mass-outage", "30 % of 200,000 sites begin to time out, 8 minutes", mass_outage},
      {"dead-resolvers", "The name server falls silent, 4 minutes", dead_resolvers},
      {"sigstop", "The engine stands still for two minutes, 7 minutes", sigstop},
      {"import", "1,000,000 sites imported while running, 11 minutes", import_while_running},
      {"https", "Distinct certificates: cost beside OpenSSL and Go, the knee, 7 minutes", https},
  };
  return kAll;
}

double seconds_of(const std::string& text) {
  const auto duration = watchwheel::fleet::parse_duration(text);
  if (!duration) throw CLI::ValidationError(duration.problem);
  return watchwheel::fleet::to_seconds(*duration.value);
}

std::string machine() {
  std::string model = "unknown processor";
  std::ifstream info("/proc/cpuinfo");
  for (std::string line; std::getline(info, line);) {
    if (line.starts_with("model name")) {
      model = line.substr(line.find(':') + 2);
      break;
    }
  }
  utsname system{};
  ::uname(&system);
  const std::string load = text_of("/proc/loadavg");
  return "Machine: " + std::to_string(::sysconf(_SC_NPROCESSORS_ONLN)) + " cores of " + model +
         ", Linux " + system.release + "; load average at the start " +
         load.substr(0, load.find(' ')) +
         " (anything above 0.2 is other work: trust ratios alone).";
}

}  // namespace

int main(int argc, char** argv) {
  CLI::App app{"How many sites the engine holds on this machine, and what it does beyond."};
  Wishes wishes;
  wishes.bed.lanes = 0;
  std::string out_dir = "capacity";
  std::string work_dir;
  std::string timeline;
  double time_limit_s = 3600;
  std::vector<std::string> settings;
  app.require_subcommand(1);
  app.fallthrough();
  app.add_option("--build", wishes.bed.build_dir, "Where the programs were built")->required();
  app.add_option("--out", out_dir, "Directory for report, JSON and SVG")->capture_default_str();
  app.add_option("--work", work_dir, "Directory for the store and logs (default OUT/work)");
  app.add_option("--sites", wishes.sites, "How many sites");
  const auto duration = [&app](const char* name, double& into, const char* help) {
    app.add_option_function<std::string>(
        name, [&into](const std::string& text) { into = seconds_of(text); }, help);
  };
  duration("--interval", wishes.interval_s, "From one check of a site to the next, such as 5m");
  duration("--window", wishes.seconds, "How long it is watched, after one interval of warming up");
  duration("--timeout", wishes.bed.timeout_s, "Of a check (default 10s)");
  duration("--clients", wishes.clients_s,
           "Each run of floor and Go beside it (default 12s; 0: none)");
  duration("--time-limit", time_limit_s, "The whole command ends after this (default 1h)");
  app.add_option("--knee", wishes.knee, "overload: the knee in checks a second, when it is known");
  app.add_option("--first", wishes.first, "knee, https: the first rate that is tried");
  app.add_option("--share", wishes.share, "mass-outage: the share that fails")
      ->check(CLI::Range(0.01, 0.99));
  app.add_option("--more", wishes.more, "import: sites imported while running");
  app.add_option("--failing", wishes.bed.failing_share,
                 "Share of sites that are broken all the time, in eight ways")
      ->check(CLI::Range(0.0, 0.5));
  app.add_option("--delay", wishes.bed.delay, "Each answer waits this long")->capture_default_str();
  app.add_option("--jitter", wishes.bed.jitter, "and an even share of 0 to this")
      ->capture_default_str();
  app.add_option("--dns-ttl", wishes.bed.dns_ttl, "TTL of the sites' names")->capture_default_str();
  app.add_option("--dns-negative-ttl", wishes.bed.dns_negative_ttl,
                 "How long their zone says that they have no IPv6 addresses (default: as --dns-ttl)");
  app.add_option("--timeline", timeline,
                 "Faults by time since the fleet began: tools/fleet/README.md");
  app.add_option("--https", wishes.bed.https, "How many of the sites, from the first, are HTTPS");
  app.add_flag("--spread", wishes.bed.spread, "Neighbouring sites are in different networks");
  app.add_flag("--pin", wishes.bed.pinned, "Engine on core 0, simulator on core 1");
  app.add_option("--lanes", wishes.bed.lanes, "Lanes of the engine (default: one a core)");
  app.add_option("--set", settings,
                 "A key of the engine's configuration: checks.method='\"HEAD\"'");
  app.add_option("--go-client", wishes.go_client, "The built tools/bench/go_client");
  std::map<CLI::App*, const Scenario*> commands;
  for (const Scenario& scenario : scenarios()) {
    commands[app.add_subcommand(scenario.name, scenario.what)] = &scenario;
  }
  try {
    app.parse(argc, argv);
    for (const std::string& setting : settings) {
      const std::size_t equals = setting.find('=');
      if (equals == std::string::npos) throw CLI::ValidationError("--set needs KEY=VALUE");
      wishes.bed.settings.emplace_back(setting.substr(0, equals), setting.substr(equals + 1));
    }
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? 0 : 2;
  }
  if (!timeline.empty()) {
    wishes.bed.fleet_words = {"--timeline", std::filesystem::absolute(timeline).string()};
  }
  std::signal(SIGINT, on_signal);
  std::signal(SIGTERM, on_signal);
  try {
    std::filesystem::create_directories(out_dir);
    wishes.bed.work_dir = std::filesystem::absolute(work_dir.empty() ? out_dir + "/work" : work_dir)
                              .lexically_normal();
    wishes.bed.build_dir = std::filesystem::absolute(wishes.bed.build_dir).lexically_normal();
    set_time_limit(std::chrono::seconds(std::llround(time_limit_s)));
    bool is_passed = true;
    for (CLI::App* command : app.get_subcommands()) {
      const std::string where = machine();
      Record record = commands.at(command)->run(wishes);
      record.note(where);
      record.write(out_dir);
      std::cout << record.text() << std::flush;
      say("written: " + out_dir + "/" + record.name() + ".md, .json, .svg");
      is_passed = is_passed && record.is_passed();
    }
    return is_passed ? 0 : 1;
  } catch (const std::exception& error) {
    std::cerr << "watchwheel-bench-capacity: " << error.what() << '\n';
    return 3;
  }
}
