// SPDX-License-Identifier: Apache-2.0
// daemon.h - the built daemon beside a fleet of synthetic sites, as a test drives them: by commands, signals and HTTP.
#pragma once

#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "core/clock.h"
#include "fleet/fleet.h"
#include "support/child_process.h"
#include "support/eventually.h"

namespace watchwheel::testing {

// A fleet on a thread of the test, all ports chosen by the kernel.
class FleetThread : core::Pinned {
 public:
  explicit FleetThread(fleet::Config config);
  ~FleetThread();

  [[nodiscard]] const fleet::Fleet& fleet() const { return *fleet_; }
  // POST /fault and /clear of its control port.
  void fault(const std::string& kind, std::uint32_t first, std::uint32_t last) const;
  void clear(std::uint32_t first, std::uint32_t last) const;
  void reset_window() const;
  // The name server answers nothing, or answers again.
  void dns(bool answering) const;
  [[nodiscard]] nlohmann::json report() const;
  [[nodiscard]] std::string url(std::uint32_t site) const;
  // What the observer saw of one site since the window began.
  [[nodiscard]] nlohmann::json site(std::uint32_t site) const;

 private:
  void control(const std::string& method, const std::string& target) const;
  fleet::Config config_;
  std::unique_ptr<fleet::Fleet> fleet_;
  std::thread thread_;
};

// The daemon's files, and the commands on them.
class DaemonUnderTest : core::Pinned {
 public:
  // `extra`: TOML appended to the configuration (whole sections that it does not have). `store_url` empty: an SQLite file of
  // its own.
  DaemonUnderTest(const FleetThread& fleet, core::Duration interval, const std::string& extra = "",
                  const std::string& store_url = "");

  void import_sites(std::uint32_t count) const;
  // `through`: words that start what follows them, like a shell that sets a limit first.
  void start(const std::vector<std::string>& through = {});
  void wait_ready() const;
  void kill();                    // SIGKILL.
  [[nodiscard]] Finished stop();  // SIGTERM, and its end.
  [[nodiscard]] ChildProcess& process() { return *process_; }

  [[nodiscard]] Finished command(std::vector<std::string> words) const;
  [[nodiscard]] nlohmann::json incidents(bool open_only) const;  // Outages: no warnings.
  [[nodiscard]] nlohmann::json status() const;
  // Of the daemon's own listener; nothing when it does not answer.
  [[nodiscard]] std::optional<std::string> get(const std::string& path) const;
  [[nodiscard]] std::optional<std::string> post(const std::string& path) const;
  struct Answer {
    long status = 0;  // 0: there was none.
    std::string body;
  };
  // POST of `json` where there is one, else GET.
  [[nodiscard]] Answer call(const std::string& path, const std::vector<std::string>& headers,
                            const std::optional<std::string>& json = {}) const;
  [[nodiscard]] double metric(const std::string& name_and_labels) const;

  // store.state_dir.
  [[nodiscard]] const std::string& state_dir() const { return dir_.path(); }
  [[nodiscard]] const std::string& config_file() const { return config_file_; }
  [[nodiscard]] std::string config_text() const { return config_text_; }
  [[nodiscard]] std::string store_file() const { return dir_.file("watchwheel.db"); }
  [[nodiscard]] const std::string& listen() const { return listen_; }

 private:
  const FleetThread& fleet_;
  core::Duration interval_;
  TempDir dir_;
  std::string listen_;
  std::string config_file_;
  std::string config_text_;
  std::unique_ptr<ChildProcess> process_;
};

[[nodiscard]] std::string watchwheel_binary();

}  // namespace watchwheel::testing
