// SPDX-License-Identifier: Apache-2.0
// bench/rig/bed.h - an engine beside a fleet of sites, and the hands on both.
//
// Owns     both processes, their files below `work_dir`, the engine's store.
// Thread   one, the program's.
// Bounded  every wait has an end; `stopping()` cuts them short (a signal, the time limit).
// Fails    std::runtime_error with the file to look at.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "bench/rig/process.h"
#include "bench/rig/step.h"
#include "fleet/units.h"

namespace watchwheel::rig {

struct BedOptions {
  std::string build_dir;
  std::string work_dir;
  std::uint32_t fleet_sites = 0;  // That the fleet can answer for; canaries come on top.
  std::uint32_t https = 0;        // Of them, from the first.
  bool distinct_certs = true;
  bool spread = false;
  std::uint32_t lanes = 0;
  double timeout_s = 10;
  std::string dns_ttl = "60s";
  std::string dns_negative_ttl;  // Empty: the same.
  std::string delay = "20ms";
  std::string jitter = "60ms";
  double failing_share = 0;  // Of the fleet's sites, broken in eight ways from the start.
  std::vector<std::string> fleet_words;                       // Passed on.
  std::vector<std::pair<std::string, std::string>> settings;  // Keys of the engine's configuration.
  bool pinned = false;                                        // Engine on core 0, fleet on core 1.
};

inline constexpr std::uint32_t kCanaries = 4;

class Bed {
 public:
  // Starts the fleet.
  explicit Bed(const BedOptions& options);

  // Puts sites `from` to `to` - 1 into the store, with the default interval. Returns how many seconds
  // it took. In a measuring window samples go on meanwhile.
  double import(std::uint32_t from, std::uint32_t to);
  // Also the time until every site was loaded.
  double start_engine(double interval_s);
  void stop_engine();
  // Takes effect by a reload, at the sites' next turn.
  void set_interval(double interval_s);
  [[nodiscard]] double interval_s() const { return interval_s_; }
  void freeze_engine() const;
  void thaw_engine() const;

  // A measuring window about sites `from` to `to` - 1, as long as `seconds` or until `is_done` says so.
  using IsDone = std::function<bool(const Sample&)>;
  [[nodiscard]] Step watch(const std::string& name, std::uint32_t from, std::uint32_t to,
                           double seconds, const IsDone& is_done = {});
  // The two halves of it, when something happens between.
  void begin_window(const std::string& name, std::uint32_t from, std::uint32_t to);
  void sample_for(double seconds, const IsDone& is_done = {});
  [[nodiscard]] Step end_window();

  // Waits without a window.
  void settle(double seconds, const std::string& why) const;

  void post(const std::string& target) const;  // To the fleet.
  void fault(const std::string& kind, std::uint32_t from, std::uint32_t to) const;
  [[nodiscard]] Reading read() const;
  // What `watchwheel status` prints.
  [[nodiscard]] std::string status_text() const;
  // The site numbers of open incidents in `state`.
  [[nodiscard]] std::vector<std::uint32_t> open_incidents(const std::string& state) const;

  // CPU time of a check of another client on the same sites, us; 0 when it could not be had.
  [[nodiscard]] double client_us(const std::vector<std::string>& program, const std::string& label,
                                 std::uint32_t sites, double rate, double seconds) const;

  [[nodiscard]] const BedOptions& options() const { return options_; }
  [[nodiscard]] std::string program(const std::string& path) const {
    return options_.build_dir + "/" + path;
  }
  [[nodiscard]] const std::string& engine_version() const { return version_; }

 private:
  void start_fleet();
  void take_sample();
  void break_some() const;
  void write_config(double interval_s) const;
  [[nodiscard]] std::string file(const std::string& name) const {
    return options_.work_dir + "/" + name;
  }
  [[nodiscard]] std::string engine_get(const std::string& target) const;
  [[nodiscard]] std::vector<std::string> pinned(int core, std::vector<std::string> words) const;
  [[nodiscard]] std::vector<std::string> fleet_shape() const;

  BedOptions options_;
  std::string version_;
  Child fleet_;
  Child engine_;
  fleet::Endpoint control_;
  fleet::Endpoint listen_;
  std::string dns_;
  std::string ca_file_;
  std::uint16_t http_port_ = 0;
  std::uint16_t https_port_ = 0;
  double interval_s_ = 0;
  Step window_;
  bool is_window_open_ = false;
};

// Asked from a signal handler: every wait ends soon with an exception.
void request_stop() noexcept;
void set_time_limit(std::chrono::seconds limit);

// A line on standard error: what is going on, and when it will be over.
void say(const std::string& text);

}  // namespace watchwheel::rig
