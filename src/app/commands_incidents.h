// SPDX-License-Identifier: Apache-2.0
// app/commands_incidents.h - `watchwheel incidents`: events and their transitions, newest first.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "app/command.h"
#include "core/clock.h"
#include "db/hold_log.h"
#include "db/incident_log.h"
#include "db/store.h"

namespace watchwheel::app {

struct IncidentsArgs {
  bool open = false;
  std::uint64_t site = 0;   // 0: any.
  std::uint64_t group = 0;  // 0: any.
  std::string kind;         // "": any. A word of core/event_kind.h.
  std::string since;        // "": any time. A time, a date, or how long ago.
  std::size_t limit = 100;  // 0: all.
  bool json = false;  // One document: {"incidents": […], "more": true when the limit cut some off}.
  std::string config;
};
[[nodiscard]] int show_incidents(const IncidentsArgs& args, Io& io);

// "2026-11-20T12:00:00Z", "2026-11-20" (its first moment in UTC), or "2h" (that long before `now`). Invalid: anything else.
// `option` is named in what is said then.
[[nodiscard]] core::Result<core::WallTime> parse_since(const std::string& text, core::WallTime now,
                                                       std::string_view option = "--since");

// What --json prints: a page, newest first. `limit` 0: all.
[[nodiscard]] core::Result<std::string> incidents_json(db::Store& store,
                                                       const db::IncidentFilter& filter,
                                                       std::size_t limit, core::WallTime now);
// One of them; NotFound when there is none.
[[nodiscard]] core::Result<std::string> one_incident_json(db::Store& store, core::EventId event,
                                                          core::WallTime now);
// `held`: why nobody is told for now that it began.
using Held = std::optional<sideeffects::HeldBack>;
[[nodiscard]] std::string incident_json(const db::Incident& incident, core::WallTime now,
                                        const Held& held = {});
[[nodiscard]] std::string incident_text(const db::Incident& incident, core::WallTime now,
                                        const Held& held = {});
// A mass outage in one line, with how to see its sites; a time when we were blind.
[[nodiscard]] std::string group_text(const db::OutageGroup& group, core::WallTime now);
[[nodiscard]] std::string vantage_text(const db::VantageIncident& incident, core::WallTime now);

}  // namespace watchwheel::app
