// SPDX-License-Identifier: Apache-2.0
// db/sql_uptime_log.h - the history of sites, in SQL: a page is a range of ids, read from three tables by their keys.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include "db/sql.h"
#include "db/uptime_log.h"

namespace watchwheel::db {

class SqlUptimeLog final : public UptimeLog {
 public:
  explicit SqlUptimeLog(std::unique_ptr<Connection> connection)
      : connection_(std::move(connection)) {}

  [[nodiscard]] core::Result<std::vector<SiteHistory>> page(const UptimeFilter& filter,
                                                            const core::TimeSpan& window,
                                                            core::SiteId after,
                                                            std::size_t limit) override;
  [[nodiscard]] core::Result<core::WallTime> known_from() override;
  [[nodiscard]] core::Result<ResponseSpan> response_span(const core::TimeSpan& window) override;
  [[nodiscard]] core::Result<std::vector<ResponsePoint>> minutes(core::WallTime from,
                                                                 core::WallTime until,
                                                                 std::size_t limit) override;

 private:
  struct Reach {
    std::optional<std::int64_t> from, until;  // Of the first row and of the last.
  };
  [[nodiscard]] core::Result<Reach> reach(std::int64_t width_ms);
  [[nodiscard]] core::Result<void> add_responses(std::vector<SiteHistory>& sites,
                                                 const ResponseSpan& responses);
  [[nodiscard]] core::Result<std::vector<SiteHistory>> sites(const UptimeFilter& filter,
                                                             const core::TimeSpan& window,
                                                             core::SiteId after, std::size_t limit);
  [[nodiscard]] core::Result<void> add_troubles(std::vector<SiteHistory>& sites,
                                                const core::TimeSpan& window);
  [[nodiscard]] core::Result<void> add_gaps(std::vector<SiteHistory>& sites,
                                            const core::TimeSpan& window);

  std::unique_ptr<Connection> connection_;
};

// For the test that holds each to an index.
[[nodiscard]] std::vector<Sql> uptime_queries();

}  // namespace watchwheel::db
