// SPDX-License-Identifier: Apache-2.0
// db/response_pages.h - table response_pages: how fast sites answered in an hour or a day, a row for 128 neighbouring ids and
// each node that asked some of them.
//
// Thread   the connection's.
// Bounded  rows of some KiB. A node alone writes its rows, so reading and writing one back is safe.
// Cost     of a page: two small statements for the day, two for the hour where it is kept.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

#include "core/result.h"
#include "db/sql.h"
#include "sideeffects/history_api.h"

namespace watchwheel::db {

// Columns width_ms and started_at: of which length, and from when (UTC, a multiple of it).
inline constexpr std::int64_t kHourMs = 3'600'000;
inline constexpr std::int64_t kDayMs = 86'400'000;

// Within a transaction. A row whose last addition was this page (its token) has it already, by a commit whose answer was lost.
[[nodiscard]] core::Result<void> add_response_page(Connection& connection, std::string_view node,
                                                   const sideeffects::ResponsePage& page);

// For the test that holds each to an index.
[[nodiscard]] std::vector<Sql> response_page_queries();

}  // namespace watchwheel::db
