// SPDX-License-Identifier: Apache-2.0
// sideeffects/holds.h - what keeps a beginning from being told for now, in the order in which it is asked.
//
//   maintenance   it was announced: whatever else there is, nobody is to hear of it
//   parent        what it stands behind is down: that is told
//   flapping      it is told that it flaps; it does not begin while one of the above holds the site
//
// Owns     the three watches.
// Thread   the router's. set_interval(), flapping(), parents(): any.
// Bounded  as the watches are.
// Fails    as the watches do: without the windows nothing is routed, without the rest it is told, in the end.
#pragma once

#include <functional>
#include <optional>
#include <string>

#include "core/clock.h"
#include "core/pinned.h"
#include "sideeffects/flapping_watch.h"
#include "sideeffects/maintenance_watch.h"
#include "sideeffects/notice_router.h"
#include "sideeffects/parent_watch.h"

namespace watchwheel::sideeffects {

class Holds : core::Pinned {
 public:
  struct Settings {
    core::FlapPolicy flapping{};
    core::Duration interval = std::chrono::minutes{5};  // Of sites that have none of their own.
    std::function<void(const std::string&)> warn = [](const std::string&) {};
  };
  struct Stores {
    MaintenanceStore& windows;
    ParentStore* parents = nullptr;     // Null: nobody has any.
    FlappingStore* flapping = nullptr;  // Null: nobody flaps.
  };
  Holds(const Settings& settings, const Stores& stores, const core::Clock& clock);

  // Has a router ask these; they outlive it.
  void join(NoticeRouter::Settings& router);

  // Counts from the router's next turn on.
  void set_interval(core::Duration interval);

  [[nodiscard]] const FlappingStats& flapping() const;
  [[nodiscard]] const ParentStats& parents() const;

 private:
  MaintenanceWatch maintenance_;
  std::optional<ParentWatch> parents_;
  std::optional<FlappingWatch> flapping_;
  const FlappingStats nobody_flaps_{};
  const ParentStats nobody_has_any_{};
};

}  // namespace watchwheel::sideeffects
