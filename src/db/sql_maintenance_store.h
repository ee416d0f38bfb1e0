// SPDX-License-Identifier: Apache-2.0
// db/sql_maintenance_store.h - maintenance windows in SQL.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <utility>
#include <vector>

#include "db/sql.h"
#include "sideeffects/maintenance_api.h"

namespace watchwheel::db {

class SqlMaintenanceStore final : public sideeffects::MaintenanceStore {
 public:
  explicit SqlMaintenanceStore(std::unique_ptr<Connection> connection)
      : connection_(std::move(connection)) {}

  [[nodiscard]] core::Result<std::vector<sideeffects::MaintenanceWindow>> list(
      core::WallTime now) override;
  [[nodiscard]] core::Result<sideeffects::MaintenanceId> add(
      const sideeffects::MaintenanceWindow& window) override;
  [[nodiscard]] core::Result<void> remove(sideeffects::MaintenanceId id) override;
  // These alone from now on, in one transaction. Their ids are given anew.
  [[nodiscard]] core::Result<void> replace(std::span<const sideeffects::MaintenanceWindow> windows);

 private:
  [[nodiscard]] core::Result<void> insert(const sideeffects::MaintenanceWindow& window,
                                          std::int64_t now_ms);

  std::unique_ptr<Connection> connection_;
};

}  // namespace watchwheel::db
