// SPDX-License-Identifier: Apache-2.0
// db/sql_vantage_store.h - faults of the vantage in SQL.
#pragma once

#include <memory>
#include <string>
#include <utility>

#include "db/sql.h"
#include "sideeffects/vantage_store_api.h"

namespace watchwheel::db {

class SqlVantageStore final : public sideeffects::VantageStore {
 public:
  // `node`: whose faults these are, where several hosts share a server; SQLite has one.
  explicit SqlVantageStore(std::unique_ptr<Connection> connection, std::string node = {})
      : connection_(std::move(connection)), node_(std::move(node)) {}

  [[nodiscard]] core::Result<void> put(const sideeffects::VantageEvent& event) override;
  [[nodiscard]] core::Result<std::uint64_t> close_open(core::WallTime at) override;

 private:
  std::unique_ptr<Connection> connection_;
  const std::string node_;
};

}  // namespace watchwheel::db
