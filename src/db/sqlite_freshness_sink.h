// SPDX-License-Identifier: Apache-2.0
// db/sqlite_freshness_sink.h - the projector's columns of site_state, on SQLite.
#pragma once

#include <memory>
#include <span>

#include "db/sqlite.h"
#include "sideeffects/freshness_api.h"

namespace watchwheel::db {

class SqliteFreshnessSink final : public sideeffects::FreshnessSink {
 public:
  explicit SqliteFreshnessSink(std::unique_ptr<Connection> connection)
      : connection_(std::move(connection)) {}

  // A stored time that lies in the future of the database's clock does not count as newer: a clock
  // that once was wrong would otherwise freeze what we say about a site.
  [[nodiscard]] core::Result<void> write(std::span<const core::FreshnessMark> marks) override;

 private:
  std::unique_ptr<Connection> connection_;
};

}  // namespace watchwheel::db
