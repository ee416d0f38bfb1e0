// SPDX-License-Identifier: Apache-2.0
// db/sql_incident_log.h - reading events and transitions, in SQL. Each call sees one moment
// of the store.
#pragma once

#include <memory>
#include <optional>
#include <vector>

#include "db/hold_log.h"
#include "db/incident_log.h"
#include "db/sql.h"

namespace watchwheel::db {

class SqlIncidentLog final : public IncidentLog {
 public:
  explicit SqlIncidentLog(std::unique_ptr<Connection> connection)
      : connection_(std::move(connection)) {}

  [[nodiscard]] core::Result<std::vector<Incident>> list(const IncidentFilter& filter,
                                                         std::size_t offset,
                                                         std::size_t limit) override;
  [[nodiscard]] core::Result<OpenIncidentCounts> count_open() override;
  [[nodiscard]] core::Result<std::vector<OutageGroup>> groups(const IncidentFilter& filter,
                                                              std::size_t limit) override;
  [[nodiscard]] core::Result<std::vector<VantageIncident>> vantage(const IncidentFilter& filter,
                                                                   std::size_t limit) override;
  // db/hold_log.h
  [[nodiscard]] core::Result<std::optional<sideeffects::HeldBack>> held(const Incident& incident);

 private:
  [[nodiscard]] core::Result<std::vector<Incident>> events(const IncidentFilter& filter,
                                                           std::size_t offset, std::size_t limit);
  [[nodiscard]] core::Result<std::vector<Incident>> one_event(core::EventId event);
  [[nodiscard]] core::Result<std::vector<Incident>> all_of(Query& query) const;
  [[nodiscard]] core::Result<Incident> incident_from(const Query& row) const;
  [[nodiscard]] core::Result<void> add_transitions(Incident& incident);

  std::unique_ptr<Connection> connection_;
};

// What goes through a history to say what is open now, for the test that holds each to an index.
[[nodiscard]] std::vector<Sql> outage_queries();
// What is asked of each open incident that is listed, likewise.
[[nodiscard]] std::vector<Sql> held_queries();

}  // namespace watchwheel::db
