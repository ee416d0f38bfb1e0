// SPDX-License-Identifier: Apache-2.0
// db/sql_warning_store.h - warnings in SQL: rows of `events` of another kind than 'outage', with their transitions and notices.
//
// Whether a warning is as the writer knows it is known by its row: by the number of its transitions, which the update changes. So
// what is written again after a lost answer, or by two processes, is done once.
#pragma once

#include <memory>
#include <span>
#include <vector>

#include "db/fence.h"
#include "db/sql.h"
#include "sideeffects/warning_api.h"

namespace watchwheel::db {

class SqlWarningStore final : public sideeffects::WarningStore {
 public:
  explicit SqlWarningStore(std::unique_ptr<Connection> connection, const Fencing& fencing = {})
      : connection_(std::move(connection)), fence_(fencing) {}

  [[nodiscard]] core::Result<std::vector<sideeffects::OpenWarning>> open(
      core::SiteId site, core::EventKind kind, std::size_t limit) override;
  [[nodiscard]] core::Result<std::vector<bool>> commit(
      std::span<const sideeffects::WarningWrite> writes) override;

 private:
  [[nodiscard]] core::Result<void> check_ours(
      std::span<const sideeffects::WarningWrite> writes) const;
  [[nodiscard]] core::Result<bool> apply(const sideeffects::WarningWrite& write);
  [[nodiscard]] core::Result<bool> begin(const sideeffects::WarningWrite& write);
  [[nodiscard]] core::Result<bool> change(const sideeffects::WarningWrite& write);
  [[nodiscard]] core::Result<core::WallTime> last_change(const sideeffects::OpenWarning& warning);
  [[nodiscard]] core::Result<void> append(const sideeffects::WarningWrite& write,
                                          core::EventId event);

  std::unique_ptr<Connection> connection_;
  Fence fence_;
};

// For the test that holds each to an index.
[[nodiscard]] std::vector<Sql> warning_queries();

}  // namespace watchwheel::db
