// SPDX-License-Identifier: Apache-2.0
#include "bench/load.h"

#include <arpa/inet.h>
#include <sys/resource.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <fstream>

namespace watchwheel::bench {
namespace {

double seconds(const timeval& t) {
  return static_cast<double>(t.tv_sec) + static_cast<double>(t.tv_usec) / 1e6;
}

void raise_descriptor_limit() {
  rlimit limit{};
  if (::getrlimit(RLIMIT_NOFILE, &limit) != 0) return;
  limit.rlim_cur = limit.rlim_max;
  ::setrlimit(RLIMIT_NOFILE, &limit);
}

std::uint64_t resident_kib() {
  std::ifstream statm("/proc/self/statm");
  std::uint64_t size = 0;
  std::uint64_t resident = 0;
  statm >> size >> resident;
  return resident * static_cast<std::uint64_t>(::sysconf(_SC_PAGESIZE)) / 1024;
}

}  // namespace

std::string dotted(std::uint32_t address) {
  const in_addr network{htonl(address)};
  std::array<char, INET_ADDRSTRLEN> text{};
  ::inet_ntop(AF_INET, &network, text.data(), text.size());
  return text.data();
}

std::string Load::host(std::uint32_t site) const {
  return literal ? dotted(address(site)) : "s" + std::to_string(site) + "." + domain;
}

std::string Load::url(std::uint32_t site) const {
  return (https ? "https://" : "http://") + host(site) + ":" + std::to_string(port) + "/";
}

Load read_load(const char* program, int argc, char** argv) {
  Load load;
  std::string base = "127.64.0.1";
  CLI::App app{"Checks the sites of watchwheel-fleet and tells the CPU time of a check.", program};
  app.add_option("--label", load.label, "Names the row")->required();
  app.add_flag("--https", load.https);
  app.add_flag("--literal", load.literal, "URLs with addresses instead of names");
  app.add_option("--sites", load.sites)->check(CLI::PositiveNumber);
  app.add_option("--base", base, "The first site's address")->check(CLI::ValidIPV4);
  app.add_option("--domain", load.domain);
  app.add_option("--port", load.port);
  app.add_option("--ca", load.ca_file, "Trusted certificates, for --https");
  app.add_option("--resolver", load.resolver, "IP:PORT, for a client that resolves names");
  app.add_option("--in-flight", load.in_flight)->check(CLI::PositiveNumber);
  app.add_option("--checks", load.checks)->check(CLI::PositiveNumber);
  app.add_option("--warm-up", load.warm_up, "Checks before the measured ones");
  app.add_option("--rate", load.rate, "Measured checks started a second; 0: as fast as it goes");
  app.add_option("--time-limit", load.time_limit_s, "Seconds");
  app.add_option("--timeout", load.timeout_s, "Seconds of one check, for a client that has deadlines");
  app.add_option("--dns-cache", load.dns_cache, "Names kept, for a client that keeps them");
  app.add_option("--exchange", load.exchange, "Of the engine's checker")
      ->check(CLI::IsMember({"auto", "curl"}));
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    std::exit(app.exit(error) == 0 ? 0 : 2);
  }
  in_addr network{};
  ::inet_pton(AF_INET, base.c_str(), &network);
  load.base = ntohl(network.s_addr);
  if (load.https && (load.ca_file.empty() || load.literal)) {
    std::fprintf(stderr, "%s: --https needs --ca and names: the certificates are for names\n",
                 program);
    std::exit(2);
  }
  raise_descriptor_limit();
  return load;
}

CpuTime cpu_time() {
  rusage usage{};
  ::getrusage(RUSAGE_SELF, &usage);
  return {.user_s = seconds(usage.ru_utime), .system_s = seconds(usage.ru_stime)};
}

double now_s() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

Progress::Progress(const Load& load) : load_(load), begun_(now_s()) {
  if (load_.warm_up == 0) begin_measuring();
}

void Progress::begin_measuring() {
  measuring_since_ = now_s();
  at_begin_ = cpu_time();
}

std::uint64_t Progress::may_start(std::uint64_t in_flight, double now) {
  const std::uint64_t left = load_.warm_up + load_.checks - started_;
  std::uint64_t room = load_.in_flight > in_flight ? load_.in_flight - in_flight : 0;
  if (paced()) {
    const std::uint64_t measured = started_ - load_.warm_up;
    const auto allowed =
        measured == 0 ? 1 : static_cast<std::uint64_t>((now - paced_since_) * load_.rate) + 1;
    room = std::min(room, allowed > measured ? allowed - measured : 0);
  } else if (load_.rate > 0) {
    room = std::min(room, load_.warm_up - started_);
  }
  return std::min(left, room);
}

double Progress::next_start(std::uint64_t in_flight) const {
  const bool waits_for_time =
      paced() && in_flight < load_.in_flight && started_ < load_.warm_up + load_.checks;
  if (!waits_for_time) return 0;
  return paced_since_ + static_cast<double>(started_ - load_.warm_up) / load_.rate;
}

void Progress::on_start() {
  if (started_ == 0) resident_before_ = resident_kib();
  if (started_ == load_.warm_up) paced_since_ = now_s();
  ++started_;
}

void Progress::on_result(bool good) {
  ++finished_;
  if (!good) ++failed_;
  if (finished_ == load_.warm_up) begin_measuring();
  if (done()) {
    at_end_ = cpu_time();
    measured_until_ = now_s();
  }
}

int Progress::report() const {
  const bool broken_off = !done();
  const double checks = static_cast<double>(load_.checks);
  rusage usage{};
  ::getrusage(RUSAGE_SELF, &usage);
  std::printf(
      R"({"client":"%s","checks":%llu,"failed":%llu,"broken_off":%s,"user_us":%.2f,"system_us":%.2f,)"
      R"("cpu_us":%.2f,"wall_s":%.3f,"peak_rss_kib":%ld,"in_flight":%u,"in_flight_kib_each":%.1f})"
      "\n",
      load_.label.c_str(), static_cast<unsigned long long>(load_.checks),
      static_cast<unsigned long long>(failed_), broken_off ? "true" : "false",
      (at_end_.user_s - at_begin_.user_s) / checks * 1e6,
      (at_end_.system_s - at_begin_.system_s) / checks * 1e6,
      (at_end_.user_s + at_end_.system_s - at_begin_.user_s - at_begin_.system_s) / checks * 1e6,
      measured_until_ - measuring_since_, usage.ru_maxrss, load_.in_flight,
      static_cast<double>(usage.ru_maxrss - static_cast<long>(resident_before_)) /
          load_.in_flight);
  return broken_off || failed_ > 0 ? 1 : 0;
}

}  // namespace watchwheel::bench
