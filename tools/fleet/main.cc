// SPDX-License-Identifier: Apache-2.0
// watchwheel-fleet: synthetic sites, their DNS, their faults, and an observer of who asked when.
#include <CLI/CLI.hpp>
#include <csignal>
#include <cstdio>
#include <iostream>
#include <stdexcept>

#include "fleet/control_client.h"
#include "fleet/fleet.h"
#include "fleet/report.h"

namespace {

using namespace watchwheel::fleet;

Fleet* running = nullptr;  // For the signal handler alone; set once, before it can run.

extern "C" void on_signal(int) {
  if (running != nullptr) running->request_stop();
}

// Reads an option's text with one of our own readers; its problem becomes CLI11's.
template <typename Field, typename T>
std::function<void(const std::string&)> into(Field& field, Parsed<T> (*read)(std::string_view)) {
  return [&field, read](const std::string& text) {
    const Parsed<T> parsed = read(text);
    if (!parsed) throw CLI::ValidationError(parsed.problem);
    field = *parsed.value;
  };
}

void add_options(CLI::App& app, Config& config) {
  app.add_option("--sites", config.sites, "How many sites")->capture_default_str();
  app.add_option("--https", config.https, "How many of them, from the first, are HTTPS")
      ->capture_default_str();
  app.add_option("--addresses", config.addresses, "Addresses they share; 0 gives each site its own")
      ->capture_default_str();
  app.add_option_function("--base", into(config.base, &parse_loopback),
                          "The first site's address (default 127.64.0.1)");
  app.add_flag("--spread", config.spread,
               "Addresses of their own all over 127.0.0.0/8 above the base, instead of in a row");
  app.add_option("--domain", config.domain, "Site i is s<i>.DOMAIN")->capture_default_str();
  app.add_option("--http-port", config.http_port, "0: any free")->capture_default_str();
  app.add_option("--https-port", config.https_port, "0: any free")->capture_default_str();
  app.add_option_function("--interval", into(config.interval, &parse_duration),
                          "What the engine is told, and the observer's measure (default 10s)");
  app.add_option_function("--timeout", into(config.timeout, &parse_duration),
                          "Of a check: a wait above interval and timeout is expired (default 10s)");
  app.add_option("--body-bytes", config.body_bytes, "Size of a page")->capture_default_str();
  app.add_option_function("--delay", into(config.delay, &parse_duration),
                          "Each answer waits this long (default 0)");
  app.add_option_function("--delay-jitter", into(config.delay_jitter, &parse_duration),
                          "and an even share of 0 to this (default 0)");
  app.add_flag(
      "--keep-alive,!--no-keep-alive", config.keep_alive,
      "Let a connection carry more than one request (default); with no-, close after each");
  app.add_flag("--defer-accept,!--no-defer-accept", config.defer_accept,
               "Accept when the request is there, which is cheaper (default)");
  app.add_option("--connections", config.connections_max, "Most connections at once")
      ->capture_default_str();
  app.add_option_function("--dns", into(config.dns, &parse_endpoint),
                          "IP:PORT of the name server (default 127.0.0.1:15353)");
  app.add_option_function("--dns-ttl", into(config.dns_ttl, &parse_duration),
                          "TTL of its answers (default 5s: faults in DNS show soon)");
  app.add_option_function("--dns-negative-ttl", into(config.dns_negative_ttl, &parse_duration),
                          "How long its SOA says that there is no such address or name (default: "
                          "as --dns-ttl)");
  app.add_option_function("--control", into(config.control, &parse_endpoint),
                          "IP:PORT of the control port (default 127.0.0.1:18081)");
  app.add_option("--cert-dir", config.cert_dir, "Where ca.pem is, or is made")
      ->capture_default_str();
  app.add_option("--certs", config.cert_mode, "shared: one wildcard leaf; distinct: one a site")
      ->transform(CLI::CheckedTransformer(std::map<std::string, CertMode>{
          {"shared", CertMode::Shared}, {"distinct", CertMode::Distinct}}));
  app.add_option("--tls-tickets", config.tls_tickets, "Session tickets a handshake")
      ->capture_default_str();
  app.add_option("--timeline", config.timeline_file, "File of faults: at= for= fault= sites=");
  app.add_option_function("--duration", into(config.duration, &parse_duration),
                          "End by itself after this long (default 0: when told)");
}

int run(const Config& config) {
  Fleet fleet(config);
  running = &fleet;
  std::signal(SIGTERM, on_signal);
  std::signal(SIGINT, on_signal);
  std::cout << fleet.ready_json() << std::endl;
  fleet.run();
  std::signal(SIGTERM, SIG_DFL);
  std::signal(SIGINT, SIG_DFL);
  running = nullptr;
  std::cout << fleet.report(std::chrono::steady_clock::now()) << std::flush;
  return 0;
}

int list_sites(const Config& config, ListFormat format) {
  if (const std::string problem = problem_of(config); !problem.empty()) {
    throw std::runtime_error(problem);
  }
  if (config.http_port == 0 || (config.https > 0 && config.https_port == 0)) {
    throw std::runtime_error("the list needs the real ports: take them from the line of `run`");
  }
  const Duration interval = config.list_interval ? config.interval : Duration{0};
  write_site_list(SiteMap(config), {interval, config.list_from, format}, std::cout);
  return std::cout.flush() ? 0 : 3;
}

int list_faults(bool as_json) {
  if (as_json) {
    std::cout << fault_table_json();
    return 0;
  }
  for (const FaultFacts& facts : fault_table()) {
    if (facts.kind == FaultKind::None) continue;
    std::printf("%-19s %-24s %s\n", std::string(facts.name).c_str(),
                std::string(facts.cause).c_str(), std::string(facts.what).c_str());
  }
  return 0;
}

int report(const Endpoint& control) {
  const auto answer = ask_control(control, "GET", "/report", std::chrono::seconds(10));
  if (!answer) throw std::runtime_error(answer.problem);
  std::cout << *answer.value;
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  CLI::App app{"Synthetic sites on loopback, with faults on demand and an observer."};
  app.require_subcommand(1);
  Config config;
  ListFormat format = ListFormat::Csv;
  bool as_json = false;

  CLI::App* run_command = app.add_subcommand("run", "Serve the sites until SIGTERM");
  add_options(*run_command, config);
  CLI::App* sites_command = app.add_subcommand("sites", "Write the site list for import");
  add_options(*sites_command, config);
  sites_command->add_option("--from", config.list_from, "The first site to list");
  sites_command->add_flag("!--no-interval", config.list_interval,
                          "Leave the interval to the engine's default");
  sites_command->add_option("--format", format, "csv or jsonl")
      ->transform(CLI::CheckedTransformer(std::map<std::string, ListFormat>{
          {"csv", ListFormat::Csv}, {"jsonl", ListFormat::Jsonl}}));
  CLI::App* faults_command = app.add_subcommand("faults", "List the faults and their causes");
  faults_command->add_flag("--json", as_json, "As JSON");
  CLI::App* report_command = app.add_subcommand("report", "Fetch the report of a running fleet");
  report_command->add_option_function("--control", into(config.control, &parse_endpoint),
                                      "IP:PORT of its control port (default 127.0.0.1:18081)");
  try {
    app.parse(argc, argv);
    if (run_command->parsed()) return run(config);
    if (sites_command->parsed()) return list_sites(config, format);
    if (faults_command->parsed()) return list_faults(as_json);
    return report(config.control);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? 0 : 2;
  } catch (const std::exception& error) {
    std::cerr << "watchwheel-fleet: " << error.what() << '\n';
    return 3;
  }
}
