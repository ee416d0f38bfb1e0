// SPDX-License-Identifier: Apache-2.0
// db/sql_freshness_sink.h - the projector's columns of site_state, in SQL.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "db/fence.h"
#include "db/sql.h"
#include "sideeffects/freshness_api.h"

namespace watchwheel::db {

class SqlFreshnessSink final : public sideeffects::FreshnessSink {
 public:
  explicit SqlFreshnessSink(std::unique_ptr<Connection> connection, const Fencing& fencing = {})
      : connection_(std::move(connection)), fence_(fencing) {}

  // Marks of sites whose bucket is not ours are passed over: their owner has newer ones.
  // A stored time that lies in the future of the database's clock does not count as newer: a clock
  // that once was wrong would otherwise freeze what we say about a site.
  [[nodiscard]] core::Result<void> write(std::span<const core::FreshnessMark> marks) override;

 private:
  // Writes as many of the first ones as one statement takes; says how many.
  [[nodiscard]] core::Result<std::size_t> write_some(std::span<const core::FreshnessMark> marks,
                                                     std::int64_t credible_until_ms);

  // Writes since when nothing was known of the sites until these marks, where there is such a gap. Before they are written.
  [[nodiscard]] core::Result<void> tell_gaps(std::span<const core::FreshnessMark> marks,
                                             std::int64_t credible_until_ms);

  struct Told {
    core::SiteId site;
    std::int64_t since_ms = 0;
    std::int64_t quiet_max_ms = 0;
  };

  std::unique_ptr<Connection> connection_;
  Fence fence_;
  std::vector<core::FreshnessMark> ours_;  // Of a batch; kept for its memory.
  std::vector<Told> telling_;              // The same.
};

}  // namespace watchwheel::db
