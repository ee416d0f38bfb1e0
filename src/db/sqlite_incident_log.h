// SPDX-License-Identifier: Apache-2.0
// db/sqlite_incident_log.h - reading events and transitions, on SQLite. Each call sees one moment
// of the store.
#pragma once

#include <memory>
#include <vector>

#include "db/incident_log.h"
#include "db/sqlite.h"

namespace watchwheel::db {

class SqliteIncidentLog final : public IncidentLog {
 public:
  explicit SqliteIncidentLog(std::unique_ptr<Connection> connection)
      : connection_(std::move(connection)) {}

  [[nodiscard]] core::Result<std::vector<Incident>> list(const IncidentFilter& filter,
                                                         std::size_t offset,
                                                         std::size_t limit) override;
  [[nodiscard]] core::Result<OpenIncidentCounts> count_open() override;

 private:
  [[nodiscard]] core::Result<std::vector<Incident>> events(const IncidentFilter& filter,
                                                           std::size_t offset, std::size_t limit);
  [[nodiscard]] core::Result<Incident> incident_from(const Query& row) const;
  [[nodiscard]] core::Result<void> add_transitions(Incident& incident);

  std::unique_ptr<Connection> connection_;
};

}  // namespace watchwheel::db
