// SPDX-License-Identifier: Apache-2.0
// db/sql_flapping_store.h - which sites flap, and what changed of late, out of wakes and events.
#pragma once

#include <memory>
#include <span>
#include <utility>
#include <vector>

#include "db/sql.h"
#include "sideeffects/flapping_api.h"

namespace watchwheel::db {

class SqlFlappingStore final : public sideeffects::FlappingStore {
 public:
  explicit SqlFlappingStore(std::unique_ptr<Connection> connection)
      : connection_(std::move(connection)) {}

  // Reads all wakes there are.
  [[nodiscard]] core::Result<std::vector<sideeffects::FlappingSite>> flapping() override;
  [[nodiscard]] core::Result<std::vector<sideeffects::SiteChanges>> changes(
      std::span<const core::SiteId> sites, core::Duration interval, core::WallTime now) override;

 private:
  std::unique_ptr<Connection> connection_;
};

}  // namespace watchwheel::db
