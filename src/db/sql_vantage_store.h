// SPDX-License-Identifier: Apache-2.0
// db/sql_vantage_store.h - faults of the vantage in SQL.
#pragma once

#include <memory>
#include <utility>

#include "db/sql.h"
#include "sideeffects/vantage_store_api.h"

namespace watchwheel::db {

class SqlVantageStore final : public sideeffects::VantageStore {
 public:
  explicit SqlVantageStore(std::unique_ptr<Connection> connection)
      : connection_(std::move(connection)) {}

  [[nodiscard]] core::Result<void> put(const sideeffects::VantageEvent& event) override;
  [[nodiscard]] core::Result<std::uint64_t> close_open(core::WallTime at) override;

 private:
  std::unique_ptr<Connection> connection_;
};

}  // namespace watchwheel::db
