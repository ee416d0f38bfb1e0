// SPDX-License-Identifier: Apache-2.0
// bench/load.h - what every measured client is told, and what it tells: the same targets, the same
// window of checks in flight, the same line of JSON at the end.
//
// A run is warm_up checks, then `checks` that are measured. What is measured is the CPU time of the
// whole process (user and system) from the first measured start to the last result: with the window
// kept full on both sides of the border, what a check costs in between neither gains nor loses.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

namespace watchwheel::bench {

// The sites are those of watchwheel-fleet: site i is s<i>.DOMAIN on address base + i.
struct Load {
  std::string label;  // Names the row.
  bool https = false;
  bool literal = false;  // URLs with addresses; otherwise names.
  std::uint32_t sites = 20'000;
  std::uint32_t base = 0x7f400001U;  // 127.64.0.1
  std::string domain = "fleet.test";
  std::uint16_t port = 18080;
  std::string ca_file;
  std::string resolver = "127.0.0.1:15353";
  std::uint32_t in_flight = 100;
  std::uint64_t checks = 20'000;
  std::uint64_t warm_up = 2'000;
  double rate = 0;                    // Checks started a second; 0: as fast as the window allows.
  double time_limit_s = 60;           // A run that takes longer is broken off and fails.
  double timeout_s = 10;              // Of one check, for a client that has deadlines.
  std::uint32_t dns_cache = 100'000;  // Of a client that has one.
  std::string exchange = "auto";      // Of the engine: "curl" has everything asked by libcurl.

  [[nodiscard]] std::uint32_t site_of(std::uint64_t check) const {
    return static_cast<std::uint32_t>(check % sites);
  }
  [[nodiscard]] std::uint32_t address(std::uint32_t site) const { return base + site; }
  [[nodiscard]] std::string host(std::uint32_t site) const;  // As the URL has it, without the port.
  [[nodiscard]] std::string url(std::uint32_t site) const;
};

// Reads the flags of Load. Ends the process with a message when they are wrong.
[[nodiscard]] Load read_load(const char* program, int argc, char** argv);

// "127.64.0.1"
[[nodiscard]] std::string dotted(std::uint32_t address);

struct CpuTime {
  double user_s = 0;
  double system_s = 0;
};
[[nodiscard]] CpuTime cpu_time();
[[nodiscard]] double now_s();

// When the next check may start, and whether the run is over: the same for every client.
class Progress {
 public:
  explicit Progress(const Load& load);

  // How many more checks may start now, with `in_flight` under way.
  [[nodiscard]] std::uint64_t may_start(std::uint64_t in_flight, double now);
  // When may_start() will be more than it is, for want of time alone; 0 when it waits for results.
  [[nodiscard]] double next_start(std::uint64_t in_flight) const;
  [[nodiscard]] std::uint64_t started() const { return started_; }
  void on_start();
  void on_result(bool good);

  [[nodiscard]] bool done() const { return finished_ == load_.warm_up + load_.checks; }
  [[nodiscard]] bool overdue(double now) const { return now > begun_ + load_.time_limit_s; }

  // Prints the line. Returns the exit status: 1 when a check failed or the run was broken off.
  [[nodiscard]] int report() const;

 private:
  [[nodiscard]] bool paced() const { return load_.rate > 0 && started_ >= load_.warm_up; }
  void begin_measuring();

  const Load load_;
  const double begun_;
  std::uint64_t started_ = 0;
  std::uint64_t finished_ = 0;
  std::uint64_t failed_ = 0;  // Of the whole run.
  double paced_since_ = 0;    // When the first measured check was started.
  double measuring_since_ = 0;
  double measured_until_ = 0;
  std::uint64_t resident_before_ = 0;  // KiB, at the first start.
  CpuTime at_begin_;
  CpuTime at_end_;
};

}  // namespace watchwheel::bench
