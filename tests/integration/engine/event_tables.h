// SPDX-License-Identifier: Apache-2.0
// event_tables.h - what the tables of a store must always say, and what was promised to be in them.
#pragma once

#include <cstdint>
#include <set>
#include <string>
#include <tuple>
#include <vector>

namespace watchwheel::testing {

// site, start of the event in ms, number within the event, reason.
using Promised = std::tuple<std::uint64_t, std::int64_t, std::uint32_t, std::string>;

class EventTables {
 public:
  EventTables(int port, std::string database) : port_(port), database_(std::move(database)) {}

  // Rows of a query, fields parted by tabs. Throws with the server's words.
  [[nodiscard]] std::vector<std::string> rows(const std::string& sql) const;
  void execute(const std::string& sql) const { (void)rows(sql); }
  [[nodiscard]] std::int64_t number(const std::string& sql) const;

  // "" when every law holds: transitions gapless and chained, one open event a site, none overlapping, site_state as the open events.
  [[nodiscard]] std::string broken_laws() const;
  [[nodiscard]] std::set<Promised> transitions() const;
  [[nodiscard]] std::set<std::uint64_t> sites_down() const;
  [[nodiscard]] std::set<std::uint64_t> sites_with_open_event() const;

 private:
  int port_;
  std::string database_;
};

// What the journal in `directory` holds now, while its process runs or after it was killed.
[[nodiscard]] std::set<Promised> promised_in_journal(const std::string& directory);

}  // namespace watchwheel::testing
