// SPDX-License-Identifier: Apache-2.0
// db/sql_history_store.h - what is kept of the past, in SQL.
//
// Owns     how far it has walked: events are looked at in the order of their ids, which is about that of their making, from the first
//          that is left up to a page of which nothing may go.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string_view>
#include <utility>
#include <vector>

#include "db/sql.h"
#include "sideeffects/history_api.h"

namespace watchwheel::db {

class SqlHistoryStore final : public sideeffects::HistoryStore {
 public:
  explicit SqlHistoryStore(std::unique_ptr<Connection> connection)
      : connection_(std::move(connection)) {}

  [[nodiscard]] core::Result<sideeffects::HistoryPurge> purge(
      const sideeffects::HistoryRetention& retention, std::size_t limit) override;
  [[nodiscard]] core::Result<void> add_minute(std::string_view node, core::WallTime started_at,
                                              const core::ResponseHistogram& responses) override;
  [[nodiscard]] core::Result<void> add_pages(
      std::string_view node, std::span<const sideeffects::ResponsePage> pages) override;

 private:
  [[nodiscard]] core::Result<void> purge_events(std::int64_t before_ms, std::size_t limit,
                                                sideeffects::HistoryPurge& purged);
  // Takes those away of which a notice waits.
  [[nodiscard]] core::Result<void> leave_waiting(std::vector<std::int64_t>& ids);
  [[nodiscard]] core::Result<void> purge_gaps(std::int64_t before_ms, std::size_t limit,
                                              sideeffects::HistoryPurge& purged);
  // Rows of a table with one id, found by `find` (before_ms, limit) and removed by `remove` (id).
  [[nodiscard]] core::Result<std::uint64_t> purge_by_id(const Sql& find, const Sql& remove,
                                                        std::int64_t before_ms, std::size_t limit);
  [[nodiscard]] core::Result<std::uint64_t> purge_responses(std::int64_t width_ms,
                                                            std::int64_t before_ms,
                                                            std::size_t limit);
  [[nodiscard]] core::Result<void> know_from(std::int64_t before_ms);

  std::unique_ptr<Connection> connection_;
  std::int64_t events_from_ = 0;  // The id that the walk goes on above.
};

// For the test that holds each to an index.
[[nodiscard]] std::vector<Sql> history_queries();

}  // namespace watchwheel::db
