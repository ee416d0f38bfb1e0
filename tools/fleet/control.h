// SPDX-License-Identifier: Apache-2.0
// fleet/control.h - what the control port understands.
//
//   GET  /report                               the observer's report so far
//   POST /observe/reset[?interval=5m][&sites=A-B]  start a fresh measuring window now, perhaps with
//                                              another measure, about these sites
//   POST /observe/mark                         keep when each site was asked, for phase_shift_s
//   GET  /faults                               what is on, as runs of sites
//   POST /fault?kind=K&sites=A-B[&for=60s]     switch a fault on; kind=none switches off
//   POST /clear?sites=A-B                      end the faults of these sites (all without sites=)
//   POST /dns?answering=no                     the name server falls silent; =yes ends it
//   GET  /sites/N                              one site: asked, last asked, biggest gap, fault
//   POST /stop                                 end the run as SIGTERM does
//
// Thread   the fleet's one thread.
// Fails    400 with {"error": what and the remedy}, 404 for another path, 405 for another method.
#pragma once

#include <string>
#include <string_view>

#include "fleet/faults.h"
#include "fleet/observer.h"
#include "fleet/server.h"
#include "fleet/site_map.h"

namespace watchwheel::fleet {

// What control asks of the whole; Fleet is it.
class ControlTarget {
 public:
  virtual ~ControlTarget() = default;
  [[nodiscard]] virtual std::string report(Time now) = 0;
  virtual void reset_window(Time now, const Window& window) = 0;
  virtual void mark_phases() = 0;
  virtual void set_dns_answering(bool on) = 0;
  virtual void stop() noexcept = 0;
};

class Control final : public ControlApi {
 public:
  Control(const SiteMap& map, FaultBoard& board, const Observer& observer, ControlTarget& target);

  [[nodiscard]] ControlAnswer answer(std::string_view method, std::string_view target,
                                     Time now) override;

 private:
  [[nodiscard]] ControlAnswer get(std::string_view path, Time now);
  [[nodiscard]] ControlAnswer post(std::string_view path, std::string_view query, Time now);
  [[nodiscard]] ControlAnswer set_fault(std::string_view query, Time now);
  [[nodiscard]] ControlAnswer clear(std::string_view query);
  [[nodiscard]] ControlAnswer reset(std::string_view query, Time now);
  [[nodiscard]] ControlAnswer dns(std::string_view query);

  const SiteMap& map_;
  FaultBoard& board_;
  const Observer& observer_;
  ControlTarget& target_;
};

}  // namespace watchwheel::fleet
