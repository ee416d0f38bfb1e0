// SPDX-License-Identifier: Apache-2.0
// fleet/fleet.h - the whole simulator: builds every part and turns the one loop.
//
// Owns     all parts; read fleet.cc from top to bottom for how they hang together.
// Thread   constructor, run() and destructor on one thread. request_stop() may be called from any
//          thread and from a signal handler.
// Fails    the constructor throws std::runtime_error: a port is taken, the timeline is bad, the
//          certificates cannot be had. run() does not throw for what clients do.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include "fleet/certs.h"
#include "fleet/config.h"
#include "fleet/control.h"
#include "fleet/dns_server.h"
#include "fleet/faults.h"
#include "fleet/net.h"
#include "fleet/observer.h"
#include "fleet/quiet_ports.h"
#include "fleet/server.h"
#include "fleet/site_map.h"
#include "fleet/tls.h"

namespace watchwheel::fleet {

class Fleet final : public ControlTarget {
 public:
  explicit Fleet(const Config& config);

  // Serves until request_stop(), POST /stop, or the configured duration.
  void run();
  void request_stop() noexcept;

  // One line of JSON: that we are ready, on which ports, with which CA file.
  [[nodiscard]] std::string ready_json() const;

  // Ports as they are, also where 0 was asked for.
  [[nodiscard]] std::uint16_t http_port() const noexcept { return http_port_; }
  [[nodiscard]] std::uint16_t https_port() const noexcept { return https_port_; }
  [[nodiscard]] std::uint16_t dns_port() const noexcept { return dns_port_; }
  [[nodiscard]] std::uint16_t control_port() const noexcept { return control_port_; }
  [[nodiscard]] const std::string& ca_file() const noexcept { return ca_file_; }
  [[nodiscard]] const SiteMap& map() const noexcept { return map_; }

  // For control and for the end of main; on the thread that runs.
  [[nodiscard]] std::string report(Time now) override;
  void reset_window(Time now, const Window& window) override;
  void mark_phases() override { observer_.mark(); }
  void set_dns_answering(bool on) override { dns_->set_answering(on); }
  void stop() noexcept override;

 private:
  void turn();
  void load_timeline_into_board();
  void open_dns();
  void watch(int fd, std::uint64_t tag);
  [[nodiscard]] int wait_ms(Time now) const noexcept;

  Config config_;
  Time start_;
  SiteMap map_;
  FaultBoard board_;
  Observer observer_;
  Fd epoll_;
  Fd wake_;
  Fd http_listener_, https_listener_, control_listener_, dns_listener_;
  std::uint16_t http_port_ = 0, https_port_ = 0, dns_port_ = 0, control_port_ = 0;
  std::unique_ptr<QuietPorts> quiet_;
  std::unique_ptr<DnsServer> dns_;
  std::unique_ptr<CertSet> certs_;
  std::unique_ptr<TlsServer> tls_;
  std::unique_ptr<Control> control_;
  std::unique_ptr<Server> server_;
  std::string ca_file_;
  double cpu_at_window_s_ = 0;
  std::optional<Time> end_;
  bool is_stopping_ = false;
};

}  // namespace watchwheel::fleet
