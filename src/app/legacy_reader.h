// SPDX-License-Identifier: Apache-2.0
// app/legacy_reader.h - the thread that keeps the site list as the legacy table has it, "legacy-read".
//
// Owns     the thread, the table's session, the list's session, the sweep.
// Thread   start(), stop(), set_defaults(): the engine's. stats(), problems(): any.
// Time     one page of the table at a time, paced (legacy_pace.h).
// Fails    a store that is away: the same page again, with backoff up to 30 s, for ever; counted. A list that is released, or
//          comes from another table: nothing is read until it is this one's again.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <vector>

#include "app/legacy_sweep.h"
#include "app/log.h"
#include "core/clock.h"
#include "core/pinned.h"
#include "core/stats.h"

namespace watchwheel::app {

// Written by the thread, read by any.
struct LegacyReadStats {
  core::Counter rows;    // Read of the table.
  core::Counter sweeps;  // Whole ones.
  core::Counter added, changed, paused, removed;
  core::Counter errors;
  core::Gauge sweep_s;   // What the last whole one took, its waits included.
  core::Gauge active;    // Active rows of the last whole one.
  core::Gauge rejected;  // Rows of it that cannot be sites.
  core::Gauge
      withheld;  // Sites that the last whole one did not remove, because they were too many.
  core::Gauge rows_per_second;  // The rate it goes at.
};

struct LegacyReadSettings {
  db::LegacyMapping mapping;
  ChecksConfig defaults;
  core::Duration sweep{};
  std::uint64_t rows_per_second = 0;
  // Asked before each page. 0: another process reads the table. Else a number that is another one whenever others may have read it
  // meanwhile: nothing is taken for known then. None: whose turn it is cannot be told now; nothing is done until it can.
  // Null: nobody else ever reads it.
  std::function<std::optional<std::uint64_t>()> turn;
};

class LegacyReader : core::Pinned {
 public:
  LegacyReader(LegacyReadSettings settings, std::unique_ptr<db::LegacyTable> table,
               std::unique_ptr<db::SiteCatalog> list, const core::Clock& clock, Log& log);
  ~LegacyReader();

  void start();
  void stop();
  // From the next page on.
  void set_defaults(const ChecksConfig& defaults);

  [[nodiscard]] const LegacyReadStats& stats() const;
  // Rows that cannot be sites, the first LegacySweep::kProblemsKept.
  [[nodiscard]] std::vector<LegacyProblem> problems() const;

 private:
  struct Parts;
  std::unique_ptr<Parts> parts_;
};

}  // namespace watchwheel::app
